# SPDX-License-Identifier: Apache-2.0
"""What is said, and that nothing of it is taken for HTML."""

import re
from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.markup import diagnostics_html, q_html, reply_html, rows_html, state_html
from expo_ft_ros.monitor.standing import UNKNOWN
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, View

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def test_text_of_others_is_no_markup():
    snapshot = EpisodeSnapshot(1, "stopped", HOSTILE, cause=HOSTILE)
    said = Diagnostic(Level.ERROR, HOSTILE, HOSTILE)
    view = View(episode=snapshot, cause=HOSTILE, reward=HOSTILE, diagnostics=(said,))
    held = state_html(view)
    driven = state_html(replace(view, driver=Source.HUMAN))
    rest = [reply_html(HOSTILE), rows_html({HOSTILE: HOSTILE}), diagnostics_html([said])]
    odd = state_html(View(episode=EpisodeSnapshot(1, HOSTILE)))
    for html in (held, driven, odd, *rest):
        assert "<img" not in html
        assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_what_the_operator_must_know_is_said():
    assert "nobody drives: camera/side is 0.4 s old" in state_html(
        View(cause="camera/side is 0.4 s old")
    )
    assert "human drives" in state_html(View(driver=Source.HUMAN))
    running = View(episode=EpisodeSnapshot(1, "running"), driver=Source.POLICY)
    assert "<b>running</b>" in state_html(running)
    held = state_html(replace(running, driver=Source.HOLD, cause="no chunk"))
    assert "<b>held</b>" in held, "an arm that stands isn't called running"
    assert "running" not in held
    assert "no episode yet" in state_html(View())
    altered = state_html(View(driver=Source.POLICY, cause="workspace", reward="gripper open"))
    assert "altered: workspace" in altered
    assert "classifier: gripper open" in altered


def test_what_is_not_known_is_not_said_to_stand_and_what_is_shown_only_not_to_run():
    running = View(episode=EpisodeSnapshot(1, "running", "rl"), driver=Source.POLICY)
    silent = Diagnostic(Level.STALE, "arbitration", "nothing heard for 4 s")
    html = state_html(replace(running, diagnostics=(silent,)))
    assert "<b>unknown</b>" in html
    assert UNKNOWN in html
    assert "policy drives" not in html
    html = state_html(replace(running, motion_off=True))
    assert "<b>shown only</b>" in html
    assert "policy commands" in html
    asked = replace(running.episode, state="resetting", asked="refill the bin")
    html = state_html(replace(running, episode=asked, driver=Source.HOLD))
    assert "<b>waits for you</b>" in html
    assert "until Reset" in html


def test_a_terminal_that_was_closed_is_no_fault_of_the_graph():
    closed = Diagnostic(Level.STALE, "keyboard", "nothing heard for 112 s (last: ready)")
    assert "nothing heard" not in state_html(View(diagnostics=(closed,)))
    failed = Diagnostic(Level.ERROR, "keyboard", "no terminal")
    assert "no terminal" in state_html(View(diagnostics=(closed, failed)))


def test_where_nothing_learns_the_stage_is_not_called_rl():
    online = View(episode=EpisodeSnapshot(4, "running", "rl"), driver=Source.POLICY)
    assert "nothing learns · episode 4" in state_html(online)
    learning = replace(online, learning=LearningView("idle"))
    assert "rl · episode 4" in state_html(learning)


def test_the_worst_comes_first():
    said = [
        Diagnostic(Level.OK, "a", ""),
        Diagnostic(Level.WARN, "b", "slow"),
        Diagnostic(Level.STALE, "c", ""),
        Diagnostic(Level.ERROR, "d", "gone"),
        Diagnostic(Level.ERROR, "e", "gone too"),
    ]
    html = diagnostics_html(said)
    places = [html.index(words) for words in ("gone", "gone too", "stale", "slow", "well: a")]
    assert places == sorted(places)
    assert "d: gone (and 2 more" in state_html(View(diagnostics=tuple(said)))


def test_a_node_that_has_fallen_silent_is_said_beside_the_buttons():
    silent = Diagnostic(Level.STALE, "arbitration", "nothing heard for 4 s")
    assert "arbitration: nothing heard for 4 s" in state_html(View(diagnostics=(silent,)))


def bars(html: str) -> list[float]:
    """Heights in per cent."""
    return [float(height) for height in re.findall(r"--h:([\d.]+)%", html)]


def test_each_candidate_has_a_bar_between_0_and_1_by_kind():
    q = np.array([-0.4, 0.25, 0.5, 1.3], np.float32)
    html = q_html(View(q=q, kind=np.array([0, 0, 1, 2], np.uint8), chosen=2))
    assert bars(html) == [0.0, 25.0, 50.0, 100.0]
    groups = html.split("<div")[2:]
    assert [group.count("<i") for group in groups[1:]] == [2, 1, 1]
    for name in ("2 base", "1 edited", "1 gripper"):
        assert name in html
    assert html.count('class="chosen"') == 1
    assert "<b>0.50</b> of 1 (framed: executed), among -0.40 to 1.30" in html


def test_how_far_the_members_are_apart_is_an_error_bar():
    view = View(
        q=np.array([0.1, 0.6], np.float32),
        kind=np.zeros(2, np.uint8),
        chosen=1,
        member_spread=np.array([0.2, 0.05], np.float32),
    )
    html = q_html(view)
    assert re.findall(r"--l:([\d.]+)%;--e:([\d.]+)%", html) == [("0.0", "30.0"), ("55.0", "10.0")]
    assert "0.60</b> ± 0.05 of 1, <b>sure</b> (framed: executed)" in html
    assert "framed: would be executed" in q_html(replace(view, motion_off=True))
    paused = EpisodeSnapshot(1, "paused", "rl", paused=True)
    assert "framed: what it goes on with" in q_html(replace(view, episode=paused))
    assert "<s style" not in q_html(replace(view, member_spread=np.zeros(0, np.float32)))


@pytest.mark.parametrize(
    ("q", "believed"), [(-0.43, False), (-0.03, True), (1.0, True), (1.3, False)]
)
def test_a_success_that_cannot_be_is_not_called_sure(q, believed):
    members = {"member_spread": np.zeros(1, np.float32), "kind": np.zeros(1, np.uint8)}
    html = q_html(View(q=np.array([q], np.float32), chosen=0, **members))
    assert ("<b>sure</b>" in html) == believed
    assert ("not to be trusted yet" in html) != believed


def test_a_critic_that_is_not_trained_says_so():
    untrained = View(q=np.full(3, np.nan, np.float32), kind=np.zeros(3, np.uint8), chosen=0)
    assert "isn't trained yet" in q_html(untrained)
    assert "nothing to choose now (no policy acts between episodes)" in q_html(View())
    running = View(episode=EpisodeSnapshot(1, "running", "rl"), driver=Source.HUMAN)
    assert "nothing to choose now (a human drives)" in q_html(running)
    partly = replace(untrained, q=np.array([1.0, np.nan, np.nan], np.float32))
    assert bars(q_html(partly)) == [100.0, 0.0, 0.0]
