# SPDX-License-Identifier: Apache-2.0
"""Labelled episodes in which a lamp is on, somewhere in the side view, once the task is done."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expo_ft_ros.data.episode import Episode
from support.episodes import VIEWS, make_episode

LAST = 3
"""Observations at a success's end in which the lamp is on."""


def room(rng: np.random.Generator, size: int, *, lamp: bool) -> np.ndarray:
    """(size, size, 3) uint8: a noisy room, and in it the lamp."""
    image = rng.integers(60, 120, (size, size, 3), dtype=np.uint8)
    if lamp:
        at, wide = rng.integers(0, size - size // 4, 2), size // 4
        image[at[0] : at[0] + wide, at[1] : at[1] + wide] = (250, 230, 60)
    return image


def lamp_episode(number: int, *, success: bool, length: int = 14, size: int = 32) -> Episode:
    """An episode of that many steps; the wrist view shows nothing of it."""
    rng = np.random.default_rng([7, number])
    lit = [success and i > length - LAST for i in range(length + 1)]
    views = {
        VIEWS[0]: np.stack([room(rng, size, lamp=one) for one in lit]),
        VIEWS[1]: np.stack([room(rng, size, lamp=False) for _ in lit]),
    }
    episode = make_episode(number, length, terminated=success, size=size)
    return replace(episode, views=views)


def lamp_episodes(successes: int, failures: int) -> list[Episode]:
    """So many of each."""
    total = successes + failures
    return [lamp_episode(n, success=n <= successes) for n in range(1, total + 1)]
