# SPDX-License-Identifier: Apache-2.0
"""What policies that are torch modules share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import TypeVar

from torch import Tensor, nn

from expo_ft_ros.data.normalisation import QuantileNormaliser
from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.policies.base import PolicyInput, Statistics

M = TypeVar("M", bound=nn.Module)


class QuantilePolicy(nn.Module):
    """A policy that normalises states and actions by their 1% and 99% quantiles: its statistics,
    and what of the contract `VLA` follows from them.

    Args:
        action_floor: Least range of an action dimension, robot-normalised units.
        state_floor: Least range of a state dimension, SI units.
    """

    def __init__(self, action_floor: float, state_floor: float) -> None:
        super().__init__()
        self.action_stats = QuantileNormaliser(ACTION_DIM, action_floor)
        self.state_stats = QuantileNormaliser(STATE_DIM, state_floor)
        self._loaded = False

    def normalise(self, actions: Tensor) -> Tensor:
        """Robot-normalised (..., 7) to the space of chunks."""
        return self.action_stats.transform(actions)

    def denormalise(self, actions: Tensor) -> Tensor:
        """The space of chunks to robot-normalised (..., 7), clipped to [-1, 1]."""
        return self.action_stats.inverse(actions).clamp(-1, 1)

    def statistics(self) -> Statistics:
        """See VLA: the 1% and 99% quantiles."""
        state, action = self.state_stats, self.action_stats
        return Statistics(state.low, state.high, action.low, action.high)

    def fit_statistics(self, actions: Tensor, state: Tensor, *, keep_loaded: bool) -> None:
        """See VLA."""
        if keep_loaded and self._loaded:
            return
        self.action_stats.fit(actions)
        self.state_stats.fit(state)


def fork_module(module: M, own: Collection[str]) -> M:
    """A copy with parameters of its own where they are named, which shares all else.

    Args:
        module: Any module.
        own: Names of parameters, as in `named_parameters`.

    Returns:
        A module of the same class; its other parameters and its buffers are the module's.
    """
    shared = [parameter for name, parameter in module.named_parameters() if name not in own]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in (*shared, *module.buffers())})


def features_of(observation: PolicyInput, image_features: Callable[[Tensor], Tensor]) -> Tensor:
    """The image features of observations: those at hand, else made of their images.

    Raises:
        ValueError: where there are neither.
    """
    if observation.features is not None:
        return observation.features
    if observation.images is None:
        raise ValueError("an observation needs images or features: it has neither")
    return image_features(observation.images)
