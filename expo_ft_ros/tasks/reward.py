# SPDX-License-Identifier: Apache-2.0
"""What a reward classifier is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from pydantic import Field
from pydantic.fields import FieldInfo

from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.colours import Box, MaskArray
from expo_ft_ros.tasks.config import NAME

HoldSteps = Annotated[
    int, Field(ge=1, description="consecutive observations that count as lasting")
]

_OF_A_VIEW = "view of the robot"
ViewName = Annotated[str, Field(pattern=rf"^{NAME}$"), _OF_A_VIEW]
"""A parameter that names one of the robot's views; the robot must have it."""


def names_a_view(field: FieldInfo) -> bool:
    """Whether a field of a classifier's parameters is a `ViewName`."""
    return _OF_A_VIEW in field.metadata


@dataclass(frozen=True)
class Marks:
    """What a classifier looks at in one view. mask: (h, w) pixels that count, None where none do;
    regions: name -> left, top, right, bottom, as parts of the image's width and height."""

    mask: MaskArray | None = None
    regions: Mapping[str, Box] = field(default_factory=dict)


class Classifier(Protocol):
    """Judges one observation at a time; keeps what it needs of the episode so far."""

    def reset(self, obs: Observation) -> None:
        """Starts an episode at its first observation."""

    def __call__(self, obs: Observation) -> Verdict:
        """Returns the sparse reward (0 or 1) of the action that led to obs."""

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """What it looks at, for the operator: view -> marks, of images (h, w, 3) RGB by the names
        of views, all of the robot's; changes nothing."""

    @property
    def heights(self) -> Mapping[str, float]:
        """Heights of the tool that count, for the operator: name -> [m] above the base."""
