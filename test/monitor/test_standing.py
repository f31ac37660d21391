# SPDX-License-Identifier: Apache-2.0
"""Who would reach in reads whether the arm stands, and what has it move again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from expo_ft_ros.control.arbiter import DEVICE_LOST, NOT_TAKEN_OVER
from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.headline import headline
from expo_ft_ros.monitor.standing import UNKNOWN, standing
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, SessionView, View

RUNNING = View(
    session=SessionView("rl", 3, 0, 411, 3000),
    episode=EpisodeSnapshot(9, "running", "rl", steps=4),
    driver=Source.POLICY,
)
HELD = replace(RUNNING, driver=Source.HOLD)
SILENT = (Diagnostic(Level.STALE, "arbitration", "nothing heard for 4 s"),)
LOST = (Diagnostic(Level.ERROR, "teleop", DEVICE_LOST),)


def state(name: str, **more: object) -> View:
    return replace(HELD, episode=replace(HELD.episode, state=name, **more))


MOMENTS = (
    (View(), ""),
    (RUNNING, ""),
    (replace(RUNNING, driver=Source.HUMAN), ""),
    (replace(RUNNING, motion_off=True), "commanded to stand"),
    (replace(RUNNING, diagnostics=SILENT), UNKNOWN),
    (replace(HELD, diagnostics=LOST), "Go on alone"),
    (replace(HELD, cause="camera/wrist stale"), "(camera/wrist stale), and goes on by itself"),
    (replace(HELD, cause=NOT_TAKEN_OVER), "until somebody drives"),
    (state("stopped", cause="estop"), "until Release; then it goes on by itself"),
    (state("stopped", cause="estop", asked="look"), "until Release; then it waits for Reset"),
    (state("stopped", cause="estop", paused=True), "until Release; then for Resume"),
    (replace(state("stopped"), fault="reflex"), "until Recover, then Release"),
    (state("paused", paused=True), "until Resume"),
    (state("ended", paused=True), "until Resume"),
    (state("resetting", asked="refill the bin"), "until Reset; to reach in"),
    (state("resetting"), "may move"),
    (replace(state("resetting"), driver=Source.HUMAN), ""),
    (replace(state("ended", asked="look"), session=SessionView("done")), "the run is over"),
    (state("deciding", success=True), "goes on by itself"),
    (replace(state("ended"), learning=LearningView("update", 0.4, 60.0)), "goes on by itself"),
    (replace(state("ended"), result="27 of 30"), "nothing commands"),
)


@pytest.mark.parametrize(("view", "words"), MOMENTS, ids=lambda part: str(part)[-30:])
def test_each_moment_says_so(view, words):
    said = standing(view)
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize("view", [view for view, _ in MOMENTS], ids=str)
def test_what_the_headline_asks_to_press_is_what_the_arm_waits_for(view):
    button = {"recover": "Recover", "release": "Release", "resume": "Resume", "reset": "Reset"}
    press = headline(view).press
    assert button.get(press, "") in standing(view)
