# SPDX-License-Identifier: Apache-2.0
"""A list says of an episode what the episode itself says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import (
    DISCARDED,
    UNCOUNTED,
    relabel,
    rescue_episode,
    set_aside,
)
from expo_ft_ros.recording.episode_summary import EpisodeSummary, summarise
from support.recordings import record

DRIVEN = st.lists(st.sampled_from(list(Source)), min_size=1, max_size=12)


@settings(max_examples=25)
@given(sources=DRIVEN, success=st.booleans())
def test_it_says_what_the_episode_says(tmp_path_factory, sources, success):
    path = record(tmp_path_factory.mktemp("run"), 7, sources, success=success, cause="why")
    episode, said = rescue_episode(path, 8), summarise(path)
    steps, human = (0, 0) if episode is None else (len(episode), episode.human_steps)
    outcome = "success" if success else "failure"
    assert said == EpisodeSummary(7, "000007", "rl", outcome, False, steps, human, "why")


def test_a_label_is_over_the_classifiers_word(tmp_path):
    path = record(tmp_path, 3, [Source.POLICY] * 2, stage="collect")
    relabel(path, False)
    said = summarise(path)
    assert (said.stage, said.outcome, said.relabelled) == ("collect", "failure", True)
    assert said.cause == rescue_episode(path, 8).outcome.cause


@pytest.mark.parametrize("why", [DISCARDED, UNCOUNTED])
def test_why_a_file_was_set_aside_is_its_outcome(tmp_path, why):
    for _ in range(2):
        place = set_aside(record(tmp_path, 3, [Source.HUMAN] * 2), why)
        said = summarise(place)
        assert (said.number, said.file, said.outcome) == (3, place.stem, why)
        assert (said.steps, said.human_steps) == (2, 2)


def test_a_file_that_was_cut_off_has_its_whole_steps(tmp_path):
    path = record(tmp_path, 3, [Source.POLICY, Source.HUMAN], ended=False)
    said = summarise(path)
    assert (said.outcome, said.stage, said.steps, said.human_steps) == ("incomplete", "rl", 2, 1)


@pytest.mark.parametrize("broken", ["file", "label"])
def test_what_cannot_be_read_is_said(tmp_path, broken):
    path = record(tmp_path, 3, [Source.POLICY])
    if broken == "file":
        path.write_bytes(np.random.default_rng(0).bytes(400))
        assert summarise(path).outcome in ("broken", "incomplete")
    else:
        path.with_suffix(".label.json").write_text("{}")
        assert summarise(path).outcome == "broken"
        assert "not a label" in summarise(path).cause
