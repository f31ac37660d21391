# SPDX-License-Identifier: Apache-2.0
"""What a report takes from recorded episodes."""

import base64
import re

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.overlay import REGION
from expo_ft_ros.recording.episode_store import relabel
from expo_ft_ros.recording.recorded_episode import read_choices, read_recorded
from expo_ft_ros.report.drawing import HUMAN
from expo_ft_ros.report.learning import edits_of
from expo_ft_ros.report.run_data import read_run
from expo_ft_ros.report.strips import newest, q_limits, q_strip
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from support.pages import assert_alone, report
from support.recordings import COLOURS, SIDE, choice, record
from support.runs import line, make_run

P, H = Source.POLICY, Source.HUMAN
EDITED = choice((0, 0, 0), (0.1, 0, 0), q=(0.2, 0.6), edits=1, chosen=1)
PLAIN = choice((0, 0, 0), (0.1, 0, 0), q=(0.5, 0.4), edits=1)
UNVALUED = choice((0, 0, 0), q=(np.nan,))
SOURCES = [P] * 4 + [H] * 4 + [P] * 8


@pytest.fixture
def run(tmp_path):
    """Of the successes the newest has no values, the one before has; a failure; a demonstration."""
    lines = [
        line(1, "collect", human_steps=3),
        line(2, "rl", env_steps=16),
        line(3, "rl", success=False, env_steps=32),
        line(4, "rl", env_steps=48),
    ]
    path = make_run(tmp_path / "a", lines)
    folder = path / "episodes"
    record(folder, 1, [H] * 3, stage="collect")
    record(folder, 2, SOURCES, {0: EDITED, 8: PLAIN, 12: EDITED})
    record(folder, 3, SOURCES, {0: PLAIN}, success=False, cause="<i>late</i>", instruction="<b>go")
    record(folder, 4, SOURCES, {0: UNVALUED})
    return read_run(path)


def test_the_edits_of_a_recorded_episode(run):
    edits = edits_of(read_choices(run.bag(2)))
    assert (edits.chunks, edits.edited) == (3, 2)
    # Along one of seven axes 0.1 more.
    assert edits.sizes == pytest.approx((0.1 / 7, 0.1 / 7))


def test_the_newest_success_with_values_is_shown(run):
    assert newest(run, success=True).episode.outcome.episode == 2
    assert newest(run, success=False).episode.outcome.episode == 3


def test_the_strip_has_what_the_classifier_looks_at(run):
    recorded = newest(run, success=True)
    plain = [axes.images[0].get_array() for axes in q_strip(recorded, 10.0, None).axes[:-1]]
    classifier = make_classifier(load_task("candy_scoop"))
    figure = q_strip(recorded, 10.0, None, classifier)
    for axes, before in zip(figure.axes[:-1], plain, strict=True):
        assert not (before == REGION).all(axis=-1).any()
        assert (axes.images[0].get_array() == REGION).all(axis=-1).any()


def test_a_label_of_the_operator_counts(run):
    relabel(run.bag(2), success=False)
    found = newest(run, success=True)
    assert found.episode.outcome.episode == 4
    assert not found.valued


def test_the_strip_draws_q_and_marks_who_drove(run):
    recorded = newest(run, success=True)
    figure = q_strip(recorded, 10.0, q_limits([recorded]))
    *frames, below = figure.axes
    assert len(frames) == 16
    (line_,) = (artist for artist in below.lines if artist.get_label() == "chosen")
    assert line_.get_xdata() == pytest.approx([0.0, 0.8, 1.2])
    assert line_.get_ydata() == pytest.approx([0.6, 0.5, 0.6])
    (edited,) = (artist for artist in below.lines if artist.get_label() == "chosen, edited")
    assert edited.get_xdata() == pytest.approx([0.0, 1.2])
    (driven,) = below.patches
    assert (driven.get_x(), driven.get_width()) == pytest.approx((0.4, 0.4))
    # Of eight frames of 16 steps, those of steps 5 and 7 are the operator's.
    marked = [axes.spines["left"].get_visible() for axes in frames]
    assert marked == [False, False, True, True, False, False, False, False] * 2
    assert below.get_ylim()[0] < 0
    assert below.get_ylim()[1] > 1


@pytest.mark.parametrize("views", [("a",), ("a", "b", "c", "d")])
def test_the_strip_has_a_row_a_view(tmp_path, views):
    recorded = read_recorded(record(tmp_path, 2, SOURCES, {0: EDITED}, views=views))
    *frames, _ = q_strip(recorded, 10.0, q_limits([recorded])).axes
    assert [axes.get_ylabel() for axes in frames if axes.get_ylabel()] == list(views)
    shown = [tuple(axes.images[0].get_array()[0, 0]) for axes in frames[::8]]
    assert shown == list(COLOURS[: len(views)])


def test_a_success_and_a_failure_share_their_limits(run):
    far = read_recorded(run.bag(2))
    low, high = q_limits([far])
    assert (low, high) == pytest.approx((-0.06, 1.06))
    assert q_limits([read_recorded(run.bag(1))]) is None


@pytest.mark.slow
def test_the_page_has_strips_and_edits(run):
    page, parsed = report(run.path)
    assert "Episode 2 (rl), a success: success" in parsed.text
    assert "4 of 16 steps by a human" in parsed.text
    assert "2 of 5 chosen chunks are edits (40%)" in parsed.text
    assert f"is {0.1 / 7:.3f} of the robot's limits" in parsed.text
    # What the recording says is text.
    assert "a failure: <i>late</i>. Instruction: “<b>go”" in parsed.text
    assert_alone(page, parsed, run.path.parent)
    strips = re.findall(r"data:image/png;base64,([^\"]+)", page)
    images = [cv2.imdecode(np.frombuffer(base64.b64decode(s), np.uint8), 1) for s in strips]
    assert len(images) == 2
    assert (np.abs(images[0][..., ::-1] - np.array(SIDE)).max(axis=-1) < 3).mean() > 0.1
    orange = np.array([int(HUMAN[at : at + 2], 16) for at in (1, 3, 5)])
    assert (np.abs(images[0][..., ::-1] - orange).max(axis=-1) < 3).any()


def test_without_a_critic_the_page_says_so(tmp_path):
    path = make_run(tmp_path / "a", [line(1, "rl", env_steps=4)], algorithm="sft")
    record(path / "episodes", 1, [P] * 4, {0: UNVALUED})
    _, parsed = report(path)
    assert "No critic valued its chunks (sft): no Q." in parsed.text
    assert "0 of 1 chosen chunks are edits" in parsed.text


def test_demonstrations_alone_have_frames_and_no_q(tmp_path):
    path = make_run(tmp_path / "a", [line(1, "collect", human_steps=4)], kind="collect")
    record(path / "episodes", 1, [H] * 4, stage="collect")
    _, parsed = report(path)
    assert "No policy acted, so that there is no Q." in parsed.text
    assert "No recorded online episode or trial holds a policy's choices" in parsed.text


@pytest.mark.slow
def test_a_broken_recording_stops_no_report(run):
    run.bag(2).write_bytes(b"no bag")
    _, parsed = report(run.path)
    assert "Episode 4 (rl), a success" in parsed.text
