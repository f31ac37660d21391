# SPDX-License-Identifier: Apache-2.0
"""What a picture of an episode says is what was recorded."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.timeline import legend_html, spans, timeline_svg
from expo_ft_ros.recording.recorded_episode import RecordedEpisode, read_recorded
from support.recordings import choice, record

P, H, N = Source.POLICY, Source.HUMAN, Source.HOLD
STILL = [(0.0, 0.0, 0.0)] * 3


def of(recorded: RecordedEpisode, kind: str) -> list[ElementTree.Element]:
    picture = ElementTree.fromstring(timeline_svg(recorded))
    return [part for part in picture if part.get("class") == kind]


def test_who_drove_is_a_strip(tmp_path):
    recorded = read_recorded(record(tmp_path, 1, [P, P, H, H, H, P, N]))
    assert list(spans(recorded)) == [(P, 0, 2), (H, 2, 5), (P, 5, 6), (N, 6, 7)]
    places = [(float(each.get("x")), float(each.get("width"))) for each in of(recorded, "human")]
    assert places == [(2, 3)]
    assert len(of(recorded, "policy")) == 2
    for words in ("policy 43%", "human 43%", "held 14%"):
        assert words in legend_html(recorded)
    assert "Q" not in legend_html(recorded)


@settings(max_examples=25)
@given(sources=st.lists(st.sampled_from([P, H, N]), min_size=1, max_size=30))
def test_stretches_are_the_whole_episode(tmp_path_factory, sources):
    recorded = read_recorded(record(tmp_path_factory.mktemp("run"), 1, [P, *sources]))
    stretches = list(spans(recorded))
    drivers = [source for source, begin, end in stretches for _ in range(begin, end)]
    assert drivers == recorded.episode.source.tolist()
    assert all(one[2] == other[1] for one, other in itertools.pairwise(stretches))


def test_q_is_a_stair_between_its_least_and_greatest(tmp_path):
    choices = {
        0: choice(*STILL, q=(0.0, 0.5, 1.0), chosen=1),
        4: choice(*STILL, q=(-0.7, 0.25, 1.6), chosen=2),
    }
    recorded = read_recorded(record(tmp_path, 1, [P] * 6, choices))
    assert [float(each.get("x1")) for each in of(recorded, "choice")] == [0, 4]
    (line,) = of(recorded, "chosen")
    corners = np.array([float(n) for n in re.split("[ ,]", line.get("points"))]).reshape(-1, 2)
    assert corners[:, 0].tolist() == [0, 4, 4, 6]
    top, bottom = 4.0, 84.0
    np.testing.assert_allclose(corners[:, 1], [(top + bottom) / 2] * 2 + [top] * 2)
    for each in of(recorded, "range"):
        # What lies outside of the scale ends with it.
        assert (float(each.get("y")), float(each.get("height"))) == (top, bottom - top)
    assert "Q chosen" in legend_html(recorded)


def test_of_a_critic_that_is_not_trained_no_q_is_shown(tmp_path):
    recorded = read_recorded(
        record(tmp_path, 1, [P] * 4, {0: choice(*STILL, q=(np.nan,) * 3, chosen=0)})
    )
    assert len(of(recorded, "choice")) == 1
    assert not of(recorded, "chosen")
    assert not of(recorded, "range")
