# SPDX-License-Identifier: Apache-2.0
"""The headline says what the operator needs first, and names only buttons that can be pressed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.control.arbiter import DEVICE_LOST, NOT_TAKEN_OVER
from expo_ft_ros.control.chunk_executor import NO_CHUNK
from expo_ft_ros.control.episode_machine import EpisodeSnapshot, State
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.controls import said_of
from expo_ft_ros.monitor.controls_page import BUTTONS
from expo_ft_ros.monitor.headline import Tone, headline
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, SessionView, View

COLLECTING = View(
    session=SessionView("collect", 0, 2), episode=EpisodeSnapshot(1, "running", "collect")
)
ONLINE = View(
    session=SessionView("rl", 3, 0, 411, 3000),
    episode=EpisodeSnapshot(9, "running", "rl", steps=4),
    driver=Source.POLICY,
    learning=LearningView("idle"),
)
EVALUATING = replace(
    ONLINE,
    session=SessionView("eval_after", 2, 30),
    episode=EpisodeSnapshot(9, "running", "eval_after"),
)
SHADOWED = replace(
    ONLINE,
    session=SessionView("shadow", 2, 30),
    episode=EpisodeSnapshot(9, "running", "shadow"),
    motion_off=True,
)
PUSH = "push it"
HANDS = {"driver": Source.HOLD, "cause": NOT_TAKEN_OVER}
ENDED = EpisodeSnapshot(9, "ended", "rl")
RESETTING = replace(ENDED, state="resetting")
LOST = (Diagnostic(Level.ERROR, "teleop", DEVICE_LOST),)
REPEATED = (
    Diagnostic(Level.OK, "session", f"rl: held: {DEVICE_LOST}"),
    Diagnostic(Level.STALE, "teleop", f"nothing heard for 4 s (last: {DEVICE_LOST})"),
)
SILENT = Diagnostic(Level.STALE, "arbitration", "nothing heard for 4 s")
RELEASED = EpisodeSnapshot(1, "running", "collect", steps=9, human_steps=7)
ASKED = EpisodeSnapshot(9, "resetting", "rl", asked="refill the bin")
STOPPED = EpisodeSnapshot(9, "stopped", "rl", cause="estop", asked="look at the scene")
OVER = EpisodeSnapshot(9, "deciding", "rl", success=True, cause="classifier: lifted")

MOMENTS = (
    (View(), "STARTING", "the nodes", Tone.BUSY, ""),
    (View(session=SessionView(note="waiting for camera")), "STARTING", "camera", Tone.BUSY, ""),
    (replace(COLLECTING, **HANDS, take_over=PUSH), "YOUR TURN", "(push it)", Tone.TURN, ""),
    (replace(COLLECTING, **HANDS), "WAITING", "for the scripted operator", Tone.CALM, ""),
    (replace(COLLECTING, take_over=PUSH), "YOUR TURN", "1 of 2: take over", Tone.TURN, ""),
    (replace(COLLECTING, driver=Source.HUMAN), "A HUMAN DRIVES", "the arm waits", Tone.HUMAN, ""),
    (ONLINE, "POLICY DRIVES", "episode 9, 411 of 3000 online steps", Tone.GOOD, ""),
    (replace(ONLINE, cause="workspace"), "POLICY DRIVES", "altered: workspace", Tone.GOOD, ""),
    (SHADOWED, "NOTHING MOVES", "trial 3 of 30: the policy commands", Tone.BUSY, ""),
    (replace(SHADOWED, driver=Source.HUMAN), "NOTHING MOVES", "the operator com", Tone.BUSY, ""),
    (replace(SHADOWED, episode=STOPPED), "STOPPED", "Release, then look", Tone.BAD, "release"),
    (replace(ONLINE, driver=Source.HUMAN), "A HUMAN DRIVES", "policy's again", Tone.HUMAN, ""),
    (replace(ONLINE, take_over=PUSH), "POLICY DRIVES", "to take over: push it", Tone.GOOD, ""),
    (EVALUATING, "HANDS OFF", "trial 3 of 30", Tone.GOOD, ""),
    (
        replace(EVALUATING, driver=Source.HUMAN),
        "A HUMAN DRIVES", "makes the trial void", Tone.HUMAN, "",
    ),
    (
        replace(EVALUATING, episode=replace(EVALUATING.episode, human_steps=2)),
        "POLICY DRIVES", "trial 3 of 30 is void: you have driven in it", Tone.GOOD, "",
    ),
    (replace(ONLINE, driver=Source.HOLD, cause="old"), "HELD", "goes on by its", Tone.HELD, ""),
    (replace(ONLINE, driver=Source.HOLD), "READY", "first chunk", Tone.CALM, ""),
    (
        replace(ONLINE, driver=Source.HOLD, diagnostics=LOST),
        "HELD", "Go on alone", Tone.HELD, "acknowledge",
    ),
    # What was said before somebody drove again, by whom else it may be repeated, counts no more.
    (replace(ONLINE, diagnostics=LOST), "POLICY DRIVES", "episode 9", Tone.GOOD, ""),
    (
        replace(ONLINE, driver=Source.HUMAN, diagnostics=REPEATED),
        "A HUMAN DRIVES", "let go", Tone.HUMAN, "",
    ),
    (replace(ONLINE, driver=Source.HOLD, diagnostics=REPEATED), "READY", "", Tone.CALM, ""),
    (replace(ONLINE, episode=ASKED), "YOUR TURN", "refill the bin", Tone.TURN, "reset"),
    (replace(ONLINE, episode=STOPPED), "STOPPED", "Release, then look", Tone.BAD, "release"),
    (
        replace(ONLINE, episode=replace(STOPPED, asked="")),
        "STOPPED", "until Release, which begins the next episode (E-STOP was", Tone.BAD, "release",
    ),
    (
        replace(ONLINE, episode=replace(STOPPED, asked="", paused=True)),
        "STOPPED", "nothing moves until Release, then Resume", Tone.BAD, "release",
    ),
    (
        replace(ONLINE, episode=STOPPED, fault="reflex"),
        "STOPPED", "press Recover once its cause is out of the way, then Release: reflex",
        Tone.BAD, "recover",
    ),
    (
        replace(ONLINE, episode=EpisodeSnapshot(9, "paused", "rl", paused=True)),
        "PAUSED", "the arm is held", Tone.PAUSED, "resume",
    ),
    (
        replace(ONLINE, episode=replace(ENDED, paused=True)),
        "PAUSED", "no ep", Tone.PAUSED, "resume",
    ),
    (replace(ONLINE, episode=OVER), "SUCCESS?", "press Failure", Tone.BUSY, ""),
    (
        replace(ONLINE, episode=replace(OVER, success=False), motion_off=True),
        "NOTHING COUNTS", "lifted", Tone.BUSY, "",
    ),
    (
        replace(ONLINE, episode=replace(OVER, success=False)),
        "NO SUCCESS?", "press Success", Tone.BUSY, "",
    ),
    (
        replace(ONLINE, episode=ENDED, learning=LearningView("update", 0.37, 52.0)),
        "LEARNING 37%", "about 50 s: the robot waits, then goes on by itself", Tone.BUSY, "",
    ),
    (
        View(session=SessionView("imitation"), learning=LearningView("imitation", 0.1, 130.0)),
        "IMITATING 10%", "about 2 min", Tone.BUSY, "",
    ),
    (
        replace(
            ONLINE, driver=Source.HOLD, episode=RESETTING, learning=LearningView("update")
        ),
        "RESETTING", "the scene", Tone.BUSY, "",
    ),
    (replace(ONLINE, diagnostics=(SILENT,)), "NO WORD", "stop the robot", Tone.BAD, ""),
    (
        replace(COLLECTING, **HANDS, take_over=PUSH, episode=RELEASED),
        "WAITING FOR YOU", "go on driving", Tone.CALM, "",
    ),
    (replace(ONLINE, episode=RESETTING, driver=Source.HOLD), "RESETTING", "", Tone.BUSY, ""),
    (
        replace(ONLINE, episode=RESETTING, driver=Source.HUMAN),
        "A HUMAN DRIVES", "the reset, for ", Tone.HUMAN, "",
    ),
    (
        replace(ONLINE, session=SessionView("done"), episode=replace(ASKED, state="ended")),
        "FINISHED", "", Tone.CALM, "",
    ),
    (replace(ONLINE, episode=ENDED, learning=LearningView("saving")), "SAVING", "", Tone.BUSY, ""),
    (replace(ONLINE, episode=ENDED), "NEXT", "episode 9", Tone.CALM, ""),
    (
        replace(ONLINE, driver=Source.HOLD, cause=NO_CHUNK),
        "READY", "for the first", Tone.CALM, "",
    ),
    (
        replace(
            ONLINE, driver=Source.HOLD, cause=NO_CHUNK, sources=np.array([Source.POLICY], np.uint8)
        ),
        "HELD", "no chunk", Tone.HELD, "",
    ),
    (replace(ONLINE, ending=True), "ENDED", "look at it", Tone.HELD, ""),
    (replace(ONLINE, result="27 of 30"), "FINISHED", "nothing commands", Tone.CALM, ""),
)  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[1]} {moment[2]}")
def test_each_moment_has_its_headline(moment):
    view, words, more, tone, press = moment
    said = headline(view)
    assert (said.words, said.tone, said.press) == (words, tone, press)
    assert more in said.more


def test_steps_are_counted_only_where_something_learns():
    assert headline(ONLINE).more == "episode 9, 411 of 3000 online steps"
    assert headline(replace(ONLINE, learning=LearningView())).more == "episode 9"


@given(
    state=st.sampled_from([*State, "recorded"]),
    stage=st.sampled_from(["", "collect", "imitation", "eval_before", "rl", "shadow", "done"]),
    driver=st.sampled_from(Source),
    cause=st.sampled_from(["", "workspace", NOT_TAKEN_OVER, DEVICE_LOST]),
    learning=st.sampled_from(["", "idle", "imitation", "update"]),
    asked=st.sampled_from(["", "refill the bin"]),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_what_it_says_to_press_can_be_pressed(state, stage, driver, cause, learning, asked, flags):
    paused, human, success = flags
    view = View(
        session=SessionView(stage, 1, 4),
        learning=LearningView(learning, 0.5),
        take_over=PUSH if human else "",
        episode=EpisodeSnapshot(
            3,
            str(state),
            stage,
            asked=asked,
            paused=paused or state == State.PAUSED,
            success=success,
        ),
        driver=driver,
        cause=cause,
    )
    first, said = headline(view), said_of(view)
    assert first.words
    assert first.press in ("", *BUTTONS)
    assert first.press not in said["idle"]
    assert "estop" not in said["idle"]
    if driver is Source.HUMAN and state == State.RUNNING and not (paused or asked):
        assert first.tone is Tone.HUMAN
