"""A whole training into which every topic's messages come spoilt, twice, late and in no order."""

from __future__ import annotations

import copy
import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from std_srvs.srv import Trigger

from expo_ft_ros.bringup.run_folder import first_uncounted
from expo_ft_ros.bringup.topics import TOPICS
from expo_ft_ros.data.episode_store import load_episodes
from expo_ft_ros.data.messages import twist_array

ROOT = Path(__file__).parents[2]
LEAST = 1000
KEPT = 40
COMMANDS, MINE = ("robot/twist_cmd", "robot/gripper_cmd"), "meddled"
DIAGNOSTIC = ("progress", "lateness", "q")  # what nobody acts on
NONE_FROM_OUTSIDE = ("joy", "robot/fault")  # nobody in this graph says anything there
# A reading bears no time: one that comes late is what a hand did.
TIMELESS = ("spacenav/twist", "spacenav/joy")
WORDS = ("state", "stage", "policy", "operator_mode", "encoding")


class Meddler:
    """Hears a topic, and says there what nobody would: the kinds of `KINDS`."""

    KINDS = ("spoilt", "again", "late")

    def __init__(self, graph: Any, name: str, rng: random.Random) -> None:
        self.name, self._rng, self.said = name, rng, dict.fromkeys(self.KINDS, 0)
        self._heard: list[Any] = []
        self.true_ones: list[Any] = []
        self._out = graph.probe.publisher(name)
        graph.probe.on(name, self._hear)

    def _hear(self, message: Any) -> None:
        if self.name in COMMANDS and message.header.frame_id != MINE:
            self.true_ones.append(message)
        self._heard = [*self._heard[1 - KEPT :], message]

    def meddle(self) -> None:
        if not self._heard:
            return
        kind = self._rng.choice(self.KINDS[: 1 if self.name in TIMELESS else None])
        if kind == "spoilt":
            message = self._spoilt(copy.deepcopy(self._heard[-1]))
            if message is None:
                return
        else:
            message = self._heard[-1 if kind == "again" else 0]
        if self.name in COMMANDS:
            message = copy.deepcopy(message)
            message.header.frame_id = MINE
        self._out.publish(message)
        self.said[kind] += 1

    def _spoilt(self, message: Any) -> Any:
        """None where there is nothing that could be told from what is meant."""
        places = list(_places(message))
        if not places:
            return None
        owner, field, value = self._rng.choice(places)
        if isinstance(value, float):
            value = self._rng.choice([math.nan, math.inf, -math.inf])
        elif isinstance(value, str):
            value = "nonsense"
        elif field == "source":
            value = 77
        elif self._rng.random() < 0.5 and not isinstance(value, np.ndarray):
            value = value[:-1]
        else:
            value = copy.copy(value)
            value[self._rng.randrange(len(value))] = math.nan
        setattr(owner, field, value)
        return message


def _places(message: Any) -> Any:
    """(owner, field, value) of what can be spoilt so that it shows."""
    for field in message.get_fields_and_field_types():
        value = getattr(message, field)
        if hasattr(value, "get_fields_and_field_types"):
            yield from _places(value)
            continue
        number = isinstance(value, float) and field not in DIAGNOSTIC
        word = (isinstance(value, str) and field in WORDS) or field == "source"
        numbers = getattr(value, "typecode", "") or getattr(
            getattr(value, "dtype", None), "char", ""
        )
        if number or word or (numbers in ("f", "d") and len(value)):
            yield message, field, value


@pytest.mark.timeout(450)
def test_a_training_ends_well_whatever_is_said_beside(graph, capsys):
    rng = random.Random(0)
    names = [name for name in TOPICS if name not in NONE_FROM_OUTSIDE]
    meddlers = [Meddler(graph, name, rng) for name in names]
    words = [sys.executable, "-m", "test.nodes.tiny_training", str(graph.folder), str(graph.domain)]
    knows, asked = graph.probe.node.create_client(Trigger, "teleop/acknowledge"), None
    output = graph.folder / "output.log"
    with output.open("wb") as file:
        process = subprocess.Popen(words, cwd=ROOT, stdout=file, stderr=file)
    try:
        end = time.monotonic() + 350
        while process.poll() is None and time.monotonic() < end:
            graph.probe.spin(0.025)
            for meddler in rng.sample(meddlers, 2):
                meddler.meddle()
            # Readings that are no numbers are a device that is gone; the arm stands until then.
            if knows.service_is_ready() and (asked is None or asked.done()):
                asked = knows.call_async(Trigger.Request())
    finally:
        if process.poll() is None:
            process.terminate()
        code = process.wait(60)
    said = {kind: sum(m.said[kind] for m in meddlers) for kind in Meddler.KINDS}
    with capsys.disabled():
        print(f"\nbad messages on {len(meddlers)} topics: {said}")
    assert code == 0, output.read_text()[-3000:]
    commands = {m.name: m.true_ones for m in meddlers if m.name in COMMANDS}
    for twist in commands["robot/twist_cmd"]:
        assert np.abs(twist_array(twist.twist)).max() <= 1 + 1e-6, "the limits' greatest"
        assert np.abs(twist_array(twist.twist)[:3]).max() <= 0.25 + 1e-6
    for gripper in commands["robot/gripper_cmd"]:
        assert abs(gripper.velocity[0]) <= 0.12 + 1e-6
    assert all(commands.values()), "arbitration's own"
    # Every episode that counts is there, whole and sound.
    lines = [json.loads(x) for x in (graph.folder / "metrics.jsonl").read_text().splitlines()]
    episodes = {
        e.outcome.episode: e
        for e in load_episodes(graph.folder / "episodes", first_uncounted(graph.folder), 8)
    }
    for line in lines:
        if not line["discarded"]:
            assert len(episodes[line["episode"]]) > 0
            assert episodes[line["episode"]].outcome.steps == line["steps"]
    for episode in episodes.values():
        for values in (episode.state, episode.executed, episode.reward):
            assert np.isfinite(values).all()
        assert np.abs(episode.executed).max() <= 1
        assert (episode.reward[:-1] == 0).all()
    assert sum(said.values()) >= LEAST, said
