# SPDX-License-Identifier: Apache-2.0
"""Size of FlowVLA."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from expo_ft_ros.policies.config import PolicyConfig


class FlowVLAConfig(PolicyConfig):
    """Size of the small VLA."""

    kind: Literal["flow_vla"] = Field("flow_vla", description="this policy")
    width: int = Field(256, ge=16, description="width of the observation embedding and the expert")
    depth: int = Field(3, ge=1, le=12, description="residual blocks of the action expert")
    channels: int = Field(32, ge=8, description="channels of the image encoder")
    euler_steps: int = Field(10, ge=1, le=100, description="denoising steps")
    action_floor: float = Field(
        0.2, gt=0, description="least range of an action dimension, robot-normalised units"
    )


CONFIG = FlowVLAConfig
