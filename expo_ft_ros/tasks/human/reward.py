# SPDX-License-Identifier: Apache-2.0
"""The operator's word is the classifier: an episode succeeds when it is marked so.

`episode/mark_success` (a service, and a button of the console) ends the episode and gives its last
step the reward 1. Without a mark it runs out of time, which is a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.reward import Marks


class Parameters(Config):
    """There are none."""


class Classifier:
    """See the module; satisfies reward.Classifier."""

    NEEDS_OPERATOR: ClassVar[bool] = True

    def __init__(self, parameters: Parameters) -> None:
        """parameters: none."""

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; never a success by itself."""
        return Verdict(0.0, False, "the operator marks success")

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier; it looks at nothing."""
        return {}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier; none counts."""
        return {}
