# SPDX-License-Identifier: Apache-2.0
"""Rates over the last episodes of a stage, against what the report says of the same ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.episode_scalars import EpisodeScalars, is_of_episodes
from expo_ft_ros.report import windows
from expo_ft_ros.report.run_data import read_episodes
from support.episodes import make_episode
from support.runs import line, make_run

HZ = 10.0


def driven(number: int, sources: list[Source], *, success: bool, stage: str = "rl") -> Episode:
    made = make_episode(number, len(sources), terminated=success, stage=stage)
    return replace(made, source=np.array(sources, np.uint8))


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=30
    )
)
def test_they_are_those_of_the_report(tmp_path_factory, told):
    episodes = EpisodeScalars(HZ)
    values, lines = {}, []
    for number, (success, steps, human) in enumerate(told, start=1):
        human = min(human, steps)
        sources = [Source.HUMAN] * human + [Source.POLICY] * (steps - human)
        values = episodes.add(driven(number, sources, success=success))
        lines.append(line(number, "rl", success=success, steps=steps, human_steps=human))
    read, _ = read_episodes(make_run(tmp_path_factory.mktemp("run") / "a", lines))
    assert values == {
        "rl/success_rate": pytest.approx(windows.success(read).value[-1]),
        "rl/success_rate_without_help": pytest.approx(
            windows.success(read, windows.succeeded_alone).value[-1]
        ),
        "rl/intervention_rate": pytest.approx(windows.intervention(read).value[-1]),
        "rl/episode_seconds": pytest.approx(told[-1][1] / HZ),
    }
    assert all(map(is_of_episodes, values))


def test_stages_are_apart_and_the_learner_s_numbers_are_no_episode_s():
    episodes = EpisodeScalars(HZ)
    episodes.add(driven(1, [Source.HUMAN], success=True, stage="collect"))
    values = episodes.add(driven(2, [Source.POLICY], success=False))
    assert values["rl/success_rate"] == 0
    assert np.isfinite(list(values.values())).all()
    assert not any(map(is_of_episodes, ("critic/q", "replay/steps", "update_ratio", "vla/loss")))
