# SPDX-License-Identifier: Apache-2.0
"""What an expert makes of a view."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from expo_ft_ros.tasks.expert import OperatorView, Vector


@dataclass(frozen=True)
class Sight(ABC):
    """A view, and what it means for the task. Positions are in the base frame [m]."""

    view: OperatorView

    @property
    def step(self) -> int:
        """Of the episode."""
        return self.view.step

    @property
    def tool(self) -> Vector:
        """Tool centre point (3,)."""
        return self.view.proprio.position

    @property
    def width(self) -> float:
        """The gripper's opening."""
        return self.view.proprio.gripper_width

    def position(self, name: str) -> Vector:
        """Position (3,) of an object; raises ValueError where there is none of that name."""
        return np.asarray(self._object(name)[0], dtype=np.float64)

    def quaternion(self, name: str) -> Vector:
        """Orientation (4,) x, y, z, w of an object; raises ValueError as `position`."""
        return np.asarray(self._object(name)[1], dtype=np.float64)

    def _object(self, name: str) -> tuple[Vector, Vector]:
        if name not in self.view.objects:
            raise ValueError(
                f"the expert sees no object {name!r} (objects: {sorted(self.view.objects)}; is it "
                "the expert of this scene?)"
            )
        return self.view.objects[name]

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether the policy can go on from here, before the object is in hand."""

    @property
    @abstractmethod
    def secured(self) -> bool:
        """Whether the object is in hand, so that the policy can go on."""

    @abstractmethod
    def remaining(self) -> float:
        """How far the episode still has to go [m]: less is progress."""
