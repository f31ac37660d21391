# SPDX-License-Identifier: Apache-2.0
"""The whole guide against an arm in the same process: what passes, and what ends it at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.doctor.guide.answers import ANSWERS
from expo_ft_ros.doctor.guide.judge import AXES
from expo_ft_ros.experiment.brought_up import CHECKS
from expo_ft_ros.tasks import load_task
from support.guided_arm import Defects, GuidedArm

MOTIONS = tuple(name for name in CHECKS if name != "cameras")


@pytest.mark.parametrize("robot", ["sim", "crisp"])
def test_an_arm_that_does_as_it_is_told_passes_and_stays_in_the_box(robot, tmp_path):
    arm = GuidedArm(robot)
    start = arm.position.copy()
    said = arm.run(CHECKS, tmp_path)
    assert {name: kept[0] for name, kept in arm.kept.items()} == dict.fromkeys(CHECKS, "passed"), (
        said
    )
    box = load_task("cube_pick").workspace
    path = np.array(arm.path)
    assert (path >= box.low).all()
    assert (path <= box.high).all()
    # All eight corners: a little inside the box.
    for axis in range(3):
        assert path[:, axis].min() < box.low[axis] + 0.04
        assert path[:, axis].max() > box.high[axis] - 0.04
    numbers = arm.kept["axes"][2]
    assert set(AXES) <= set(numbers)
    assert not arm.asked.drives
    assert not arm.asked.action.any()
    # It is back at its start, but for the jog that was stopped.
    assert np.linalg.norm(arm.position - start) < 0.06


def test_an_arm_that_lags_is_judged_once_it_stands(tmp_path):
    arm = GuidedArm(defects=Defects(lag=0.8))
    arm.run(("still", "axes"), tmp_path)
    assert {name: kept[0] for name, kept in arm.kept.items()} == {
        "still": "passed",
        "axes": "passed",
    }


def swapped(a, b):
    """Commands along a move the tool along b, and the other way round."""
    moves = np.eye(6)
    moves[[a, b]] = moves[[b, a]]
    return moves


def scaled(axis, factor):
    moves = np.eye(6)
    moves[axis, axis] = factor
    return moves


def leaning(axis, onto, share):
    """Commands along one axis move the tool along another as well."""
    moves = np.eye(6)
    moves[onto, axis] = share
    return moves


@pytest.mark.parametrize("axis", range(6))
@pytest.mark.parametrize(
    ("factor", "cause"),
    [(-1.0, "other way"), (2.0, "limits"), (0.4, "limits"), (0.0, "not active")],
)
def test_an_axis_that_goes_another_way_ends_it_at_once(axis, factor, cause, tmp_path):
    arm = GuidedArm(defects=Defects(moves=scaled(axis, factor)))
    said = arm.run(CHECKS, tmp_path)
    status, text, _ = arm.kept["axes"]
    assert status == "failed"
    assert cause in text, text
    assert AXES[axis] in text
    assert list(arm.kept) == ["still", "axes"], "nothing moves any more"
    assert "WRONG" in said
    assert not arm.asked.drives
    assert not arm.asked.action.any()


@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5)])
def test_crossed_axes_are_told_as_such(a, b, tmp_path):
    arm = GuidedArm(defects=Defects(moves=swapped(a, b)))
    arm.run(MOTIONS, tmp_path)
    status, text, _ = arm.kept["axes"]
    assert status == "failed"
    assert "frames.base" in text
    # Seen while it moves: the wrong way was little longer than what is noise.
    assert np.abs(arm.position - arm.path[0]).max() < 0.012


def test_a_tool_that_moves_as_it_turns_has_another_centre(tmp_path):
    arm = GuidedArm(defects=Defects(moves=leaning(4, 0, 0.2)))
    arm.run(MOTIONS, tmp_path)
    status, text, _ = arm.kept["axes"]
    assert status == "failed"
    assert "tool centre" in text


@given(
    axis=st.integers(0, 5),
    factor=st.floats(-2.0, 2.0).filter(lambda f: not 0.65 < f < 1.35),
)
def test_no_wrong_size_passes(axis, factor, tmp_path_factory):
    arm = GuidedArm(defects=Defects(moves=scaled(axis, factor)))
    arm.run(("axes",), tmp_path_factory.getbasetemp())
    assert arm.kept["axes"][0] == "failed"


@given(turn=st.floats(0.5, 2 * np.pi - 0.5))
def test_no_base_that_is_mounted_turned_passes(turn, tmp_path_factory):
    c, s = np.cos(turn), np.sin(turn)
    about = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    moves = np.kron(np.eye(2), about)
    arm = GuidedArm(defects=Defects(moves=moves))
    arm.run(("axes",), tmp_path_factory.getbasetemp())
    status, text, _ = arm.kept["axes"]
    assert status == "failed"
    assert "frames.base" in text


def test_an_arm_that_moves_by_itself_is_not_jogged(tmp_path):
    arm = GuidedArm(defects=Defects(drift=np.array([0.0, 0.002, 0.0, 0.0, 0.0, 0.0])))
    said = arm.run(CHECKS, tmp_path)
    assert list(arm.kept) == ["still"]
    assert arm.kept["still"][0] == "failed"
    assert "motion of its own" in said
    assert not any(step.velocity.any() for step in arm.seen.steps)


@pytest.mark.parametrize(("sign", "cause"), [(-1, "polarity"), (0, "no goals")])
def test_a_gripper_that_does_something_else(sign, cause, tmp_path):
    arm = GuidedArm(defects=Defects(gripper=sign))
    arm.run(("axes",), tmp_path)
    status, text, _ = arm.kept["axes"]
    assert status == "failed"
    assert cause in text


def test_an_arm_that_goes_on_after_a_stop_fails(tmp_path):
    arm = GuidedArm(defects=Defects(coasts=0.5))
    arm.run(("stop", "cameras"), tmp_path)
    assert list(arm.kept) == ["stop"]
    status, _, numbers = arm.kept["stop"]
    assert status == "failed"
    assert numbers["last"]["stood_after"] == pytest.approx(0.5, abs=0.05)


def test_a_corner_out_of_reach_fails(tmp_path):
    arm = GuidedArm(defects=Defects(walls=np.array([0.55, np.inf, np.inf])))
    arm.run(("workspace", "stop"), tmp_path)
    assert list(arm.kept) == ["workspace"]
    status, text, _ = arm.kept["workspace"]
    assert status == "failed"
    assert "out of the arm's reach" in text


def test_what_the_operator_saw_otherwise_fails(tmp_path):
    arm = GuidedArm()

    def answer(asked):
        return (
            "no"
            if asked.endswith("to the right, seen from behind the base, then back? ")
            else ("yes")
        )

    arm.run(MOTIONS, tmp_path, answer)
    status, text, _ = arm.kept["axes"]
    assert status == "failed"
    assert "not seen so" in text


def test_nothing_moves_before_a_yes(tmp_path):
    arm = GuidedArm()

    def answer(asked):
        return "no" if "The arm moves from now on" in asked else "yes"

    said = arm.run(MOTIONS, tmp_path, answer)
    assert list(arm.kept) == ["still"]
    assert not arm.moved_at
    assert "Ended here" in said


def test_what_is_skipped_is_kept_as_such(tmp_path):
    arm = GuidedArm()
    arm.run(CHECKS, tmp_path, lambda asked: "skip" if "Begin?" in asked else "yes")
    assert {name: kept[0] for name, kept in arm.kept.items()} == dict.fromkeys(CHECKS, "skipped")
    assert not arm.moved_at


def test_another_answer_is_asked_for_again(tmp_path):
    arm, typed = GuidedArm(), iter(["", "y", "yes please", "YES"])
    said = arm.run(("still",), tmp_path, lambda asked: next(typed))
    assert arm.kept["still"][0] == "passed"
    assert said.count(f"is none of {', '.join(ANSWERS)}") == 3


def test_a_tool_outside_the_box_is_not_driven(tmp_path):
    arm = GuidedArm(position=(0.45, 0.4, 0.2))
    tries = []

    def answer(asked):
        if "Try it again?" in asked:
            tries.append(asked)
            return "skip"
        return "yes"

    arm.run(("axes",), tmp_path, answer)
    (asked,) = tries
    assert "guide it inside by hand" in asked
    assert arm.kept["axes"][0] == "skipped"
    assert not arm.moved_at


def test_a_stop_in_the_middle_is_no_failure_and_the_check_can_be_tried_again(tmp_path):
    arm, asked_again = GuidedArm(stops=False), []
    step = arm.step

    def stopping():
        step()
        if len(arm.moved_at) == 20:
            arm._say("stopped", "estop")
            arm.moved_at.append(0.0)
        elif arm.seen.episode.state == "stopped" and asked_again:
            arm._say("resetting", asked="look at the scene: after a stop")

    arm.step = stopping

    def answer(asked):
        if "Try it again?" in asked:
            asked_again.append(asked)
        return "yes"

    arm.run(("axes",), tmp_path, answer)
    assert "the arm is held: estop" in asked_again[0]
    assert arm.kept["axes"][0] == "passed"


def test_frames_of_cameras_are_the_operator_s_to_judge(tmp_path):
    arm = GuidedArm()
    said = arm.run(("cameras",), tmp_path, lambda asked: "yes" if "Begin?" in asked else "no")
    assert arm.kept["cameras"][0] == "failed"
    assert "side is framed wrong" in said
    assert (tmp_path / "sim_side.png").is_file()


def test_pictures_are_compared_with_a_demonstration(tmp_path):
    arm = GuidedArm()
    before = {view: image.copy() for view, image in arm.seen.images.items()}
    said = arm.run(("cameras",), tmp_path, before=before)
    assert arm.kept["cameras"][0] == "passed"
    assert set(arm.kept["cameras"][2]) == {"side", "wrist"}
    assert "lie as in the demonstration" in said
    assert (tmp_path / "sim_wrist_compared.png").is_file()
