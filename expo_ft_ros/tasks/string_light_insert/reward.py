# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Insert's classifier: the light turns on (paper, B.1).

From pixels alone: so much of the region of the bulbs has the colour of their light, for so long.
Counted is the rise since the episode's first observation, so that light that was on before, or
something of the same colour, is no success; where the light was on before, the operator is
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.colours import WHOLE, ColourRange, Colours, Region, part
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.reward import HoldSteps, Marks, ViewName


class Parameters(Config):
    """Where the bulbs are, what their light looks like, and how much of it is on."""

    view: ViewName = Field(default="side", description="the view of the camera that sees the bulbs")
    bulbs_region: Region = Field(default=WHOLE, description="the bulbs in that view")
    light: ColourRange = Field(description="of a bulb that is on")
    lit: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="rise of the part of bulbs_region with the light's colour that is on",
    )
    hold_steps: HoldSteps = 3

    @model_validator(mode="after")
    def _told_from_a_dark_bulb(self) -> Parameters:
        if self.light.min_value == 0:
            raise ValueError("light.min_value 0 is black, too (measure a bulb that is on)")
        return self


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        self._config = parameters
        self._light = Colours(parameters.light)
        self._before = 0.0
        self._hold = Hold(parameters.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        self._before = self._lit(obs)
        self._hold.reset()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says how much of the light is seen."""
        config = self._config
        rise = self._lit(obs) - self._before
        missing = ""
        if rise < config.lit:
            missing = f"light off: over {rise:.0%} more of the bulbs' region, not {config.lit:.0%}"
        if self._hold(missing):
            return Verdict(1.0, True, f"light over {rise:.0%} more of the bulbs' region")
        asked = ""
        if missing and self._before >= config.lit:
            asked = "take the plug out of the socket: the light was on at the start"
        lasting = f"light on for {self._hold.count} of {config.hold_steps} steps"
        return Verdict(0.0, False, missing or lasting, asked)

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier."""
        config = self._config
        mask = self._light(images[config.view])
        return {config.view: Marks(mask, {"bulbs": config.bulbs_region})}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier; none counts."""
        return {}

    def _lit(self, obs: Observation) -> float:
        return part(self._light(obs.views[self._config.view]), self._config.bulbs_region)
