# SPDX-License-Identifier: Apache-2.0
"""A policy as somebody else would add it: as unlike FlowVLA as the contract allows."""

from typing import ClassVar, Literal

from pydantic import Field

from expo_ft_ros.policies.config import PolicyConfig


class PixelVLAConfig(PolicyConfig):
    """Size of the policy that sees small images."""

    gives_features: ClassVar[bool] = False
    trains_encoder: ClassVar[bool] = False
    reads_state: ClassVar[bool] = False

    kind: Literal["pixel_vla"] = Field("pixel_vla", description="this policy")
    width: int = Field(32, ge=8, description="width of its two layers")
    pretrained_seed: int = Field(0, ge=0, description="stands for the file of a base checkpoint")


CONFIG = PixelVLAConfig
