# SPDX-License-Identifier: Apache-2.0
"""String Light Routing's classifier of both routes: a bulb hangs high, the gripper is open (B.1).

The bulb is what has its glass's colour within a region of one view. Its vertical position is that
of the middle of those pixels: above a threshold, while the gripper is open, the bulb hangs, since
nothing else holds it. It is counted over a moment, in which a bulb that falls leaves the region.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.colours import WHOLE, ColourRange, Colours, MaskArray, Region, inside
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.reward import HoldSteps, Marks, ViewName


class Parameters(Config):
    """What the bulb looks like, where it is looked for, and how high it hangs."""

    view: ViewName = Field(default="side", description="the view of the camera that sees the nail")
    region: Region = Field(
        default=WHOLE, description="below and around the nail in that view: nothing else counts"
    )
    bulb: ColourRange = Field(description="of the bulb's glass")
    seen: float = Field(
        default=0.004,
        gt=0,
        le=1,
        description="part of the image with the bulb's colour that is the bulb",
    )
    height: float = Field(
        gt=0,
        lt=1,
        description="of the middle of the bulb above the image's lower edge that counts as hung, "
        "as part of its height",
    )
    open_width: float = Field(
        default=0.045, gt=0, description="opening above which the gripper holds nothing [m]"
    )
    hold_steps: HoldSteps = 4


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        self._config = parameters
        self._bulb = Colours(parameters.bulb)
        self._hold = Hold(parameters.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        self._hold.reset()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says what is missing."""
        config = self._config
        reason = self._missing(self._mask(obs.views), obs.proprio.gripper_width)
        if self._hold(reason):
            return Verdict(1.0, True, "the bulb hangs, the gripper is open")
        lasting = f"hangs for {self._hold.count} of {config.hold_steps} steps"
        return Verdict(0.0, False, reason or lasting)

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier; the region `hung` ends at the height that counts."""
        config = self._config
        left, top, right, bottom = config.region
        threshold = 1.0 - config.height
        regions = {"bulb": config.region}
        if top < threshold < bottom:
            regions["hung"] = (left, top, right, threshold)
        return {config.view: Marks(self._mask(images), regions)}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier; none of the tool counts."""
        return {}

    def _mask(self, images: Mapping[str, ImageArray]) -> MaskArray:
        """Where the region has the bulb's colour."""
        return inside(self._bulb(images[self._config.view]), self._config.region)

    def _missing(self, mask: MaskArray, width: float) -> str:
        config = self._config
        if mask.mean() < config.seen:
            return f"bulb not seen: over {mask.mean():.2%} of the image, not {config.seen:.2%}"
        middle = 1.0 - (float(np.nonzero(mask)[0].mean()) + 0.5) / len(mask)
        if middle < config.height:
            return f"bulb too low: at {middle:.2f} of the image's height, not {config.height:.2f}"
        if width < config.open_width:
            return f"gripper closed: {1000 * width:.0f} mm of {1000 * config.open_width:.0f} mm"
        return ""
