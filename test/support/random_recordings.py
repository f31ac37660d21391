# SPDX-License-Identifier: Apache-2.0
"""Random episodes as the graph says them and as the recorder writes them. Needs ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from expo_ft_ros.msg import Candidates, EpisodeState, Observation, SessionPlan, TeleopCommand

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Proprio, Source, Step, Verdict
from expo_ft_ros.nodes.recorder import EpisodeFiles
from expo_ft_ros.recording.episode_builder import EpisodeGatherer
from expo_ft_ros.ros.messages import (
    array_to_image,
    header_of,
    proprio_to_msg,
    step_to_msg,
    verdict_to_msg,
)
from support.episodes import VIEWS

CHOSEN = 2
_EVERY, _COUNT, _HORIZON = 4, 4, 6


ARRAYS = ("state", "proposed", "executed", "source", "chunk", "index", "reward", "steps_left")
SIZE = 32


def messages(number: int, length: int, rng: np.random.Generator, views: Sequence[str] = VIEWS):
    """(topic, message) of an episode, as the graph says them."""
    first = 100 * number
    yield "session/plan", SessionPlan(stage="rl", episode=number, seed=7, max_steps=length)
    yield "episode/state", EpisodeState(episode=number, state="running", stage="rl")
    for i in range(length + 1):
        header = header_of(first * 10**8 + i * 10**8, "camera")
        images = rng.integers(0, 255, (len(views), SIZE, SIZE, 3), dtype=np.uint8)
        pose = Proprio(rng.normal(size=3), np.array([1.0, 0, 0, 0]), 0.04)
        yield (
            "observation",
            Observation(
                header=header,
                number=first + i,
                episode=number,
                view_names=list(views),
                views=[array_to_image(image, header) for image in images],
                proprio=proprio_to_msg(pose, header),
                instruction="pick up the cube",
                steps_left=length - i,
            ),
        )
        yield "teleop/command", TeleopCommand(header=header, connected=True)
        verdict = Verdict(float(i == length), i == length, "")
        yield "reward", verdict_to_msg(verdict, first + i, number, header)
        if i < length:
            action = rng.uniform(-1, 1, 7).astype(np.float32)
            source = Source(int(rng.integers(0, 2)))
            step = Step(first + i, number, 5, i, source, action, 0.5 * action, "speed")
            yield "step", step_to_msg(step, header)
    yield (
        "episode/state",
        EpisodeState(
            episode=number,
            state="ended",
            stage="rl",
            steps=length,
            first_observation=first,
            last_observation=first + length,
            success=True,
            terminated=True,
            cause="success",
        ),
    )


def record(folder, number: int, said, views: Sequence[str] = VIEWS) -> None:
    files = EpisodeFiles(folder, "task: cube_pick", views)
    for now, (topic, message) in enumerate(said):
        files.write(number, topic, message, now)
    files.close(number)


def of_live(said, image_size=None, views: Sequence[str] = VIEWS) -> Episode:
    gatherer = EpisodeGatherer(views, image_size)
    for topic, message in said:
        if topic != "teleop/command":
            gatherer.take(topic, message)
    (episode,) = gatherer.pop_complete()
    return episode


def assert_same(one: Episode, other: Episode) -> None:
    assert one.outcome == other.outcome
    assert one.instruction == other.instruction
    assert list(one.views) == list(other.views)
    for name, images in one.views.items():
        np.testing.assert_array_equal(images, other.views[name], err_msg=name)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def write_episode(folder: Path, number: int, length: int) -> Path:
    """An episode in which four candidates, two of them edited, are drawn every four steps."""
    rng = np.random.default_rng(number)
    said: list[tuple[str, object]] = []
    for topic, message in messages(number, length, rng):
        said.append((topic, message))
        first = 100 * number
        if topic == "observation" and (message.number - first) % _EVERY == 0:
            actions = rng.uniform(-1, 1, (_COUNT, _HORIZON, 7)).astype(np.float32)
            candidates = Candidates(
                header=message.header,
                observation=message.number,
                count=_COUNT,
                horizon=_HORIZON,
                actions=actions.ravel().tolist(),
                q=rng.uniform(0, 1, _COUNT).tolist(),
                kind=[0, 0, 1, 1],
                chosen=CHOSEN,
            )
            said.append(("policy/candidates", candidates))
    record(folder, number, said)
    return folder / f"{number:06d}.mcap"
