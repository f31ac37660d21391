# SPDX-License-Identifier: Apache-2.0
"""A leader arm: the tool follows how the leader's tool has moved since the operator took over.

From where both were at the first command that was executed of a takeover, the tool's target is its
own pose then, moved and turned as the leader's since. Velocity is proportional to what is left to
the target. So nothing moves when a takeover begins, and where the leader stands doesn't matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import compose, inverse, matrix_of, rotation_of, rotation_vector
from expo_ft_ros.devices.leader_config import LeaderConfig
from expo_ft_ros.robots import RobotLimits

Vector = NDArray[np.float64]
Pose = tuple[Vector, Vector]
"""(3,) position [m] and (4,) quaternion x, y, z, w."""
Reading = tuple[Vector, list[int]]
"""What a joystick would say: (6,) of the tool in base axes, in [-1, 1], and three buttons, 0 or 1:
close, open, hold."""

_CLOSED, _OPENED = 0.6, 0.4  # share of the trigger's way beyond which it is one or the other
_PRESS = 0.3  # a button is told for so long: some of its messages may be lost [s]


class Kinematics(Protocol):
    """What is needed of `robots.arm_model.ArmModel`."""

    def pose(self, joints: Vector) -> Pose:
        """Of the tip in the base link."""


@dataclass(frozen=True)
class _Anchor:
    """Where both were when the operator took over; the tool's moves on with what is let go of."""

    leader: Pose
    tool: Pose


@dataclass
class _Hand:
    """What is known of the operator's hand. rested: where the leader was at `rested_at`; until: end
    of a gripper button's press; barred: the clutch's button is to be let go of first."""

    anchor: _Anchor | None = None
    rested: Pose | None = None
    rested_at: float = -np.inf
    moved_at: float = -np.inf
    held: bool = False
    barred: bool = True
    squeeze: float | None = None
    closed: bool | None = None
    until: float = -np.inf


class Leader:
    """Give it what comes by `take`, `press` and `lose`, and ask for a `reading` `rate` times a
    second. All times [s] never go back."""

    def __init__(self, config: LeaderConfig, limits: RobotLimits, model: Kinematics) -> None:
        """Begins without a reading. limits: of the robot; model: of the leader."""
        self._config, self._model = config, model
        self._scale = limits.scale()[:6]
        self._yaw = rotation_of(np.array([0.0, 0.0, config.yaw]))
        self._joints: Vector | None = None
        self._taken_at = self._pressed_at = -np.inf
        self._flaw = self._event = self._loss = ""
        self._hand = _Hand()

    @property
    def loss(self) -> str:
        """Why the newest reading was that of a lost device; "" where it wasn't."""
        return self._loss

    def take(self, positions: Vector, now: float) -> None:
        """The leader is here. positions: of `LeaderConfig.wanted`, all finite [rad]."""
        joints, before = np.array(positions[: len(self._config.joints)]), self._joints
        if now - self._taken_at > self._config.timeout:
            self._event = "the leader was silent" if before is not None else self._event
        elif before is not None:
            # A whole turn is the same posture, told otherwise.
            step = np.abs((joints - before + np.pi) % (2 * np.pi) - np.pi)
            worst = int(np.argmax(step))
            if step[worst] > self._config.jump:
                name = self._config.joints[worst]
                self._event = f"joint {name} jumped by {step[worst]:.2f} rad between two readings"
        self._flaw = ""
        self._joints, self._taken_at = joints, now
        if self._config.trigger is not None:
            self._hand.squeeze = self._config.trigger.share(float(positions[-1]))

    def press(self, held: bool, now: float) -> None:
        """A word of the device that the clutch's button is on."""
        # One that was held before anybody knew is nobody's word.
        self._hand.barred = self._hand.barred and held
        self._hand.held, self._pressed_at = held and not self._hand.barred, now

    def lose(self, flaw: str) -> None:
        """What came can't be used: the leader is lost until something better comes."""
        self._flaw = self._event = flaw

    def reading(self, tool: Pose | None, driven: bool, now: float) -> Reading | None:
        """What is to be told now; all NaN of a leader that is lost, None where it never came.

        Args:
            tool: Measured, in the robot's base frame; None: not known.
            driven: Whether the newest command that was executed was the operator's.
            now: Time [s].
        """
        config, event, self._event = self._config, self._event, ""
        self._loss = self._flaw or event
        if self._joints is not None and now - self._taken_at > config.timeout:
            self._loss = self._loss or "the leader is silent"
        if self._hand.held and now - self._pressed_at > config.timeout:
            self._loss = self._loss or "the clutch's button is silent"
        if self._loss:
            self._hand = _Hand()
            return np.full(6, np.nan), [0, 0, 0]
        if self._joints is None:
            return None
        leader = self._model.pose(self._joints)
        self._watch(leader, now)
        by_button = config.clutch == "button"
        holds = self._hand.held if by_button else now - self._hand.moved_at < config.rest
        buttons = [*self._gripper(holds or not by_button, now), int(holds)]
        if holds and driven and tool is not None:
            return self._follow(leader, tool), buttons
        self._hand.anchor = None
        return np.zeros(6), buttons

    def _watch(self, leader: Pose, now: float) -> None:
        """Whether the leader moves: from where it was at most `rest` ago."""
        rested = self._hand.rested
        if rested is not None:
            way = float(np.linalg.norm(leader[0] - rested[0]))
            turn = float(np.linalg.norm(_turn(rested[1], leader[1])))
            if way >= self._config.start or turn >= self._config.start_turn:
                self._hand.moved_at, rested = now, None
        if rested is None or now - self._hand.rested_at >= self._config.rest:
            self._hand.rested, self._hand.rested_at = leader, now

    def _gripper(self, counts: bool, now: float) -> tuple[int, int]:
        """Close and open: only a trigger that is squeezed or let go says so, not where it is."""
        share, before = self._hand.squeeze, self._hand.closed
        if share is not None and (share > _CLOSED or share < _OPENED):
            self._hand.closed = share > _CLOSED
        if counts and before is not None and self._hand.closed is not before:
            self._hand.until = now + _PRESS
        told = now < self._hand.until
        return int(told and self._hand.closed is True), int(told and self._hand.closed is False)

    def _follow(self, leader: Pose, tool: Pose) -> Vector:
        """(6,) towards the target, in [-1, 1]."""
        config = self._config
        anchor = self._hand.anchor or _Anchor(leader, tool)
        moved = config.scale * matrix_of(self._yaw) @ (leader[0] - anchor.leader[0])
        turned = compose(leader[1], inverse(anchor.leader[1]))
        turned = compose(compose(self._yaw, turned), inverse(self._yaw))
        way = anchor.tool[0] + moved - tool[0]
        turn = _turn(tool[1], compose(turned, anchor.tool[1]))
        way, turn = _at_most(way, config.lead), _at_most(turn, config.turn_lead)
        facing = compose(inverse(turned), compose(rotation_of(turn), tool[1]))
        facing = facing / np.linalg.norm(facing)
        self._hand.anchor = _Anchor(anchor.leader, (tool[0] + way - moved, facing))
        twist = config.gain * np.concatenate([way, turn]) / self._scale
        parts = (twist[:3], twist[3:])
        return np.concatenate([part / max(1.0, float(np.abs(part).max())) for part in parts])


def _at_most(vector: Vector, length: float) -> Vector:
    return np.asarray(vector * min(1.0, length / max(float(np.linalg.norm(vector)), 1e-12)))


def _turn(actual: Vector, wanted: Vector) -> Vector:
    return rotation_vector(compose(wanted, inverse(actual)))
