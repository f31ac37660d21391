# SPDX-License-Identifier: Apache-2.0
"""How the guide moves the arm: as a device would, slowly, and no further than it does what it is
told. Each motion is a generator that gives way once a tick and is over when it returns."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np

from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.doctor.guide.answers import Talk
from expo_ft_ros.doctor.guide.judge import (
    CAUSE_CROSSED,
    CAUSE_SIGN,
    Judgement,
    judge_corner,
    judge_jog,
    judge_rest,
    watch_jog,
)
from expo_ft_ros.doctor.guide.seen import Asked, Pose, Seen, Vector, commanded, displacement
from expo_ft_ros.robots import RobotConfig, Workspace

Ticks = Generator[None, None, None]

SHARE = 0.1
"""Of the robot's limits, that an axis is jogged at."""
JOG_TIME, SETTLE_TIME = 1.0, 0.8
"""Of a jog, and until what it came to is measured at the earliest [s]."""
_STILL_FOR, _SETTLE_MOST = 0.4, 4.0  # of the tool before a jog is judged, and at most after it [s]
_STILL_WITHIN = 5e-4  # [m, rad]
WALK_SPEED = 0.05
"""To and between corners, at most half of the limit [m/s]."""

_OLD = 0.3  # of the newest pose [s]
_ENOUGH = 0.5  # of a jog has to be sent, else the graph has held it
_GAIN = 2.0  # of the way that is left, a second [1/s]
_NEAR, _NEAR_FOR = 0.004, 0.3  # [m], [s]
_ASTRAY = 0.03  # from the straight way [m]
_TURNED = 0.15  # on the way [rad]
_PATIENCE = 10.0  # over twice the time that the way takes [s]
_PRESS = 0.3  # of a gripper's button [s]
_GRIPPER_STARTS, _GRIPPER_RESTS, _GRIPPER_MOST = 1.0, 0.8, 8.0  # [s]
_GRIPPER_MOVES = 0.001  # [m]
_ANSWERED = 3.0  # [s]


