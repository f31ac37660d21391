# SPDX-License-Identifier: Apache-2.0
"""Windows against numbers worked out by hand, and the figures against the windows."""

import numpy as np
import pytest

from expo_ft_ros.experiment.progress import wilson
from expo_ft_ros.report import windows
from expo_ft_ros.report.curves import compared_curves, training_curves
from expo_ft_ros.report.run_data import read_run
from support.runs import line, make_run, training


@pytest.fixture
def run(tmp_path):
    return read_run(make_run(tmp_path / "a", training()))


def test_success_of_a_window_with_its_wilson_interval(run):
    curve = windows.success(run.online)
    assert len(curve.value) == 25
    # Ten failures, then successes; a window is of the last 20.
    assert curve.value[9] == 0
    assert curve.value[10] == pytest.approx(1 / 11)
    assert curve.value[19] == pytest.approx(10 / 20)
    assert curve.value[24] == pytest.approx(15 / 20)
    assert (curve.low[24], curve.high[24]) == pytest.approx(wilson(15, 20))
    # By hand, of 15 of 20: (0.75 + z^2/40 -+ z sqrt(0.75 * 0.25 / 20 + z^2 / 1600)) / (1 + z^2/20).
    assert (curve.low[24], curve.high[24]) == pytest.approx((0.5313, 0.8881), abs=1e-4)


def test_success_without_help_leaves_out_who_was_helped(run):
    curve = windows.success(run.online, windows.succeeded_alone)
    # Of the places 10 to 24, those of 12, 15, 18, 21 and 24 were helped.
    assert curve.value[24] == pytest.approx(10 / 20)
    assert curve.value[11] == pytest.approx(2 / 12)


def test_intervention_is_a_share_of_steps_not_of_episodes(tmp_path):
    lines = [
        line(1, "rl", steps=100, human_steps=50, env_steps=100),
        line(2, "rl", steps=20, human_steps=0, env_steps=120),
    ]
    run = read_run(make_run(tmp_path / "a", lines))
    curve = windows.intervention(run.online)
    assert curve.value == pytest.approx([0.5, 50 / 120])
    assert (curve.low[1], curve.high[1]) == pytest.approx((0.125, 0.375))


def test_the_last_window_of_interventions(run):
    # Of the places 5 to 24, five were helped in 30 of 60 steps.
    assert windows.intervention(run.online).value[24] == pytest.approx(150 / 1200)


def test_episode_time_is_robot_time(tmp_path):
    lines = [line(n, "rl", steps=steps) for n, steps in ((1, 100), (2, 60), (3, 20))]
    curve = windows.duration(read_run(make_run(tmp_path / "a", lines)).online, 10.0, size=2)
    assert curve.value == pytest.approx([10, 8, 4])
    assert curve.low == pytest.approx([10, 7, 3])


def test_stages_follow_on_each_other_and_discarded_episodes_take_no_time(tmp_path):
    lines = [
        line(1, "collect", steps=60),
        line(2, "collect", steps=500, discarded=True),
        line(3, "rl", steps=120),
        line(4, "rl", steps=30),
    ]
    collect, online = windows.spans(read_run(make_run(tmp_path / "a", lines)))
    assert (collect.begin, collect.end) == pytest.approx((0, 0.1))
    assert online.minutes == pytest.approx([0.3, 0.35])


def test_the_figure_draws_the_windows(run):
    success, human, time = training_curves(run).axes[:3]
    online = windows.success(run.online)
    drawn = [artist.get_ydata() for artist in success.lines]
    assert any(np.array_equal(y, online.value) for y in drawn)
    alone = windows.success(run.online, windows.succeeded_alone).value
    assert any(np.array_equal(y, alone) for y in drawn)
    shares = windows.intervention(run.online).value
    assert any(np.array_equal(artist.get_ydata(), shares) for artist in human.lines)
    seconds = windows.duration(run.online, 10.0).value
    assert any(np.array_equal(artist.get_ydata(), seconds) for artist in time.lines)


def test_the_figure_has_evaluations_with_their_intervals_and_stage_boundaries(run):
    success = training_curves(run).axes[0]
    assert {"1/2", "2/3"} <= {text.get_text() for text in success.texts}
    bars = [container for container in success.containers if container.has_yerr]
    ends = sorted(
        tuple(segment[:, 1]) for bar in bars for segment in bar.lines[2][0].get_segments()
    )
    assert ends == [pytest.approx(wilson(1, 2)), pytest.approx(wilson(2, 3))]
    # 60 steps of a demonstration, 120 of trials, 1500 online, at 600 a minute.
    upright = [artist.get_xdata()[0] for artist in success.lines if len(artist.get_xdata()) == 2]
    assert all(any(abs(x - place) < 1e-9 for x in upright) for place in (0.1, 0.3, 2.8))


def test_every_result_of_an_evaluation_can_be_drawn(tmp_path):
    """6 of 6 has an interval that ends at 0.9999999999999999."""
    for trials in (1, 6, 10, 30):
        for won in (0, trials):
            lines = [line(n, "eval_after", success=won > 0) for n in range(trials)]
            run = read_run(make_run(tmp_path / f"{won}_{trials}", lines, kind="eval"))
            assert training_curves(run).axes


def test_compared_runs_have_a_line_each(run, tmp_path):
    other = read_run(make_run(tmp_path / "b", training()[:20]))
    figure = compared_curves([run, other], ["a", "b"])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    lengths = [len(artist.get_ydata()) for artist in figure.axes[0].lines]
    assert {25, 17} <= set(lengths)
