# SPDX-License-Identifier: Apache-2.0
"""From our observation to what a policy server is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.rotation import TOOL_DOWN
from expo_ft_ros.data.types import ImageArray, Observation, Proprio
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.serving.config import PolicyServerConfig, StatePart
from expo_ft_ros.tasks import TaskConfig


class ObservationWriter:
    """Writes observations of one robot by one server's keys.

    Raises:
        ConfigError: as `PolicyServerConfig.image_keys`.
    """

    def __init__(self, config: PolicyServerConfig, robot: RobotConfig) -> None:
        self._config, self._robot = config, robot
        self._images = config.image_keys(robot.views)

    def message(self, observation: Observation, *, time_left: bool) -> dict[str, Any]:
        """Key -> image (h, w, 3) uint8, state (n,) float32, text, and with `time_left` the steps
        left as a number."""
        config = self._config
        sent: dict[str, Any] = {
            key: self._sized(observation.views[view]) for view, key in self._images.items()
        }
        for key, parts in config.state.items():
            values = [self._part(part, observation.proprio) for part in parts]
            sent[key] = np.concatenate(values).astype(np.float32)
        sent[config.instruction] = observation.instruction
        if time_left and config.steps_left is not None:
            sent[config.steps_left] = observation.steps_left
        return sent

    def example(self, task: TaskConfig) -> Observation:
        """An observation of nothing: black images, the arm at rest. For a first answer before
        anything moves."""
        side = self._config.image_size or 224
        black = np.zeros((side, side, 3), np.uint8)
        low, high = np.array(task.workspace.low), np.array(task.workspace.high)
        proprio = Proprio(
            (low + high) / 2,
            TOOL_DOWN,
            self._robot.limits.gripper_max_width,
            joints=np.array(self._robot.home, dtype=np.float64),
        )
        views = dict.fromkeys(self._robot.view_names, black)
        return Observation(0, 0.0, views, proprio, task.instruction, task.max_steps)

    def _sized(self, image: ImageArray) -> ImageArray:
        side = self._config.image_size
        return image if side is None else resize_image(image, side)

    def _part(self, part: StatePart, proprio: Proprio) -> NDArray[Any]:
        width = proprio.gripper_width
        match part:
            case "vector":
                return proprio.vector()
            case "joints":
                return proprio.joints
            case "position":
                return proprio.position
            case "quaternion":
                return proprio.quaternion
            case "gripper_width":
                return np.array([width])
            case "gripper_closed":
                share = width / self._robot.limits.gripper_max_width
                return np.array([1.0 - min(max(share, 0.0), 1.0)])


def steps_left_wanted(metadata: Mapping[str, Any], config: PolicyServerConfig) -> bool:
    """Whether a server's metadata names the key of the steps left among those that it takes."""
    keys = metadata.get("keys")
    return config.steps_left is not None and isinstance(keys, dict) and config.steps_left in keys
