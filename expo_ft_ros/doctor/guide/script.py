# SPDX-License-Identifier: Apache-2.0
"""The guide from its first line to its last: one check after the other, each as far as the operator
wants it, all of them over where a motion was wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import numpy as np

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.doctor.guide.checks import (
    REST_TIME,
    Course,
    Result,
    Step,
    check_axes,
    check_still,
    check_stop,
    check_workspace,
)
from expo_ft_ros.doctor.guide.judge import REST_ANGLE, REST_LENGTH, STOPPED_WITHIN
from expo_ft_ros.doctor.guide.motions import SHARE, Cell, EndedError, HeldError, WrongError
from expo_ft_ros.experiment.brought_up import Status
from expo_ft_ros.monitor.projection import Camera

Keep = Callable[[str, Status, str, Mapping[str, object]], None]
"""Takes a check's name, its status, the same in words, and what was measured."""

_INTROS = {
    "still": f"Nothing is commanded for {REST_TIME:g} s: the tool must move less than "
    f"{1e3 * REST_LENGTH:g} mm and {np.degrees(REST_ANGLE):.1f} degrees. Keep away from the arm.",
    "axes": f"Each axis of the tool is jogged at {SHARE:.0%} of the limits, forth and back, then "
    "the gripper closes and opens. Watch where the tool goes, seen from behind the base.",
    "workspace": "The tool is raised to the top of the workspace's box, which the console's scene "
    "and rviz draw, and walks its corners. Watch that it stays clear of everything.",
    "stop": "The tool goes to and fro, and you press E-STOP: it must stand within "
    f"{STOPPED_WITHIN:g} s.",
    "cameras": "Nothing moves. A picture of each camera is written to a file: look at its framing.",
}


def steps_of(
    wanted: Sequence[str], folder: Path, before: Mapping[str, ImageArray] | None
) -> list[Step]:
    """The checks, in their order.

    Args:
        wanted: Their names.
        folder: Where pictures are written.
        before: View -> its first image of a demonstration; None without demonstrations.
    """
    courses: dict[str, Callable[[Cell], Course]] = {
        "still": check_still,
        "axes": check_axes,
        "workspace": check_workspace,
        "stop": check_stop,
        "cameras": lambda cell: check_cameras(cell, folder, before),
    }
    return [Step(name, _INTROS[name], courses[name]) for name in courses if name in wanted]


def guide(cell: Cell, steps: Sequence[Step], keep: Keep) -> Generator[None, None, None]:
    """Goes through the checks; whatever happens, the arm is nobody's then.

    Args:
        cell: What is measured, and who answers.
        steps: The checks.
        keep: Is called as soon as a check is over.

    Raises:
        ClosedInputError: where nobody can answer any more.
    """
    try:
        yield from _begin(cell)
        for number, step in enumerate(steps, start=1):
            cell.talk.say(f"\n[{number}/{len(steps)}] {step.name}: {step.intro}")
            if not (yield from _go_through(cell, step, keep)):
                return
    except EndedError:
        cell.talk.say("Ended here, as you wish. What was done is kept.")
    finally:
        cell.asked.let_go()


def _begin(cell: Cell) -> Generator[None, None, None]:
    """Waits until the whole graph is there."""
    seen = cell.seen
    if not _is_there(cell):
        cell.talk.say("Waiting for the graph and the robot ...")
    while not _is_there(cell):
        yield
    seen.answer = ""


def _is_there(cell: Cell) -> bool:
    seen = cell.seen
    planned = seen.episode.state not in ("", "idle")
    return bool(planned and seen.poses and set(cell.robot.view_names) <= seen.images.keys())


def _go_through(cell: Cell, step: Step, keep: Keep) -> Generator[None, None, bool]:
    """One check, as often as the operator wants it; gives whether to go on with the next."""
    question = "Begin?"
    while True:
        answer = yield from cell.talk.ask(question)
        if answer == "no":
            raise EndedError
        if answer == "skip":
            keep(step.name, "skipped", "by the operator", {})
            return True
        cell.numbers = {}
        try:
            result = yield from step.run(cell)
        except HeldError as held:
            cell.asked.let_go()
            cell.talk.say(f"  {step.name}: not done: {held}.")
            question = "Try it again?"
            continue
        except WrongError as wrong:
            cell.asked.let_go()
            judgement = wrong.judgement
            text = f"{judgement.text}. Likely: {judgement.cause}" if judgement.cause else str(wrong)
            keep(step.name, "failed", text, {**cell.numbers, "last": dict(judgement.numbers)})
            cell.talk.say(
                f"  WRONG, the arm is commanded to stand. {judgement.text}.\n"
                f"  Likely: {judgement.cause}."
            )
            return False
        cell.asked.let_go()
        keep(step.name, result.status, result.text, cell.numbers)
        cell.talk.say(f"  {step.name}: {result.status}: {result.text}")
        return True


def check_cameras(cell: Cell, folder: Path, before: Mapping[str, ImageArray] | None) -> Course:
    """A picture of each view is written, compared where there are demonstrations, and shown."""
    # OpenCV, for whom it is asked.
    from expo_ft_ros.doctor.guide import pictures

    seen, talk = cell.seen, cell.talk
    flaws = []
    for view in cell.robot.view_names:
        image = seen.images[view]
        place = folder / f"{cell.robot.name}_{view}.png"
        words, shown = "", pictures.plain(image)
        pictures.save(place, image)
        if before is not None:
            place = folder / f"{cell.robot.name}_{view}_compared.png"
            shown, shift = (
                pictures.blended(image, before[view]),
                pictures.shift_of(image, before[view]),
            )
            words = f", {pictures.in_words(shift)}"
            cell.numbers[view] = {name: round(value, 3) for name, value in shift._asdict().items()}
        elif view in seen.cameras and seen.poses:
            pose = seen.poses[-1]
            place = folder / f"{cell.robot.name}_{view}_workspace.png"
            shown = pictures.outlined(
                image, seen.cameras[view], cell.box, pose.position, pose.quaternion
            )
        pictures.save(place, shown)
        talk.say(f"{view}: {place}{words}")
        answer = yield from talk.ask(_framing(before is not None, seen.cameras.get(view)))
        if answer != "yes":
            flaws.append(f"{view} {'skipped' if answer == 'skip' else 'is framed wrong'}")
    if flaws:
        status: Status = "failed" if any("wrong" in flaw for flaw in flaws) else "skipped"
        return Result(status, ", ".join(flaws))
    return Result("passed", f"{', '.join(cell.robot.view_names)}, seen in {folder}")


def _framing(compared: bool, camera: Camera | None) -> str:
    if compared:
        return "Do table, base and the edges of the picture lie as in the demonstration?"
    if camera is None:
        return "Does it show what the policy needs to see, sharp and bright?"
    whole = "" if camera.on_tool else ", and is all of it in the picture"
    return f"Do the lines lie where the workspace is{whole}?"
