# SPDX-License-Identifier: Apache-2.0
"""What a measured motion says: whether it is the one that was commanded, else what is likely wrong.

Displacements are (6,): along x, y, z of the base frame [m], then about them [rad].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.robots import RobotLimits

Vector = NDArray[np.float64]

AXES = ("x", "y", "z", "rotation about x", "rotation about y", "rotation about z")
"""Of a twist, in their order."""

SIZE = 0.3
"""Share by which a motion may be longer or shorter than it was commanded."""
LENGTH, ANGLE = 0.003, 0.02
"""What is noise in any case [m], [rad]."""
ASTRAY_LENGTH, ASTRAY_ANGLE = 0.006, 0.04
"""A turn may move the tool, and a shift turn it, by so much [m], [rad]."""
REST_LENGTH, REST_ANGLE = 0.002, 0.01
"""An arm that nobody commands moves by less [m], [rad]."""
ARRIVED = 0.01
"""Of a corner that was walked to [m]."""
STOPPED_WITHIN = 0.25
"""After a stop [s]."""
STANDS, STANDS_LEAST = 0.3, 0.003
"""A tool that is slower than this share of the jog, or than this [m/s], has come to rest: what is
left of a smoothed stop fades within the next tenths of a second."""
DRIFT = 0.002
"""By which a stopped arm may still move afterwards [m]."""
_MOVED = 0.3  # of a motion; with less it hasn't begun
_BEFORE, _MOVES = 0.3, 0.5  # so shortly before a stop the arm had this share of the jog's speed [s]
_SETTLED = 0.5  # after a stop, from when on it is at rest [s]
_GRIPPER_CLOSED, _GRIPPER_OPEN = 0.35, 0.65  # of the widest opening

CAUSE_SIGN = (
    "the adapter or the controller counts this axis the other way, or frames.base of the robot's "
    "file is turned against the controller's base"
)
CAUSE_CROSSED = (
    "frames.base of the robot's file is not the frame that the controller takes commands in (a "
    "base that is mounted turned?), or the adapter swaps axes"
)
CAUSE_SIZE = "limits of the robot's file, or a unit or a scale of the controller (speed_units?)"
CAUSE_STILL = (
    "the controller is not active, its brakes are closed, or robot/tcp_pose is not this arm's"
)
CAUSE_TOOL = (
    "robot/tcp_pose and the controller have different tool centre points (the load in Desk?)"
)
CAUSE_POLARITY = (
    "the gripper's polarity: opening is positive in robot/gripper_cmd, and fingers of the robot's "
    "file must add up to the opening"
)
CAUSE_GRIPPER = (
    "the gripper gets no goals (its action, its homing), or fingers of the robot's file are others"
)
CAUSE_MOVES = (
    "its controller has a motion of its own, somebody else commands it, or somebody pushes it"
)
CAUSE_STOP = "the controller goes on without commands: it is not ready for a policy"


@dataclass(frozen=True)
class Judgement:
    """What came of a motion.

    Attributes:
        passed: Whether it is right.
        text: What was commanded and what was measured, in a line.
        cause: What is likely wrong; empty where it passed.
        numbers: What was measured, for the record.
    """

    passed: bool
    text: str
    cause: str = ""
    numbers: Mapping[str, float | list[float]] = field(default_factory=dict)


def tolerances(axis: int, expected: float) -> Vector:
    """(6,) by which each part of a displacement may differ from the commanded one.

    Args:
        axis: The commanded one.
        expected: How far, of either sign.
    """
    turn = axis >= 3
    own = max(SIZE * abs(expected), ANGLE if turn else LENGTH)
    shift = ASTRAY_LENGTH if turn else own
    return np.array([shift] * 3 + [own if turn else ASTRAY_ANGLE] * 3)


def judge_jog(axis: int, expected: float, measured: Vector) -> Judgement:
    """Of a jog that is over.

    Args:
        axis: Which was commanded, 0 to 5.
        expected: How far it was commanded, with its sign [m] or [rad].
        measured: (6,) displacement of the tool.
    """
    measured = np.asarray(measured, np.float64)
    allowed, along = tolerances(axis, expected), float(measured[axis])
    text = f"{AXES[axis]}: commanded {_amount(axis, expected)}, measured {_amounts(measured)}"
    numbers: dict[str, float | list[float]] = {
        "commanded": round(float(expected), 5),
        "measured": [round(float(value), 5) for value in measured],
    }
    if not np.isfinite(measured).all():
        return Judgement(False, text, CAUSE_STILL, {"commanded": round(float(expected), 5)})
    others = np.delete(np.abs(measured) > allowed, axis)
    same_kind = [i for i in (range(3, 6) if axis >= 3 else range(3)) if i != axis]
    moved = np.abs(measured[[axis, *same_kind]]).max() >= _MOVED * abs(expected)
    if not moved and not others.any():
        return Judgement(False, text, CAUSE_STILL, numbers)
    if (np.abs(measured[same_kind]) > allowed[same_kind]).any():
        return Judgement(False, text, CAUSE_CROSSED, numbers)
    if others.any():
        return Judgement(False, text, CAUSE_TOOL, numbers)
    if along * expected < 0:
        return Judgement(False, text, CAUSE_SIGN, numbers)
    if abs(along - expected) > allowed[axis]:
        return Judgement(False, text, CAUSE_SIZE, numbers)
    return Judgement(True, text, "", numbers)


def watch_jog(axis: int, whole: float, measured: Vector) -> Judgement | None:
    """Of a jog that goes on: what is wrong already, so that the arm has to stop at once.

    Args:
        axis: Which is commanded.
        whole: How far it will be at most, with its sign.
        measured: (6,) displacement of the tool so far.
    """
    measured = np.asarray(measured, np.float64)
    if not np.isfinite(measured).all():
        return judge_jog(axis, whole, measured)
    allowed = tolerances(axis, whole)
    strayed = np.abs(measured) > allowed
    along = float(measured[axis]) * np.sign(whole)
    strayed[axis] = along < -allowed[axis] or along > abs(whole) + allowed[axis]
    if not strayed.any():
        return None
    found = judge_jog(axis, whole, measured)
    # What is wrong in its course is so, whatever its end would have been.
    return found if not found.passed else Judgement(False, found.text, CAUSE_SIZE, found.numbers)


def judge_rest(displacements: Sequence[Vector] | Vector, seconds: float) -> Judgement:
    """Of an arm that nobody commands.

    Args:
        displacements: (n, 6) of the tool since the beginning.
        seconds: For how long it was looked at.
    """
    moved = np.abs(np.asarray(displacements, np.float64).reshape(-1, 6))
    if not len(moved) or not np.isfinite(moved).all():
        return Judgement(False, "nothing came on robot/tcp_pose", CAUSE_STILL)
    far, turned = float(moved[:, :3].max()), float(moved[:, 3:].max())
    text = (
        f"in {seconds:g} s the tool moved {1e3 * far:.1f} mm and turned {np.degrees(turned):.2f} "
        f"degrees (allowed: {1e3 * REST_LENGTH:g} mm, {np.degrees(REST_ANGLE):.1f} degrees)"
    )
    numbers: dict[str, float | list[float]] = {"moved": round(far, 5), "turned": round(turned, 5)}
    still = far <= REST_LENGTH and turned <= REST_ANGLE
    return Judgement(still, text, "" if still else CAUSE_MOVES, numbers)


def judge_gripper(before: float, closed: float, opened: float, limits: RobotLimits) -> Judgement:
    """Of an empty gripper that was closed and then opened.

    Args:
        before: Opening at the start [m].
        closed: After closing [m].
        opened: After opening [m].
        limits: Of the robot.
    """
    widest = limits.gripper_max_width
    text = (
        f"gripper: opening {_mm(before)} at the start, {_mm(closed)} after closing, {_mm(opened)} "
        f"after opening (of {_mm(widest)})"
    )
    numbers: dict[str, float | list[float]] = {
        "before": round(before, 4),
        "closed": round(closed, 4),
        "opened": round(opened, 4),
    }
    if not np.isfinite([before, closed, opened]).all():
        return Judgement(False, text, CAUSE_GRIPPER)
    if opened - closed < -_MOVED * widest or closed - before > _MOVED * widest:
        return Judgement(False, text, CAUSE_POLARITY, numbers)
    if closed > _GRIPPER_CLOSED * widest or opened < _GRIPPER_OPEN * widest:
        return Judgement(False, text, CAUSE_GRIPPER, numbers)
    return Judgement(True, text, "", numbers)


def judge_corner(name: str, target: Vector, measured: Vector) -> Judgement:
    """Of a corner, or the start, that was driven to.

    Args:
        name: Of the place.
        target: (3,) where it was to be [m].
        measured: (3,) where the tool is [m].
    """
    off = float(np.linalg.norm(np.asarray(measured) - target))
    text = f"{name}: {_place(measured)}, {1e3 * off:.1f} mm from {_place(target)}"
    numbers: dict[str, float | list[float]] = {
        "target": [round(float(v), 4) for v in target],
        "measured": [round(float(v), 4) for v in measured],
    }
    passed = bool(off <= ARRIVED)
    return Judgement(passed, text, "" if passed else CAUSE_STILL, numbers)


def judge_stop(
    latched: float,
    twists: Sequence[tuple[float, Vector]],
    positions: Sequence[tuple[float, Vector]],
    jog: float,
) -> Judgement | None:
    """Of a stop while the arm was jogged.

    Args:
        latched: When the stop was latched [s].
        twists: (stamp [s], velocity (6,) of the tool [m/s, rad/s]) before and after it, in order.
        positions: (stamp [s], position (3,) of the tool [m]), likewise.
        jog: Speed of the jog [m/s].

    Returns:
        None where it didn't move as the stop came, so that nothing was seen.
    """
    speeds = [(stamp - latched, float(np.linalg.norm(twist[:3]))) for stamp, twist in twists]
    slow = max(STANDS * jog, STANDS_LEAST)
    if not any(-_BEFORE < since <= 0 and speed >= _MOVES * jog for since, speed in speeds):
        return None
    if not any(since >= STOPPED_WITHIN for since, _ in speeds):
        return Judgement(False, "stop: nothing was measured after it", CAUSE_STOP)
    # What isn't finite is no rest either.
    moving = [since for since, speed in speeds if since > 0 and not speed <= slow]
    stood_after = max(moving, default=0.0)
    rest = [position for stamp, position in positions if stamp >= latched + _SETTLED]
    drift = float(np.ptp(rest, axis=0).max()) if rest else 0.0
    text = (
        f"stop: slower than {1e3 * slow:.1f} mm/s after {stood_after:.2f} s (allowed: "
        f"{STOPPED_WITHIN:g} s), then moved {1e3 * drift:.1f} mm (allowed: {1e3 * DRIFT:g} mm)"
    )
    numbers: dict[str, float | list[float]] = {
        "stood_after": round(stood_after, 3),
        "drift": round(drift, 5),
    }
    passed = stood_after <= STOPPED_WITHIN and drift <= DRIFT
    return Judgement(passed, text, "" if passed else CAUSE_STOP, numbers)


def _amount(axis: int, value: float) -> str:
    return f"{np.degrees(value):+.1f} degrees" if axis >= 3 else f"{1e3 * value:+.1f} mm"


def _amounts(measured: Vector) -> str:
    shift = " ".join(f"{1e3 * value:+.1f}" for value in measured[:3])
    turn = " ".join(f"{np.degrees(value):+.1f}" for value in measured[3:])
    return f"x y z {shift} mm, about them {turn} degrees"


def _mm(value: float) -> str:
    return f"{1e3 * value:.0f} mm"


def _place(position: Vector) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in position) + ") m"
