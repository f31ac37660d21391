# SPDX-License-Identifier: Apache-2.0
"""Edits against candidates made by hand."""

import numpy as np
import pytest

from expo_ft_ros.data.types import Candidates
from expo_ft_ros.report.learning import edit_curves, edits_of, window_share
from expo_ft_ros.report.run_data import read_run
from support.runs import make_run, training


def candidates(chosen: int, kind=(0, 0, 1, 1)) -> Candidates:
    """Two base chunks of two steps, the second 0.5 all over, and each's edit."""
    actions = np.zeros((4, 2, 7), np.float32)
    actions[1] = 0.5
    actions[2] = 0.1
    actions[3] = 0.5
    actions[3, 0, 0] = 0.36  # one number of fourteen differs from its base, by 0.14
    q = np.arange(4, dtype=np.float32)
    return Candidates(1, actions, q, np.array(kind, np.uint8), chosen)


def test_an_edit_is_measured_against_its_own_base():
    assert candidates(2).edit_size == pytest.approx(0.1)
    assert candidates(3).edit_size == pytest.approx(0.14 / 14)
    assert candidates(0).edit_size is None


def test_without_a_base_for_each_nothing_is_measured():
    assert candidates(3, (0, 0, 0, 1)).edit_size is None


def test_the_edits_of_an_episode():
    edits = edits_of([candidates(0), candidates(2), candidates(3), candidates(1)])
    assert (edits.chunks, edits.edited, edits.gripper) == (4, 2, 0)
    decided = edits_of([candidates(3, (0, 1, 2, 2)), candidates(0, (0, 1, 2, 2))])
    assert (decided.chunks, decided.edited, decided.gripper) == (2, 0, 1)
    assert edits.sizes == pytest.approx((0.1, 0.01))


def test_a_share_is_of_chunks_not_of_episodes():
    few, many = edits_of([candidates(2)]), edits_of([candidates(0)] * 9)
    assert window_share([few, many]) == pytest.approx([1.0, 0.1])
    assert window_share([few, many], size=1) == pytest.approx([1.0, 0.0])


def test_the_figure_draws_share_and_size(tmp_path):
    run = read_run(make_run(tmp_path / "a", training()))
    lines = [*run.online[:2], run.counted[-1]]
    chosen = ((2, 0), (3,), (1,))
    edits = [edits_of([candidates(one) for one in of_episode]) for of_episode in chosen]
    share, size = edit_curves(lines, edits, run.control_hz, 0.2).axes
    assert share.lines[0].get_ydata() == pytest.approx([0.5, 2 / 3])
    assert size.lines[0].get_ydata() == pytest.approx([0.1, 0.055])
    trials = share.collections[1].get_offsets()
    assert np.asarray(trials) == pytest.approx(np.array([[2.5, 0.0]]))
