# SPDX-License-Identifier: Apache-2.0
"""The session node beside a learner that is slow: what waits for it, and what doesn't."""

import json
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from expo_ft_ros.msg import (
    Candidates,
    EpisodeRecorded,
    EpisodeState,
    LearnerStatus,
    SessionPlan,
)
from std_msgs.msg import String

from expo_ft_ros.control.arbiter import DEVICE_LOST


class Others:
    """Everybody else: plays each plan at once, with ten steps and a success."""

    def __init__(self, graph) -> None:
        self.plans: list[SessionPlan] = []
        self._probe = graph.probe
        self._episodes = graph.probe.publisher("episode/state")
        self._learner = graph.probe.publisher("learner/status")
        self._candidates = graph.probe.publisher("policy/candidates")
        graph.probe.on("session/plan", self.plans.append)

    @property
    def plan(self) -> SessionPlan:
        return self.plans[-1]

    def until_plan(self, stage: str, episode: int | None = None) -> None:
        def there() -> bool:
            found = bool(self.plans) and self.plan.stage == stage
            return found and episode in (None, self.plan.episode)

        self._probe.until(there, f"a plan of {stage} {episode or ''}")

    def play(self) -> None:
        plan = self.plan
        ended = EpisodeState(
            episode=plan.episode,
            stage=plan.stage,
            state=EpisodeState.ENDED,
            steps=10,
            success=True,
            terminated=True,
            first_observation=1,
            last_observation=11,
        )
        self._episodes.publish(ended)

    def choose(self, observation: int, q: float) -> None:
        """The second of two candidates, an edit."""
        self._candidates.publish(
            Candidates(observation=observation, count=2, q=[0.0, q], kind=[0, 1], chosen=1)
        )

    def choose_nothing(self, observation: int) -> None:
        """A message that contradicts itself."""
        self._candidates.publish(Candidates(observation=observation, chosen=7))

    def learned(self, episode: int, finished: str = "") -> None:
        self._learner.publish(LearnerStatus(episode=episode, finished=finished))


def counted(folder: Path) -> list[tuple[str, int]]:
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(line["stage"], line["episode"]) for line in map(json.loads, lines)]


def online(graph, *, ahead: int) -> Others:
    """A session that has just planned its first online episode, number 2."""
    others = Others(graph)
    parameters = {"demos": 1, "eval_trials": 0, "steps": 25, "episodes_ahead": ahead}
    graph.start("session", kind="train", **parameters)
    others.until_plan("collect", 1)
    others.play()
    others.learned(1)
    others.until_plan("imitation")
    others.learned(1, "imitation")
    others.until_plan("rl", 2)
    return others


def test_what_is_counted_is_on_disk(graph):
    others = Others(graph)
    ready, recorded = (graph.probe.publisher(n) for n in ("nodes/ready", "episode/recorded"))
    graph.start("session", kind="collect", demos=3, required_nodes=["recorder"])
    ready.publish(String(data="recorder"))
    others.until_plan("collect", 1)
    others.play()
    graph.probe.spin(1.0)
    assert counted(graph.folder) == []
    recorded.publish(EpisodeRecorded(episode=1))
    others.until_plan("collect", 2)
    assert counted(graph.folder) == [("collect", 1)]
    others.play()
    recorded.publish(EpisodeRecorded(episode=2, lost=True))
    others.until_plan("collect", 3)
    lines = [json.loads(line) for line in (graph.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["discarded"] for line in lines] == [False, True]


def test_a_learner_that_reads_what_was_recorded_says_how_far_it_is(graph):
    told, learner = (graph.probe.gather("session/status"), graph.probe.publisher("learner/status"))
    graph.start("session", kind="train", required_nodes=["learner"])

    def noted(words):
        graph.probe.until(lambda: told and told[-1].note == words, words)

    noted("waiting for learner")
    learner.publish(LearnerStatus(stage="reading", transitions=1200))
    noted("waiting for learner: 1200 recorded steps are read")


def test_the_log_tells_what_is_waited_for_how_far_it_is_and_how_it_went(graph):
    """Under ros2 launch it is all that an operator sees of a run."""
    others, ready = Others(graph), graph.probe.publisher("nodes/ready")
    session = graph.start(
        "session", kind="collect", demos=1, operator="spacemouse", required_nodes=["teleop"]
    )

    def logged(words):
        graph.probe.until(lambda: words in session.log.read_text(), words)

    logged("waiting for the spacemouse: /spacenav/twist needs one that publishes it")
    ready.publish(String(data="teleop"))
    others.until_plan("collect", 1)
    logged("collecting demonstrations, episodes 0/1")
    others.play()
    logged("Demonstrations: 1")
    assert session.wait() == 0


def test_in_sync_mode_the_next_episode_waits_for_the_learner(graph):
    others = online(graph, ahead=0)
    others.play()
    graph.probe.spin(1.0)
    assert others.plan.episode == 2
    assert counted(graph.folder) == [("collect", 1)]
    others.learned(2, "imitation")
    others.until_plan("rl", 3)
    assert counted(graph.folder) == [("collect", 1), ("rl", 2)]


def test_in_async_mode_only_the_end_of_the_stage_waits(graph):
    others = online(graph, ahead=8)
    for episode in (2, 3, 4):
        others.until_plan("rl", episode)
        others.play()
    graph.probe.until(lambda: len(counted(graph.folder)) == 4, "all episodes to be counted")
    graph.probe.spin(1.0)
    assert others.plan.episode == 4, "what follows needs everything that was learned"
    others.learned(3, "imitation")
    graph.probe.spin(0.5)
    assert others.plan.episode == 4
    others.learned(4, "imitation")
    others.until_plan("done")


def test_in_async_mode_the_robot_waits_for_a_learner_that_is_too_far_behind(graph):
    others = online(graph, ahead=1)
    others.play()
    others.until_plan("rl", 3)
    others.play()
    graph.probe.spin(1.0)
    assert (others.plan.episode, counted(graph.folder)[-1]) == (3, ("rl", 2))
    others.learned(2, "imitation")
    others.until_plan("rl", 4)
    assert counted(graph.folder)[-1] == ("rl", 3)


def test_the_log_says_what_the_critic_promised(graph):
    others = online(graph, ahead=8)
    others.choose(3, 0.75)
    others.choose_nothing(4)
    graph.probe.spin(1.0)
    others.play()
    graph.probe.until(lambda: len(counted(graph.folder)) == 2, "the episode to be counted")
    lines = (graph.folder / "metrics.jsonl").read_text().splitlines()
    collected, online_one = (json.loads(line) for line in lines)
    assert "value_error" not in collected
    assert online_one["edited_chosen"] == 1.0
    # Observations 1 to 11: the reward comes with the tenth step.
    assert online_one["value_error"] == pytest.approx(0.75 - 0.99**7)


def test_an_arm_that_is_held_until_somebody_speaks_is_said(graph):
    """Else a run without a console stands still, and nobody is told why."""
    status = graph.probe.gather("session/status")
    diagnostics = graph.probe.publisher("/diagnostics")
    online(graph, ahead=0)
    for message, note in ((DEVICE_LOST, f"held: {DEVICE_LOST}"), ("released", "")):
        diagnostics.publish(
            DiagnosticArray(status=[DiagnosticStatus(name="teleop", message=message)])
        )
        graph.probe.until(lambda note=note: status and status[-1].note == note, "the note")
    log = graph.folder / "session.log"
    graph.probe.until(lambda: "call teleop/acknowledge" in log.read_text(), "its remedy")
