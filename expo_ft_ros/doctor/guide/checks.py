# SPDX-License-Identifier: Apache-2.0
"""The guided checks of motion, each a generator that gives way once a tick: what is told, asked,
moved and measured. What is wrong ends all of them (`motions.WrongError`)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np

from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.doctor.guide.judge import (
    AXES,
    CAUSE_SIGN,
    Judgement,
    judge_gripper,
    judge_stop,
)
from expo_ft_ros.doctor.guide.motions import (
    JOG_TIME,
    SHARE,
    Cell,
    HeldError,
    WrongError,
    jog,
    look,
    move_gripper,
    newest_pose,
    stop_call,
    take_arm,
    wait,
    walk,
)
from expo_ft_ros.doctor.guide.seen import Vector
from expo_ft_ros.experiment.brought_up import Status

REST_TIME = 3.0
"""For which an arm that nobody commands is looked at [s]."""

_MARGIN, _MARGIN_SHARE = 0.03, 0.15  # of corners from the faces: [m], and of a side at most
_STOP_LEG = 2.0  # of the jog that is stopped [s]
_STOP_PATIENCE = 120.0  # [s]
_STOP_LOOKS = 1.5  # after the stop [s]
_INSIDE = 0.01  # [m]

_WAYS = (
    ("away from the base", "towards the base"),
    ("to the left, seen from behind the base", "to the right, seen from behind the base"),
    ("up", "down"),
    ("counter-clockwise, seen from in front", "clockwise, seen from in front"),
    ("counter-clockwise, seen from its left", "clockwise, seen from its left"),
    ("counter-clockwise, seen from above", "clockwise, seen from above"),
)
"""Of each axis: where the tool goes, one way and the other."""


@dataclass(frozen=True)
class Result:
    """What came of a check: its status, and in words."""

    status: Status
    text: str


Course = Generator[None, None, Result]


@dataclass(frozen=True)
class Step:
    """A check.

    Attributes:
        name: One of `brought_up.CHECKS`.
        intro: What will happen and what to look for, before it is asked whether to begin.
        run: Its course.
    """

    name: str
    intro: str
    run: Callable[[Cell], Course]


def check_still(cell: Cell) -> Course:
    """Nothing is commanded, and the tool stays where it is."""
    judgement = yield from look(cell, REST_TIME)
    cell.numbers.update(judgement.numbers)
    if not judgement.passed:
        raise WrongError(judgement)
    return Result("passed", judgement.text)


def check_axes(cell: Cell) -> Course:
    """Each axis forth and back, then the gripper."""
    talk, scale = cell.talk, cell.robot.limits.scale()
    yield from take_arm(cell)
    require_inside(cell)
    middle = (np.array(cell.box.low) + cell.box.high) / 2
    for axis, name in enumerate(AXES):
        pose = newest_pose(cell)
        sign = -1 if axis < 3 and pose.position[axis] > middle[axis] else 1
        far = SHARE * scale[axis] * JOG_TIME
        size = f"{np.degrees(far):.0f} degrees" if axis >= 3 else f"{1e3 * far:.0f} mm"
        way = _WAYS[axis][sign < 0]
        verb = "turn" if axis >= 3 else "go"
        talk.say(f"{name}: the tool is to {verb} {size} {way}, and back ...")
        forth = yield from jog(cell, axis, sign)
        back = yield from jog(cell, axis, -sign)
        for judgement in (forth, back):
            talk.say(f"  {judgement.text}")
        cell.numbers[name] = [dict(forth.numbers), dict(back.numbers)]
        yield from confirm(
            cell,
            f"Did you see it {verb} {way}, then back?",
            f"{name}: measured {way}, not seen so",
            CAUSE_SIGN,
        )
        yield from take_arm(cell)
    talk.say("gripper: it closes, then opens ...")
    before = cell.seen.width
    closed = yield from move_gripper(cell, "close")
    opened = yield from move_gripper(cell, "open")
    judgement = judge_gripper(before or 0.0, closed, opened, cell.robot.limits)
    cell.numbers["gripper"] = dict(judgement.numbers)
    if not judgement.passed:
        raise WrongError(judgement)
    talk.say(f"  {judgement.text}")
    yield from confirm(
        cell, "Did you see it close, then open?", "gripper: measured, not seen so", judgement.cause
    )
    return Result("passed", f"each axis at {SHARE:.0%} of the limits, forth and back; gripper")


def check_workspace(cell: Cell) -> Course:
    """The corners of the box are walked, and the tool is brought back."""
    yield from take_arm(cell)
    require_inside(cell)
    start = newest_pose(cell).position.copy()
    low, high = corners_of(cell)
    above = np.array([start[0], start[1], high[2]])
    yield from _walk(cell, "above the start", above)
    upper = list(ring(start, low, high))
    for number, place in enumerate(upper, start=1):
        yield from _walk(cell, f"upper corner {number}", place)
    seen = "upper four corners"
    question = (
        f"The lower four as well? The tool goes down to {low[2]:.3f} m at each; between them it is "
        "raised. The table and all on it must be below."
    )
    if (yield from cell.talk.ask(question)) == "yes":
        seen = "eight corners"
        yield from take_arm(cell)
        for number, place in enumerate(upper, start=1):
            yield from _walk(cell, f"upper corner {number}", place)
            yield from _walk(cell, f"lower corner {number}", np.array([*place[:2], low[2]]))
            yield from _walk(cell, f"upper corner {number}", place)
    yield from take_arm(cell)
    yield from _walk(cell, "above the start", above)
    yield from _walk(cell, "the start", start)
    yield from confirm(
        cell,
        "Did the tool stay above the table, in the cameras' views, and clear of everything?",
        "workspace: not clear",
        "the workspace of the task or of the robot: measure it with the tool",
    )
    return Result("passed", f"{seen} of {cell.box}")


def check_stop(cell: Cell) -> Course:
    """The arm is jogged until the operator stops it, and stands soon after that."""
    while True:
        judgement = yield from _stop_once(cell)
        if judgement is not None:
            break
        yield from _release(cell)
        cell.talk.say("The arm was just turning back: nothing was seen of the stop. Once more.")
    cell.numbers.update(judgement.numbers)
    if not judgement.passed:
        raise WrongError(judgement)
    cell.talk.say(f"  {judgement.text}")
    yield from _release(cell)
    return Result("passed", judgement.text)


def _stop_once(cell: Cell) -> Generator[None, None, Judgement | None]:
    """One try; it ends with the stop latched."""
    seen, asked = cell.seen, cell.asked
    yield from take_arm(cell)
    require_inside(cell)
    cell.talk.say(
        "The tool goes to and fro. Press E-STOP in the console while it moves, or call\n"
        f"{stop_call(cell, stops=True)}\n(skip, and Enter, goes on without)"
    )
    middle = (np.array(cell.box.low) + cell.box.high) / 2
    position = newest_pose(cell).position
    axis = int(np.argmax(np.abs(middle - position)[:2]))
    sign = 1 if position[axis] < middle[axis] else -1
    begun = seen.now
    while seen.episode.state != State.STOPPED:
        if seen.now > begun + _STOP_PATIENCE:
            raise HeldError("nobody has pressed E-STOP")
        if (cell.talk.typed() or "").lower() in ("skip", "no"):
            raise HeldError("E-STOP was not tried")
        if seen.fault or seen.episode.paused or seen.episode.state != State.RUNNING:
            raise HeldError(f"the arm is held: {seen.fault or seen.episode.cause}")
        leg = int((seen.now - begun) / _STOP_LEG)
        asked.action = np.zeros(6)
        asked.action[axis] = (sign if leg % 2 == 0 else -sign) * SHARE
        yield
    # It goes on asking: the stop must hold against it.
    latched = seen.episode.stamp
    until = seen.now + _STOP_LOOKS
    while seen.now < until:
        yield
    asked.let_go()
    since = latched - 1.0
    return judge_stop(
        latched,
        [each for each in seen.twists if each[0] > since],
        [(pose.stamp, pose.position) for pose in seen.poses_since(since)],
        SHARE * cell.robot.limits.linear_velocity,
    )


def _release(cell: Cell) -> Generator[None, None, None]:
    """Waits until the operator has released the stop."""
    cell.talk.say(f"Now release it: Release in the console, or\n{stop_call(cell, stops=False)}")
    while cell.seen.episode.state == State.STOPPED:
        yield


def require_inside(cell: Cell) -> None:
    """Raises HeldError for a tool outside the box: the filter lets it only come back."""
    position = newest_pose(cell).position
    low, high = np.array(cell.box.low), np.array(cell.box.high)
    if (position < low + _INSIDE).any() or (position > high - _INSIDE).any():
        place = ", ".join(f"{value:.3f}" for value in position)
        raise HeldError(
            f"the tool is at ({place}) m, at or outside the faces of the box, {cell.box}: guide it "
            "inside by hand, under the robot's own stop"
        )


def corners_of(cell: Cell) -> tuple[Vector, Vector]:
    """Two opposite corners that are walked to: a little inside the box."""
    low, high = np.array(cell.box.low), np.array(cell.box.high)
    margin = np.minimum(_MARGIN, _MARGIN_SHARE * (high - low))
    return low + margin, high - margin


def ring(start: Vector, low: Vector, high: Vector) -> Iterator[Vector]:
    """The four upper corners, the nearest first, then around."""
    around = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    places = [np.array([x, y, high[2]]) for x, y in around]
    first = int(np.argmin([np.linalg.norm(place[:2] - start[:2]) for place in places]))
    for number in range(4):
        yield places[(first + number) % 4]


def _walk(cell: Cell, name: str, place: Vector) -> Generator[None, None, None]:
    judgement = yield from walk(cell, name, place)
    cell.talk.say(f"  {judgement.text}")
    cell.numbers[name] = dict(judgement.numbers)


def confirm(cell: Cell, question: str, unseen: str, cause: str) -> Generator[None, None, None]:
    """The operator says whether it was seen; meanwhile the arm stands.

    Raises:
        WrongError: for a no.
        HeldError: where the operator skips it.
    """
    cell.asked.rest()
    answer = yield from cell.talk.ask(question)
    if answer == "no":
        raise WrongError(Judgement(False, unseen, cause))
    if answer == "skip":
        raise HeldError("the operator has not confirmed it")
    yield from wait(cell, 0.0)
