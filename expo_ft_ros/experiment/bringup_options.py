# SPDX-License-Identifier: Apache-2.0
"""Options of `expo-ft bringup`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from expo_ft_ros.configuration import nearest
from expo_ft_ros.experiment.brought_up import CHECKS
from expo_ft_ros.experiment.options import SimOptions


class BringupOptions(SimOptions):
    """`expo-ft bringup`: a robot's guided checks, in the graph of `expo-ft sim`, in real time."""

    checks: str = Field(
        "", description=f"Which checks, with commas, in this order: {', '.join(CHECKS)} (all)."
    )
    demos: str | None = Field(
        None,
        min_length=1,
        description="Recorded demonstrations that the cameras' pictures are compared with: a run's "
        "folder, `latest`, or a LeRobot dataset.",
    )
    motion: Literal["on"] = Field("on", description="Always on: the arm is moved, and measured.")
    operator: Literal["none"] = Field("none", description="Always none: bringup itself drives.")
    scene_reset: Literal["operator"] = Field(
        "operator", description="Always operator: you are asked before anything moves."
    )
    realtime: bool = Field(True, description="Always true.")
    console: bool = Field(
        True,
        description="Serve the console: the workspace's box, the cameras, and the button E-STOP.",
    )

    @field_validator("realtime")
    @classmethod
    def _of_wall_time(cls, value: bool) -> bool:
        if not value:
            raise ValueError("the checks are of wall time (leave it out)")
        return value

    @field_validator("checks")
    @classmethod
    def _in_their_order(cls, value: str) -> str:
        named = [name.strip() for name in value.split(",") if name.strip()]
        for name in named:
            if name not in CHECKS:
                raise ValueError(f"no check {name!r} ({nearest(name, CHECKS)})")
        return ",".join(name for name in CHECKS if name in named)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the checks, in their order."""
        return tuple(self.checks.split(",")) if self.checks else CHECKS
