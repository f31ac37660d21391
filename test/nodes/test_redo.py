# SPDX-License-Identifier: Apache-2.0
"""A demonstration that is done again by a key: the test is the hand on the keyboard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from expo_ft_ros.msg import EpisodeState, LearnerStatus, SessionPlan
from sensor_msgs.msg import Joy

from expo_ft_ros.control.episode_machine import DEBOUNCE
from expo_ft_ros.data.types import Source
from expo_ft_ros.devices.teleop import REDO, TeleopConfig
from expo_ft_ros.experiment.operator_word import words_of
from expo_ft_ros.recording.episode_builder import PARTS
from expo_ft_ros.recording.episode_store import load_episodes
from support.recordings import said_of

pytestmark = pytest.mark.slow

NODES = ("sim", "camera", "proprio", "teleop", "reward", "arbitration", "recorder", "session")
BUTTON = TeleopConfig.load(device="keyboard").redo_button


class Seat:
    """The operator of a run that collects three demonstrations, in lock-step."""

    def __init__(self, graph: Any) -> None:
        self.probe = graph.probe
        self.states, self.plans = (graph.probe.gather(n) for n in ("episode/state", "session/plan"))
        self._health = graph.probe.gather("/diagnostics")
        device, answered = (graph.probe.publisher(n) for n in ("joy", "sim/operator_ready"))
        self.keys = Joy(axes=[0.0] * 6, buttons=[0] * 4)

        def answer(now: Any) -> None:
            self.keys.header = now.header
            device.publish(self.keys)
            answered.publish(now.header)

        graph.probe.on("proprio", answer)
        parameters: dict[str, dict[str, Any]] = {
            "arbitration": {"begins_with_takeover": True},
            "teleop": {"device": "keyboard"},
            "sim": {"wait_for_operator": True},
            "session": {
                "kind": "collect",
                "demos": 3,
                "operator": "keyboard",
                "required_nodes": [name for name in NODES if name != "session"],
            },
        }
        self.nodes = {n: graph.start(n, lockstep=True, **parameters.get(n, {})) for n in NODES}

    def until(self, episode: int, state: str) -> EpisodeState:
        def there() -> bool:
            newest = self.states[-1] if self.states else EpisodeState()
            return (newest.episode, newest.state) == (episode, state)

        self.probe.until(there, f"episode {episode} to be {state}")
        newest: EpisodeState = self.states[-1]
        return newest

    def drive(self, episode: int, steps: int = 4) -> None:
        self.until(episode, "running")
        self.keys.axes[2] = 0.5
        self.probe.until(
            lambda: self.states[-1].episode == episode and self.states[-1].steps >= steps, "steps"
        )
        self.keys.axes[2] = 0.0

    def demonstrate(self, episode: int) -> None:
        self.drive(episode)
        assert self.probe.call("episode/mark_success").success

    def redo(self) -> str:
        """Presses the key; what teleop says came of it."""
        # What is held before anybody listens is no press.
        self.probe.until(lambda: self._told("connected") == "True", "the keyboard to be heard")
        before = self._told(REDO)
        self.keys.buttons[BUTTON] = 1
        self.probe.until(lambda: self._told(REDO) not in (before, ""), "the answer")
        self.keys.buttons[BUTTON] = 0
        return self._told(REDO)

    def _told(self, key: str) -> str:
        """What teleop has said last under a key; "" for nothing."""
        for message in reversed(self._health):
            for status in message.status:
                if status.name == "teleop":
                    return next((each.value for each in status.values if each.key == key), "")
        return ""

    def plan(self, episode: int) -> SessionPlan:
        self.probe.until(
            lambda: self.plans and self.plans[-1].episode == episode, f"plan {episode}"
        )
        plan: SessionPlan = self.plans[-1]
        return plan


def test_the_last_demonstration_is_discarded_and_collected_again(graph):
    seat = Seat(graph)
    seat.until(1, "running")
    # A latched plan holds the newest alone: who is matched after it doesn't hear of the first.
    first = [seat.plan(1).seed]
    assert "refused: nothing to redo" in seat.redo()
    seat.demonstrate(1)
    seat.demonstrate(2)
    seat.until(3, "running")
    first.append(seat.plan(3).seed - 1)
    assert "redo: demonstration 2 is discarded and comes again" in seat.redo()
    again = seat.plan(4)
    assert (again.seed, again.redone) == (first[1], 2)
    # So soon after the first it would be the same press.
    graph.probe.spin(DEBOUNCE)
    seat.drive(4)
    assert "demonstration 4 is discarded and comes again" in seat.redo()
    assert seat.plan(5).seed == first[1]
    seat.demonstrate(5)
    seat.demonstrate(6)
    assert seat.nodes["session"].wait() == 0
    folder = graph.folder
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    discarded = {line["episode"]: line["discarded"] for line in lines}
    assert discarded == {1: False, 2: True, 3: True, 4: True, 5: False, 6: False}
    assert json.loads((folder / "summary.json").read_text())["demonstrations"] == 3
    assert [e.outcome.episode for e in load_episodes(folder / "episodes")] == [1, 5, 6]
    seeds = [e.outcome.seed for e in load_episodes(folder / "episodes")]
    assert seeds == [first[0], first[1], first[1] + 1]
    words_of(folder)["restore"](2)
    assert [e.outcome.episode for e in load_episodes(folder / "episodes")] == [1, 2, 5, 6]


def test_the_learner_learns_from_no_demonstration_that_is_redone(graph):
    probe = graph.probe
    told: list[LearnerStatus] = probe.gather("learner/status")
    outs = {name: probe.publisher(name) for name in PARTS}
    graph.start("agent", imitation_scale=0.001)
    probe.until(lambda: told, "the learner")
    probe.matched()

    def demonstrate(number: int, steps: int) -> None:
        for topic, message in said_of(number, [Source.HUMAN] * steps):
            outs[topic].publish(message)
        probe.until(lambda: told[-1].episode == number, f"demonstration {number} to be taken")

    demonstrate(1, 20)
    demonstrate(2, 30)
    outs["session/plan"].publish(
        SessionPlan(stage="collect", episode=3, max_steps=40, policy="none", redone=2,
                    operator_mode="demonstrate")
    )  # fmt: skip
    demonstrate(3, 25)
    outs["session/plan"].publish(
        SessionPlan(stage="imitation", policy="none", operator_mode="none")
    )
    probe.until(lambda: told[-1].finished == "imitation", "the imitation", timeout=120.0)
    assert told[-1].transitions == 45