class WrongError(Exception):
    """A measured motion is not the commanded one: nothing may move any more."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.text)
        self.judgement = judgement


class HeldError(Exception):
    """Something has kept a motion from being tried; the words say what."""


class EndedError(Exception):
    """The operator wants to end here."""


@dataclass
class Cell:
    """What a check works with.

    Attributes:
        seen, asked: What is measured, and what the guide asks for.
        talk: With the operator.
        robot: Which.
        box: For the tool; it lies within the robot's.
        estop: Whole name of the service that stops and releases.
        numbers: What has been measured in the check, for the record.
    """

    seen: Seen
    asked: Asked
    talk: Talk
    robot: RobotConfig
    box: Workspace
    estop: str = "/estop"
    numbers: dict[str, object] = field(default_factory=dict)


def stop_call(cell: Cell, *, stops: bool) -> str:
    """What is typed to stop the arm, or to release it, where there is no console."""
    value = str(stops).lower()
    return f"  ros2 service call {cell.estop} std_srvs/srv/SetBool '{{data: {value}}}'"


def wait(cell: Cell, seconds: float) -> Ticks:
    """Lets time pass."""
    until = cell.seen.now + seconds
    while cell.seen.now < until:
        yield


def newest_pose(cell: Cell) -> Pose:
    """Of the tool; raises HeldError where there is none of now."""
    if not cell.seen.poses:
        raise HeldError("nothing comes on robot/tcp_pose")
    pose = cell.seen.poses[-1]
    if cell.seen.now - pose.stamp > _OLD:
        raise HeldError(f"robot/tcp_pose is {cell.seen.now - pose.stamp:.1f} s old")
    return pose


def require_running(cell: Cell) -> None:
    """Raises HeldError where the control loop holds the arm."""
    seen, episode = cell.seen, cell.seen.episode
    if seen.fault:
        raise HeldError(f"the robot has stopped itself: {seen.fault}")
    if episode.paused or episode.state != State.RUNNING:
        raise HeldError(f"the arm is held: {episode.cause or episode.state}")


def take_arm(cell: Cell) -> Ticks:
    """Waits until the control loop lets the guide drive, and asks the operator what it wants to
    know before that.

    Raises:
        EndedError: where the operator says no.
    """
    seen, talk, told = cell.seen, cell.talk, ""
    while True:
        episode = seen.episode
        if episode.state == State.RESETTING and episode.asked:
            yield from _set_scene(cell)
            continue
        words = ""
        if seen.fault:
            words = f"The robot has stopped itself: {seen.fault}. Recover it, then Release."
        elif episode.state == State.STOPPED:
            call = stop_call(cell, stops=False)
            words = f"Stopped ({episode.cause}): press Release in the console, or call\n{call}"
        elif episode.paused:
            words = "Paused: press Resume in the console."
        elif episode.state == State.RUNNING:
            break
        if words and words != told:
            talk.say(words)
        told = words
        yield
    cell.asked.drives = True


def _set_scene(cell: Cell) -> Ticks:
    seen = cell.seen
    question = (
        "The arm moves from now on. Gripper empty, its way clear, nobody within its reach, the "
        "robot's own stop in a hand?"
    )
    if (yield from cell.talk.ask(question)) != "yes":
        raise EndedError
    while seen.episode.state == State.RESETTING and seen.episode.asked:
        seen.answer = ""
        cell.asked.scene_is_set = True
        until = seen.now + _ANSWERED
        while seen.now < until and seen.episode.asked and not seen.answer:
            yield
        # A word that comes too soon after the last episode's end is refused.
        yield from wait(cell, 0.3)


def jog(cell: Cell, axis: int, sign: int) -> Generator[None, None, Judgement]:
    """Jogs one axis of the twist, and judges what came of it.

    Args:
        cell: With the arm taken.
        axis: 0 to 5.
        sign: 1 or -1.

    Raises:
        WrongError: as soon as the arm does something else.
        HeldError: where the graph hasn't sent the jog.
    """
    seen, asked = cell.seen, cell.asked
    whole = sign * SHARE * cell.robot.limits.scale()[axis] * JOG_TIME
    start, begun = newest_pose(cell), seen.now
    asked.action = np.zeros(6)
    asked.action[axis] = sign * SHARE
    still, moved_at = start, begun
    while seen.now < begun + JOG_TIME + SETTLE_TIME or (
        # A controller that lags goes on for a while.
        seen.now < min(moved_at + _STILL_FOR, begun + JOG_TIME + _SETTLE_MOST)
    ):
        if seen.now >= begun + JOG_TIME:
            asked.rest()
        yield
        require_running(cell)
        if np.abs(displacement(still, newest_pose(cell))).max() > _STILL_WITHIN:
            still, moved_at = newest_pose(cell), seen.now
        wrong = watch_jog(axis, whole, displacement(start, newest_pose(cell)))
        if wrong is not None:
            raise WrongError(wrong)
    steps = seen.steps_since(begun)
    expected = float(commanded(steps, seen.now)[axis])
    if abs(expected) < _ENOUGH * abs(whole):
        causes = dict.fromkeys(step.cause for step in steps if step.cause)
        raise HeldError(f"the graph held the jog back: {', '.join(causes) or 'nobody drove'}")
    judgement = judge_jog(axis, expected, displacement(start, newest_pose(cell)))
    if not judgement.passed:
        raise WrongError(judgement)
    return judgement


def walk(cell: Cell, name: str, target: Vector) -> Generator[None, None, Judgement]:
    """Drives the tool straight to a place, without turning it.

    Args:
        cell: With the arm taken.
        name: Of the place.
        target: (3,) base frame [m].

    Raises:
        WrongError: where it leaves its way, or doesn't come there in time.
        HeldError: where the graph holds the arm.
    """
    seen, asked = cell.seen, cell.asked
    limit = cell.robot.limits.linear_velocity
    speed = min(WALK_SPEED, 0.5 * limit)
    start = newest_pose(cell)
    least = float(np.linalg.norm(target - start.position))
    until = seen.now + _PATIENCE + 2 * least / speed
    near_since = None
    while seen.now < until:
        pose = newest_pose(cell)
        left = target - pose.position
        distance = float(np.linalg.norm(left))
        least = min(least, distance)
        _require_way(name, start, pose, target, distance - least)
        if distance > _NEAR:
            near_since = None
        elif near_since is None:
            near_since = seen.now
        elif seen.now - near_since >= _NEAR_FOR:
            break
        velocity = _GAIN * left
        velocity *= min(1.0, speed / max(float(np.linalg.norm(velocity)), 1e-9))
        asked.action = np.concatenate([velocity / limit, np.zeros(3)])
        yield
        require_running(cell)
    asked.rest()
    yield from wait(cell, _NEAR_FOR)
    judgement = judge_corner(name, target, newest_pose(cell).position)
    if not judgement.passed:
        cause = "out of the arm's reach (joint limits, a singularity): make the workspace smaller"
        raise WrongError(Judgement(False, judgement.text, cause, judgement.numbers))
    return judgement


def _require_way(name: str, start: Pose, pose: Pose, target: Vector, back: float) -> None:
    """Raises WrongError for a tool that isn't on its way. back: by how much it went back [m]."""
    whole, gone = target - start.position, pose.position - start.position
    share = float(np.clip(gone @ whole / max(float(whole @ whole), 1e-9), 0.0, 1.0))
    aside = float(np.linalg.norm(gone - share * whole))
    turned = float(np.linalg.norm(displacement(start, pose)[3:]))
    cause = ""
    if back > _ASTRAY:
        cause = CAUSE_SIGN
    elif aside > _ASTRAY or turned > _TURNED:
        cause = CAUSE_CROSSED
    if cause:
        text = (
            f"on the way to {name}: {1e3 * aside:.0f} mm beside the straight way, "
            f"{1e3 * back:.0f} mm back, turned by {np.degrees(turned):.0f} degrees"
        )
        raise WrongError(Judgement(False, text, cause))


def move_gripper(cell: Cell, way: str) -> Generator[None, None, float]:
    """Presses a gripper's button and waits until the fingers rest; gives the opening [m].

    Args:
        cell: With the arm taken.
        way: open or close.

    Raises:
        HeldError: where no opening comes.
    """
    seen, asked = cell.seen, cell.asked
    begun = changed = seen.now
    before = _width(cell)
    asked.gripper = "open" if way == "open" else "close"
    while seen.now < begun + _GRIPPER_MOST:
        if seen.now > begun + _PRESS:
            asked.gripper = ""
        yield
        require_running(cell)
        if abs(_width(cell) - before) > _GRIPPER_MOVES:
            before, changed = _width(cell), seen.now
        if seen.now > begun + _GRIPPER_STARTS and seen.now > changed + _GRIPPER_RESTS:
            break
    asked.gripper = ""
    return _width(cell)


def _width(cell: Cell) -> float:
    if cell.seen.width is None:
        raise HeldError("joint_states have no fingers")
    return cell.seen.width


def look(cell: Cell, seconds: float) -> Generator[None, None, Judgement]:
    """Looks at an arm that nobody commands. Raises HeldError where no pose comes."""
    start, begun = newest_pose(cell), cell.seen.now
    while cell.seen.now < begun + seconds:
        yield
        newest_pose(cell)
    poses = cell.seen.poses_since(begun)
    return judge_rest([displacement(start, pose) for pose in poses], seconds)
