# SPDX-License-Identifier: Apache-2.0
"""What experts share: they demonstrate, or watch and mend what goes wrong.

A task's expert says what it makes of a view, which signs mean failure, and where the tool should be
in each phase; see tasks/cube_pick/expert.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container
from enum import Enum
from typing import ClassVar, Generic, TypeVar

import numpy as np

from expo_ft_ros.data.rotation import TOOL_DOWN, turn_to
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.config import TaskConfig
from expo_ft_ros.tasks.expert import IDLE, Gripper, Mode, OperatorCommand, OperatorView, Vector
from expo_ft_ros.tasks.failure_detector import FailureDetector, Help, Signs
from expo_ft_ros.tasks.habits import Habits, SmoothNoise
from expo_ft_ros.tasks.sight import Sight

S = TypeVar("S", bound=Sight)
H = TypeVar("H", bound=Habits)
P = TypeVar("P", bound=Enum)

NUDGE = 0.14
"""Of full scale, the least that moves the tool: less than this the device doesn't feel."""
_NOTHING = 1e-6


class ScriptedExpert(ABC, Generic[S, H, P]):
    """Satisfies Expert: a machine of phases under a watch for failure.

    `_phase` says where the task is, and `_ticks` for how long.

    Args:
        task: What is to be done.
        limits: What an action of 1 means.
        rng: Draws habits where no seed is given.
        rate: How readily it takes over, in [0, 1]: 0 never, 1 as soon as it is sure.

    Raises:
        ValueError: for another rate.
    """

    SIGHT: type[S]
    HABITS: type[H]
    FIRST: P
    """Phase in which an episode begins."""
    CLOSED: Container[P] = ()
    """Phases with the gripper closed."""
    SLOW: Container[P] = ()
    """Phases with a quiet hand."""
    SALT: ClassVar[int]
    """Tells two tasks' experts of one seed apart."""
    LATE: ClassVar[float] = 0.5
    """Share of the episode after which help goes further than it would before."""
    STUCK: ClassVar[int] = 10
    """Ticks without progress that are a sign of failure at rate 1."""

    def __init__(
        self, task: TaskConfig, limits: RobotLimits, rng: np.random.Generator, rate: float = 1.0
    ) -> None:
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"operator rate must lie in [0, 1], got {rate}")
        self._limits, self._workspace, self._rng = limits, task.workspace, rng
        self._detector = FailureDetector(rate, self.LATE * task.max_steps)
        self.reset()

    def reset(self, seed: int | None = None) -> None:
        """See Expert."""
        rng = self._rng if seed is None else np.random.default_rng([seed, self.SALT])
        self._habits = self.HABITS.draw(rng)
        self._tremor = SmoothNoise(rng, self._habits.tremor)
        self._enter(self.FIRST)
        self._help: Help | None = None
        self._detector.reset()
        self._forget()

    def act(self, view: OperatorView) -> OperatorCommand:
        """See Expert."""
        sight = self.SIGHT(view)
        if view.mode is Mode.DEMONSTRATE:
            return self._go_on(sight, self._habits)
        if self._help is None:
            stuck = {"no progress": (self._detector.no_progress(sight), self.STUCK)}
            due = self._detector.look({**self._signs(sight), **stuck}, sight.step)
            if due is None:
                return IDLE
            sign, least = due
            self._help = max(least, self._needed(sight, sign))
            self._enter(self._entry(sight))
        elif self._detector.mended(sight, self._help):
            self._help = None
            self._forget()
            return IDLE
        return self._go_on(sight, self._habits.brisk())

    @abstractmethod
    def _signs(self, sight: S) -> Signs:
        """Signs of failure beside a lack of progress; asked once a tick while the policy drives."""

    @abstractmethod
    def _needed(self, sight: S, sign: str) -> Help:
        """How far help for a sign goes at least."""

    @abstractmethod
    def _entry(self, sight: S) -> P:
        """Phase from which a takeover goes on with what the robot has done so far."""

    @abstractmethod
    def _next(self, sight: S, habits: H) -> P | None:
        """The phase that begins now; None: the present one lasts."""

    @abstractmethod
    def _target(self, sight: S, habits: H) -> Vector:
        """Where the tool (3,) should be in this phase, base frame [m]."""

    def _forget(self) -> None:
        """Clears what `_signs` remembers; at an episode's start and after each takeover."""

    def _drive(self, sight: S, habits: H) -> OperatorCommand:
        """One tick of this phase: straight to the target, with the tool pointing down."""
        share = 0.3 if self._phase in self.SLOW else 1.0
        pull = habits.gain * (self._target(sight, habits) - sight.tool)
        velocity = limited(pull / self._limits.linear_velocity * share, habits.speed)
        turn = turn_to(sight.view.proprio.quaternion, TOOL_DOWN)
        angular = self._turning(turn, gain=2.0, dead_zone=0.03, most=0.5)
        gripper: Gripper = "close" if self._phase in self.CLOSED else "open"
        return self._command(velocity + self._tremor() * share, angular, gripper)

    def _turning(self, turn: Vector, gain: float, dead_zone: float, most: float) -> Vector:
        """Angular part (3,) of a twist, up to `most` of full scale, that makes a turn (3,) [rad].

        gain [1/s]; dead_zone: of each axis [rad].
        """
        wanted: Vector = gain * np.where(np.abs(turn) < dead_zone, 0.0, turn)
        return (wanted / self._limits.angular_velocity).clip(-most, most)

    def _command(
        self, linear: Vector, angular: Vector, gripper: Gripper | None = None
    ) -> OperatorCommand:
        """An active command of a twist's parts (3,), cut to full scale."""
        return OperatorCommand(np.clip(np.concatenate([linear, angular]), -1.0, 1.0), gripper, True)

    def _go_on(self, sight: S, habits: H) -> OperatorCommand:
        self._ticks += 1
        begins = self._next(sight, habits)
        if begins is not None:
            self._enter(begins)
        return self._drive(sight, habits)

    def _enter(self, phase: P) -> None:
        self._phase, self._ticks = phase, 0


def limited(vector: Vector, most: float) -> Vector:
    """The vector, made shorter where it is longer than `most`."""
    size = float(np.linalg.norm(vector))
    return vector * (most / size) if size > most else vector


def nudged(vector: Vector) -> Vector:
    """The velocity, of full scale, made as great as moves the tool where it is less; nothing stays
    nothing."""
    size = float(np.linalg.norm(vector))
    return vector * max(1.0, NUDGE / max(size, _NOTHING))
