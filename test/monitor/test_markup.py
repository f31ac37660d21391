# SPDX-License-Identifier: Apache-2.0
"""What is said, and that nothing of it is taken for HTML."""

from dataclasses import replace

import numpy as np

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.markup import diagnostics_html, q_html, reply_html, rows_html, state_html
from expo_ft_ros.monitor.view import Diagnostic, Level, View
from support.views import make_view

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def test_text_of_others_is_no_markup():
    snapshot = EpisodeSnapshot(1, "stopped", HOSTILE, cause=HOSTILE, asked=HOSTILE, paused=True)
    said = Diagnostic(Level.ERROR, HOSTILE, HOSTILE)
    view = View(episode=snapshot, cause=HOSTILE, reward=HOSTILE, diagnostics=(said,))
    held = state_html(view)
    driven = state_html(replace(view, driver=Source.HUMAN))
    rest = [reply_html(HOSTILE), rows_html({HOSTILE: HOSTILE}), diagnostics_html([said])]
    odd = state_html(View(episode=EpisodeSnapshot(1, HOSTILE)))
    for html in (held, driven, odd, *rest):
        assert "<img" not in html
        assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_what_a_person_must_know_is_said():
    asked = EpisodeSnapshot(7, "resetting", "rl", asked="put the candies back")
    assert "put the candies back" in state_html(View(episode=asked))
    assert "Reset" in state_html(View(episode=asked))
    stopped = state_html(View(episode=EpisodeSnapshot(7, "stopped", cause="estop")))
    assert "estop: nothing moves before Release" in stopped
    paused = state_html(View(episode=EpisodeSnapshot(7, "ended", paused=True)))
    assert "paused" in paused
    assert "held: camera/side is 0.4 s old" in state_html(View(cause="camera/side is 0.4 s old"))
    assert "person drives" in state_html(View(driver=Source.HUMAN))
    assert "no episode yet" in state_html(View())
    altered = state_html(View(driver=Source.POLICY, cause="workspace", reward="gripper open"))
    assert "altered: workspace" in altered
    assert "classifier: gripper open" in altered


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


def test_each_candidate_has_a_bar():
    view = make_view()
    html = q_html(view.q, view.kind, view.chosen)
    assert html.count("<i ") == 16
    assert html.count("edited") == 8 + 1  # and in the legend
    assert "gripper" not in html
    kinds = np.array([0, 1, 2, 2], np.uint8)
    html = q_html(np.arange(4.0), kinds, 3)
    assert [html.count(f'class="{name}') for name in ("base", "edited", "gripper")] == [1, 1, 2]
    assert "gripper decision" in html
    html = q_html(view.q, view.kind, view.chosen)
    assert html.count(" chosen") == 1
    assert "no critic" in q_html(np.full(3, np.nan), np.zeros(3, np.uint8), 0)
    assert "no candidates" in q_html(np.zeros(0), np.zeros(0, np.uint8), -1)
    assert q_html(np.array([1.0, np.nan]), np.zeros(2, np.uint8), 0).count("<i ") == 2
