# SPDX-License-Identifier: Apache-2.0
"""A trained agent as a policy server's policy: from a client's observation to the chosen chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import (
    ACTION_DIM,
    STATE_DIM,
    FloatArray,
    ImageArray,
    Observation,
    Proprio,
)
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.serving.config import PolicyServerConfig
from expo_ft_ros.serving.server import BadObservation

_SMALLEST, _LARGEST = 16, 4096  # side of an image [px]


@dataclass(frozen=True)
class _ToldState(Proprio):
    """A robot's state of which a client tells what policies see: `told`, (STATE_DIM,) float32."""

    told: FloatArray = field(default_factory=lambda: np.zeros(STATE_DIM, np.float32))

    def vector(self) -> FloatArray:
        """As it was told, to the last bit."""
        return self.told


class ServedPolicy:
    """Acts as in an evaluation: nothing is explored, and the critic chooses.

    Args:
        agent: With its weights.
        robot: That it was trained with.
        config: The keys that are spoken.

    Raises:
        ConfigError: where the configuration has no key for a view, or for the state as the policy
            sees it.
    """

    def __init__(self, agent: Agent, robot: RobotConfig, config: PolicyServerConfig) -> None:
        self._agent, self._config, self._robot = agent, config, robot
        self._images = config.image_keys(robot.views)
        for view in robot.view_names:
            if view not in self._images:
                raise ConfigError(
                    f"{config.file}: images: {view}: the policy sees {', '.join(robot.view_names)} "
                    "(add a key for it, or give another file as keys:=)"
                )
        found = [key for key, parts in config.state.items() if parts == ("vector",)]
        if not found:
            raise ConfigError(
                f"{config.file}: state: the policy sees the state's vector (add a key: [vector], "
                "or give another file as keys:=)"
            )
        self._state = found[0]
        self._time_left = agent.config.value.time_left
        if self._time_left and config.steps_left is None:
            raise ConfigError(
                f"{config.file}: steps_left: the policy's critic sees how many steps are left of "
                "the episode (add its key, or give another file as keys:=)"
            )
        agent.begin_evaluation(0)

    def metadata(self) -> dict[str, Any]:
        """What a client is told: the task, what an action is, and each key that is wanted."""
        task, config = self._agent.task, self._config
        keys = {key: f"(h, w, 3) uint8 RGB: view {view}" for view, key in self._images.items()}
        keys[self._state] = (
            f"({STATE_DIM},) float: tool's position [m], first two columns of its rotation matrix, "
            "gripper's opening [m]; base frame"
        )
        keys[config.instruction] = "text: the instruction"
        if self._time_left and config.steps_left is not None:
            keys[config.steps_left] = "integer: steps until the episode times out"
        return {
            "task": task.name,
            "instruction": task.instruction,
            "horizon": self._agent.vla.horizon,
            "execute_steps": task.execute_steps,
            "action_dim": ACTION_DIM,
            "control_hz": task.control_hz,
            "max_steps": task.max_steps,
            "limits": self._robot.limits.model_dump(mode="json"),
            "views": list(self._robot.view_names),
            "keys": keys,
            "version": self._agent.version,
        }

    def infer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """{"actions": (H, 7) float32, robot-normalised, within [-1, 1]}.

        Raises:
            BadObservation: for a key that is missing, or a value of another shape or type.
        """
        views = {view: _image(message, key) for view, key in self._images.items()}
        state = _vector(message, self._state)
        instruction = _value(message, self._config.instruction)
        if not isinstance(instruction, str) or not instruction.strip():
            raise BadObservation(
                f"{self._config.instruction}: {type(instruction).__name__}, wanted is a text that "
                "isn't empty"
            )
        left = self._steps_left(message) if self._time_left else None
        proprio = _ToldState(
            position=state[:3].astype(np.float64),
            quaternion=np.full(4, np.nan),
            gripper_width=float(state[-1]),
            told=state,
        )
        observation = Observation(0, 0.0, views, proprio, instruction, left)
        return {"actions": self._agent.act(observation, "mode").actions}

    def _steps_left(self, message: Mapping[str, Any]) -> int:
        key = self._config.steps_left or ""
        value = _value(message, key)
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
            raise BadObservation(f"{key}: {value!r:.40}, wanted is an integer from 0")
        return int(value)


def _value(message: Mapping[str, Any], key: str) -> Any:
    if key not in message:
        there = ", ".join(sorted(map(repr, message))) or "none"
        raise BadObservation(
            f"key {key!r} is missing: there are {there:.400} (the server's metadata lists the keys "
            "that it wants)"
        )
    return message[key]


def _image(message: Mapping[str, Any], key: str) -> ImageArray:
    image = _value(message, key)
    if not isinstance(image, np.ndarray):
        raise BadObservation(f"{key}: {type(image).__name__}, wanted is an array (h, w, 3) uint8")
    sides = image.shape[:2]
    fits = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not fits or not all(_SMALLEST <= side <= _LARGEST for side in sides):
        raise BadObservation(
            f"{key}: shape {image.shape} and dtype {image.dtype}, wanted is (h, w, 3) uint8 RGB, h "
            f"and w from {_SMALLEST} to {_LARGEST}"
        )
    return image


def _vector(message: Mapping[str, Any], key: str) -> FloatArray:
    value = _value(message, key)
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", type(value).__name__)
    if not isinstance(value, np.ndarray) or shape != (STATE_DIM,) or value.dtype.kind not in "iuf":
        raise BadObservation(
            f"{key}: shape {shape} and type {dtype}, wanted is ({STATE_DIM},) float"
        )
    state: NDArray[np.float32] = value.astype(np.float32)
    if not np.isfinite(state).all():
        place = int(np.flatnonzero(~np.isfinite(state))[0])
        raise BadObservation(f"{key}: number {place} is {value[place]}, wanted are finite numbers")
    return state
