# SPDX-License-Identifier: Apache-2.0
"""A classifier that was learned from labelled episodes (`expo-ft reward train`): binary, on views.

It judges one observation at a time, without the episode before it, and the robot's state isn't
among what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator

from expo_ft_ros.configuration import Config, FileBeside
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.learned.files import read_about
from expo_ft_ros.tasks.reward import HoldSteps, Marks


class Parameters(Config):
    """Which weights, and from when on their word counts."""

    weights: FileBeside = Field(
        description="safetensors of `expo-ft reward train`, its JSON beside it"
    )
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="probability from which an observation is a success"
    )
    hold_steps: HoldSteps = 2

    @field_validator("weights")
    @classmethod
    def _can_be_read(cls, value: FileBeside) -> FileBeside:
        read_about(value)
        return value

    @property
    def views_seen(self) -> tuple[str, ...]:
        """The views that it looks at."""
        return read_about(self.weights).views


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        # Heavy: who only reads a task's parameters does without torch.
        from expo_ft_ros.tasks.learned.network import load

        self._config = parameters
        self._about = read_about(parameters.weights)
        self._net = load(parameters.weights, self._about)
        self._hold = Hold(parameters.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        self._hold.reset()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says how likely a success is."""
        from expo_ft_ros.tasks.learned.network import probabilities, seen_by

        images = seen_by(obs.views, self._about.views, self._about.image_size)
        likely = float(probabilities(self._net, images[None])[0])
        said = f"success to {likely:.0%}"
        missing = f"{said}, not {self._config.threshold:.0%}"
        if self._hold("" if likely >= self._config.threshold else missing):
            return Verdict(1.0, True, said)
        lasting = f"{said} for {self._hold.count} of {self._config.hold_steps} steps"
        return Verdict(0.0, False, lasting if self._hold.count else missing)

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier; it looks at all of its views alike."""
        return {}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier; none counts."""
        return {}
