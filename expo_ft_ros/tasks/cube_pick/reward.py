# SPDX-License-Identifier: Apache-2.0
"""Cube Pick's classifier: the tool has risen while the gripper is partially closed (paper, B.1).

From proprioception alone. A gripper that stopped halfway without an object is the known false
positive, and its commanded opening isn't observable. Three things tell a grasp from it: the
fingers began to close near the table and not in the air; the opening lies within the object's
range; and it stands still, to fractions of a millimetre, over the observations that are counted,
because the object stops it (a free gripper moves 1.2 mm a tick at a tenth of its speed).
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.reward import HoldSteps, Marks


class Parameters(Config):
    """What tells a lifted object from an empty gripper."""

    height: float = Field(default=0.12, gt=0, description="tool z that counts as lifted [m]")
    min_width: float = Field(
        default=0.03, ge=0, description="opening above which it isn't closed on nothing [m]"
    )
    max_width: float = Field(
        default=0.05, gt=0, description="opening below which it holds an object [m]"
    )
    hold_steps: HoldSteps = 2
    grasp_height: float = Field(
        default=0.08, description="tool z below which the fingers must have begun to close [m]"
    )
    open_width: float = Field(
        default=0.06, gt=0, description="opening above which nothing has been grasped [m]"
    )
    stall: float = Field(
        default=0.0005,
        gt=0,
        description="change of the opening between observations that is standing still [m]",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Parameters:
        if not self.min_width < self.max_width <= self.open_width:
            raise ValueError(
                f"min_width {self.min_width} m must lie below max_width {self.max_width} m, and "
                f"that not above open_width {self.open_width} m"
            )
        if self.grasp_height >= self.height:
            raise ValueError(
                f"grasp_height {self.grasp_height} m must lie below height {self.height} m"
            )
        return self


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._width = float("inf")
        self._grasped = False
        self._hold = Hold(parameters.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        self._width = obs.proprio.gripper_width
        self._grasped = False
        self._hold.reset()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says which condition is missing."""
        wanted, width = self._parameters, obs.proprio.gripper_width
        z = float(obs.proprio.position[2])
        stalled = abs(width - self._width) <= wanted.stall
        partial = wanted.min_width < width < wanted.max_width
        # Not by max_width: a hurried lift begins while the fingers are still closing.
        if width >= wanted.open_width:
            self._grasped = False
        elif self._width >= wanted.open_width:
            self._grasped = z < wanted.grasp_height
        self._width = width
        reason = self._missing(z, width, partial, stalled)
        if self._hold(reason):
            reason = f"lifted to {z:.3f} m, {1000 * width:.0f} mm between the fingers"
            return Verdict(1.0, True, reason)
        lasting = f"lifted for {self._hold.count} of {wanted.hold_steps} steps"
        return Verdict(0.0, False, reason or lasting)

    def _missing(self, z: float, width: float, partial: bool, stalled: bool) -> str:
        wanted = self._parameters
        if not partial:
            return "gripper open" if width >= wanted.max_width else "gripper closed on nothing"
        if z <= wanted.height:
            return f"not lifted: {z:.3f} m of {wanted.height:.3f} m"
        if not self._grasped:
            return "closed in the air"
        return "" if stalled else "gripper still moving"

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier; it looks at no image."""
        return {}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier."""
        return {"lifted": self._parameters.height, "grasped below": self._parameters.grasp_height}
