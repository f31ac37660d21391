# SPDX-License-Identifier: Apache-2.0
"""A recorded episode as the views that the operator had of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import viser.transforms
from numpy.typing import NDArray

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import GRIPPER, FloatArray, Source
from expo_ft_ros.monitor.intent import draw_intent
from expo_ft_ros.monitor.overlay import marked_images
from expo_ft_ros.monitor.paths import gripper_changes, tool_paths
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.view import View
from expo_ft_ros.recording.recorded_episode import RecordedEpisode
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.reward import Classifier


def recorded_view(
    recorded: RecordedEpisode,
    step: int,
    limits: RobotLimits,
    task: TaskConfig,
    classifier: Classifier,
    cameras: Mapping[str, Camera] = MappingProxyType({}),
) -> View:
    """What there was to see when `step` steps were done, from 0 to the episode's length.

    classifier: the task's, whose marks are on the images as they were while it went on; cameras: by
    the names of views, which they took; on those images is also what the policy was about to do.
    """
    episode, outcome = recorded.episode, recorded.episode.outcome
    state = episode.state[step]
    driving = min(step, len(episode) - 1)
    seen: dict[str, Any] = {}
    latest = recorded.latest(step)
    if latest is not None:
        choice = recorded.choices[latest]
        made = max(0, int(recorded.steps[latest]))
        start = episode.state[made, :3]
        width, before = float(episode.state[made, 9]), episode.executed[:made, GRIPPER]
        seen = {"q": choice.q, "kind": choice.kind, "chosen": choice.chosen}
        seen["member_spread"] = choice.member_spread
        seen["gripper"] = gripper_changes(
            choice.actions[choice.chosen], width, before, limits, task.period
        )
        seen["paths"] = tool_paths(start, choice.actions, limits, task.period)
    view = View(
        time=step * task.period,
        episode=EpisodeSnapshot(
            episode=outcome.episode, state="recorded", stage=outcome.stage, steps=step
        ),
        max_steps=len(episode),
        driver=Source(episode.source[driving]),
        position=state[:3].astype(np.float64),
        quaternion=_quaternion(state[3:9]),
        gripper_width=float(state[9]),
        joints=recorded.joints[step],
        executed=episode.state[: step + 1, :3].astype(np.float64),
        sources=np.concatenate([episode.source[:1], episode.source[:step]]),
        images=marked_images(
            {name: images[step] for name, images in episode.views.items()}, classifier
        ),
        cameras={name: camera for name, camera in cameras.items() if name in episode.views},
        **seen,
    )
    for name, camera in view.cameras.items():
        draw_intent(view.images[name], view, camera)
    return view


def _quaternion(columns: FloatArray) -> NDArray[np.float64]:
    """(4,) x, y, z, w of the first two columns of a rotation, (6,)."""
    first, second = columns[:3].astype(np.float64), columns[3:].astype(np.float64)
    matrix = np.stack([first, second, np.cross(first, second)], axis=1)
    w, x, y, z = viser.transforms.SO3.from_matrix(matrix).wxyz
    return np.array([x, y, z, w])
