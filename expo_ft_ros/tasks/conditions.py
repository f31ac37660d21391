# SPDX-License-Identifier: Apache-2.0
"""What classifiers ask of the robot, and for how long it has to hold."""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import Proprio


class ToolRegion(Config):
    """A box of the tool centre point."""

    low: tuple[float, float, float] = Field(description="least x, y, z in the base frame [m]")
    high: tuple[float, float, float] = Field(description="greatest x, y, z in the base frame [m]")

    @model_validator(mode="after")
    def _in_order(self) -> ToolRegion:
        for axis, least, most in zip("xyz", self.low, self.high, strict=True):
            if least >= most:
                raise ValueError(f"low {least} m must lie below high {most} m along {axis}")
        return self

    def missing(self, proprio: Proprio) -> str:
        """Where the tool is outside of it, in words; empty: inside."""
        outside = []
        for axis, at, least, most in zip("xyz", proprio.position, self.low, self.high, strict=True):
            if not least <= at <= most:
                outside.append(f"{axis} {at:.3f} m is not in {least:.3f} to {most:.3f} m")
        return ", ".join(outside)


class GripperRange(Config):
    """Openings of the gripper that count: open, closed, or on an object."""

    min_width: float = Field(default=0.0, ge=0, description="least opening [m]")
    max_width: float = Field(default=np.inf, gt=0, description="greatest opening [m]")

    @model_validator(mode="after")
    def _in_order(self) -> GripperRange:
        if self.min_width >= self.max_width:
            raise ValueError(
                f"min_width {self.min_width} m must lie below max_width {self.max_width} m"
            )
        return self

    def missing(self, proprio: Proprio) -> str:
        """Why the opening doesn't count, in words; empty: it does."""
        width = proprio.gripper_width
        if width < self.min_width:
            return f"gripper open to {width:.3f} m, not {self.min_width:.3f} m"
        return f"gripper open to {width:.3f} m" if width > self.max_width else ""


class Hold:
    """Counts consecutive observations in which nothing is missing.

    steps: so many are lasting.
    """

    def __init__(self, steps: int) -> None:
        self._steps, self._count = steps, 0

    def __call__(self, missing: str) -> bool:
        """True once nothing has been missing for so many observations, this one among them."""
        self._count = 0 if missing else self._count + 1
        return self._count >= self._steps

    @property
    def count(self) -> int:
        """Observations in a row in which nothing was missing, up to now."""
        return self._count

    def reset(self) -> None:
        """Begins anew."""
        self._count = 0
