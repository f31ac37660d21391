# SPDX-License-Identifier: Apache-2.0
"""Algorithms by name (`algorithm:=`): EXPO-FT and what the paper compares it with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.rl.algorithms.base import (
    ActionSelection,
    Algorithm,
    AlgorithmContext,
    EncodedObservation,
)
from expo_ft_ros.rl.algorithms.dsrl import Dsrl
from expo_ft_ros.rl.algorithms.expo_ft import ExpoFT
from expo_ft_ros.rl.algorithms.hil_serl import HilSerl
from expo_ft_ros.rl.algorithms.imitation_only import SFT, HGDagger
from expo_ft_ros.rl.config import ALGORITHM_NAMES

__all__ = [
    "ALGORITHMS",
    "ActionSelection",
    "Algorithm",
    "AlgorithmContext",
    "EncodedObservation",
    "make_algorithm",
]

ALGORITHMS: Mapping[str, Callable[[AlgorithmContext], Algorithm]] = MappingProxyType(
    {
        "expo_ft": ExpoFT,
        "sft": SFT,
        "hg_dagger": HGDagger,
        "hil_serl": HilSerl,
        "dsrl": Dsrl,
    }
)


def make_algorithm(name: str, context: AlgorithmContext) -> Algorithm:
    """Makes an algorithm.

    Args:
        name: Of `ALGORITHM_NAMES`.
        context: What it is made from.

    Raises:
        ConfigError: for an unknown name, with the known ones.
    """
    if name not in ALGORITHMS:
        raise ConfigError(f"algorithm:={name}: not known (known: {', '.join(ALGORITHM_NAMES)})")
    return ALGORITHMS[name](context)
