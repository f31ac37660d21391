# SPDX-License-Identifier: Apache-2.0
"""Random but whole episodes for tests of the data layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from expo_ft_ros.data.episode import Episode, EpisodeOutcome

VIEWS = ("side", "wrist")
"""Those of the simulation."""

VIEW_NAMES = st.lists(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=1, max_size=4, unique=True
)
"""One to four of any."""


def make_episode(
    number: int,
    length: int,
    *,
    terminated: bool,
    stage: str = "rl",
    size: int = 8,
    views: Sequence[str] = VIEWS,
) -> Episode:
    """An episode of `length` steps whose numbers are drawn from its number and length."""
    rng = np.random.default_rng([number, length])
    reward = np.zeros(length, dtype=np.float32)
    reward[-1] = 1.0 if terminated else 0.0
    return Episode(
        outcome=EpisodeOutcome(
            episode=number,
            stage=stage,
            success=terminated,
            terminated=terminated,
            truncated=not terminated,
            discarded=False,
            first_observation=1,
            last_observation=length + 1,
            steps=length,
        ),
        instruction="pick up the cube",
        views={
            name: rng.integers(0, 255, (length + 1, size, size, 3), dtype=np.uint8)
            for name in views
        },
        state=rng.normal(size=(length + 1, 10)).astype(np.float32),
        proposed=rng.uniform(-1, 1, (length, 7)).astype(np.float32),
        executed=rng.uniform(-1, 1, (length, 7)).astype(np.float32),
        source=rng.integers(0, 2, length).astype(np.uint8),
        chunk=np.arange(length, dtype=np.uint64),
        index=np.zeros(length, dtype=np.int32),
        reward=reward,
    )
