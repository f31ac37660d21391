# SPDX-License-Identifier: Apache-2.0
"""What policies that are torch modules share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import TypeVar

from torch import Tensor, nn

from expo_ft_ros.policies.base import PolicyInput

M = TypeVar("M", bound=nn.Module)


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
