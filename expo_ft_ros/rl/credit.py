# SPDX-License-Identifier: Apache-2.0
"""What of an episode's reward its steps may be credited with: returns, takeovers, help."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import FloatArray, Source


def takeovers(source: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(T,) steps at which a human takes over from the policy.

    A robot that was held in between changes nothing: who drove before counts. A demonstration has
    none.

    Args:
        source: (T,) of `Source`.
    """
    driven = source != Source.HOLD
    # The newest step that wasn't held, of each step; -1 before there is one.
    newest = np.maximum.accumulate(np.where(driven, np.arange(len(source)), -1))
    before = np.concatenate([[-1], newest[:-1]])[: len(source)]
    policy_before = (before >= 0) & (source[before] == Source.POLICY)
    taken: NDArray[np.bool_] = (source == Source.HUMAN) & policy_before
    return taken


def next_of(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(T,) the next marked step after each step; T where there is none."""
    count = len(marked)
    own = np.where(marked, np.arange(count), count)
    first = np.minimum.accumulate(own[::-1])[::-1]
    after: NDArray[np.int64] = np.concatenate([first[1:], [count]])[:count].astype(np.int64)
    return after


def discounted_returns(reward: FloatArray, gamma: float) -> FloatArray:
    """(T,) sum over i of gamma^i r_{t+i}, to the episode's end.

    Args:
        reward: (T,).
        gamma: Discount a step.
    """
    returns = np.zeros(len(reward) + 1)
    for step in range(len(reward) - 1, -1, -1):
        returns[step] = reward[step] + gamma * returns[step + 1]
    return returns[:-1].astype(np.float32)


def any_from(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T,) whether a step or a later one is marked."""
    found: NDArray[np.bool_] = np.logical_or.accumulate(marked[::-1])[::-1]
    return found
