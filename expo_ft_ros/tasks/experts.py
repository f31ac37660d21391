# SPDX-License-Identifier: Apache-2.0
"""The expert of a task, and the scripted operator that it makes with a SpaceMouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from expo_ft_ros.data.types import Proprio
from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.config import TaskConfig
from expo_ft_ros.tasks.expert import (
    IDLE,
    Expert,
    Mode,
    OperatorCommand,
    OperatorView,
    RandomIntervention,
    Vector,
)
from expo_ft_ros.tasks.registry import load_part
from expo_ft_ros.tasks.spacemouse_emulator import DeviceInput, SpaceMouseEmulator

__all__ = ["IDLE", "Expert", "Mode", "OperatorCommand", "OperatorView", "make_expert"]

NOBODY = "none"
"""The operator mode of a plan in which nobody helps."""


def make_expert(
    task: TaskConfig,
    limits: RobotLimits,
    rng: np.random.Generator,
    rate: float = 1.0,
    share: float = 1.0,
) -> Expert:
    """The expert of a task.

    Args:
        task: What is to be done.
        limits: What an action of 1 means.
        rng: Draws habits where no seed is given.
        rate: How readily it steps in while it corrects, in [0, 1].
        share: Of the episodes in which it corrects at all, in [0, 1].

    Raises:
        ConfigError: as `load_part`.
        ValueError: for another rate or share.
    """
    return RandomIntervention(
        load_part(task, "expert", "Expert")(task, limits, rng, rate), rng, share
    )


class ScriptedOperator:
    """The expert at its SpaceMouse: from what it sees of an episode to readings of the device.

    Args:
        task: What is to be done.
        limits: What an action of 1 means.
        device: The SpaceMouse.
        seed: Of the expert's habits where an episode gives none.
        rate: As in `make_expert`.
        share: As in `make_expert`.
    """

    def __init__(
        self,
        task: TaskConfig,
        limits: RobotLimits,
        device: TeleopConfig,
        seed: int,
        rate: float,
        share: float,
    ) -> None:
        self._expert = make_expert(task, limits, np.random.default_rng(seed), rate, share)
        self._spacemouse = SpaceMouseEmulator(device)
        self._period = task.period
        self._episode = 0

    def begin(self, episode: int, seed: int) -> None:
        """Starts an episode, with the habits of its seed; nothing where it has begun already."""
        if episode != self._episode:
            self._episode = episode
            self._expert.reset(seed)

    def look(
        self,
        elapsed: float,
        mode: str,
        proprio: Proprio,
        objects: Callable[[], Mapping[str, tuple[Vector, Vector]]],
    ) -> DeviceInput:
        """What the device says after a look at the robot and the scene.

        Args:
            elapsed: Since the episode's first observation [s].
            mode: The plan's operator: demonstrate, correct or none.
            proprio: The robot.
            objects: Gives those of `OperatorView`; asked only where somebody looks.
        """
        # An operator needs a moment: the hand moves from the second observation on.
        if mode == NOBODY or elapsed <= 0:
            return self.rest()
        step = int(elapsed / self._period + 1e-6)
        return self._spacemouse.move(
            self._expert.act(OperatorView(proprio, objects(), step, Mode(mode)))
        )

    def rest(self) -> DeviceInput:
        """What the device says without a hand on it."""
        return self._spacemouse.move(IDLE)
