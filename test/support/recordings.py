# SPDX-License-Identifier: Apache-2.0
"""Recorded episodes in which every pixel, place and candidate is known. Needs ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from expo_ft_ros.msg import Candidates, EpisodeState, Observation, SessionPlan

from expo_ft_ros.data.types import Proprio, Source, Step, Verdict
from expo_ft_ros.nodes.recorder import EpisodeFiles
from expo_ft_ros.ros.messages import (
    array_to_image,
    header_of,
    proprio_to_msg,
    step_to_msg,
    to_array,
    verdict_to_msg,
)
from support.episodes import VIEWS

SIDE, WRIST = (200, 60, 30), (30, 90, 200)
COLOURS = (SIDE, WRIST, (20, 160, 60), (120, 40, 160))
"""Of the views, in their order."""
START = (0.45, 0.0, 0.2)
JOINTS = (0.1, -0.4, 0.0, -2.2, 0.0, 1.8, 0.8)
"""At the first observation [rad]; at each after it they are greater by 0.01."""


def record(
    folder: Path,
    number: int,
    sources: Sequence[Source],
    choices: Mapping[int, Mapping[str, Any]] | None = None,
    *,
    success: bool = True,
    stage: str = "rl",
    cause: str = "success",
    instruction: str = "pick up the cube",
    ended: bool = True,
    views: Sequence[str] = VIEWS,
    discarded: bool = False,
    robot: str = "",
) -> Path:
    """Writes an episode of a step for each source, 1 cm along x each; choices: step -> actions
    (K, C, 7), q (K,), kind (K,) and chosen of a choice on its observation; robot: whose it is."""
    folder.mkdir(parents=True, exist_ok=True)
    files = EpisodeFiles(folder, "", views)
    said = _messages(number, sources, choices or {}, success, stage, cause, instruction, views)
    for now, (topic, message) in enumerate(said):
        if topic == "episode/state":
            message.discarded = discarded and message.state == "ended"
        if topic == "step":
            message.robot = robot
        if ended or topic != "episode/state" or message.state != "ended":
            files.write(number, topic, message, now)
    path = files.close(number)
    assert path is not None
    return path


def said_of(
    number: int, sources: Sequence[Source], *, stage: str = "collect", success: bool = True
) -> list[tuple[str, Any]]:
    """(topic, message) of such an episode, as the graph's nodes would publish them."""
    words = ("success" if success else "timeout", "pick up the cube")
    return list(_messages(number, sources, {}, success, stage, *words, VIEWS))


def choice(*paths: Sequence[float], q: Sequence[float], edits: int = 0, chosen: int = 0) -> dict:
    """Candidates that go on along a velocity each (x, y, z) for four steps; the last `edits` of
    them are edits."""
    actions = np.zeros((len(paths), 4, 7), np.float32)
    actions[:, :, :3] = np.array(paths)[:, None]
    kind = [int(place >= len(paths) - edits) for place in range(len(paths))]
    return {"actions": actions, "q": np.array(q), "kind": kind, "chosen": chosen}


def _messages(number, sources, choices, success, stage, cause, instruction, views):
    first, length = 100 * number, len(sources)
    yield "session/plan", SessionPlan(stage=stage, episode=number, seed=7, max_steps=length)
    yield "episode/state", EpisodeState(episode=number, state="running", stage=stage)
    for i in range(length + 1):
        header = header_of(first * 10**8 + i * 10**8, "camera")
        place = np.add(START, [0.01 * i, 0, 0])
        pose = Proprio(place, np.array([1.0, 0, 0, 0]), 0.04, joints=np.add(JOINTS, 0.01 * i))
        images = (np.full((32, 32, 3), colour, np.uint8) for colour in COLOURS[: len(views)])
        yield (
            "observation",
            Observation(
                header=header,
                number=first + i,
                episode=number,
                view_names=views,
                views=[array_to_image(image, header) for image in images],
                proprio=proprio_to_msg(pose, header),
                instruction=instruction,
            ),
        )
        done = success and i == length
        verdict = Verdict(float(done), done, "lifted" if done else "not lifted")
        yield "reward", verdict_to_msg(verdict, first + i, number, header)
        if i in choices:
            yield "policy/candidates", _candidates(first + i, choices[i])
        if i < length:
            action = np.array([0.4, 0, 0, 0, 0, 0, 0], np.float32)
            held = sources[i] is Source.HOLD
            why = "speed" if not held else "chunk late"
            step = Step(first + i, number, 5, i, sources[i], action, 0.5 * action, why)
            yield "step", step_to_msg(step, header)
    yield (
        "episode/state",
        EpisodeState(
            episode=number,
            state="ended",
            stage=stage,
            steps=length,
            first_observation=first,
            last_observation=first + length,
            success=success,
            terminated=True,
            cause=cause,
        ),
    )


def _candidates(observation: int, said: Mapping[str, Any]) -> Candidates:
    count, horizon, _ = said["actions"].shape
    return Candidates(
        observation=observation,
        count=count,
        horizon=horizon,
        actions=to_array(said["actions"], "f"),
        q=to_array(said["q"], "f"),
        kind=list(said["kind"]),
        chosen=said["chosen"],
    )
