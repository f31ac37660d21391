# SPDX-License-Identifier: Apache-2.0
"""Egg Flip's classifier: the egg's other side is up, and it lies in the pan (paper, B.1).

The paper's rule: whether yolk is up at the start, and whether it is now, from yolk pixels in a crop
that is the pan. Yolk that isn't seen may also be hidden, lost, or turned away for a moment.
Therefore the egg counts as flipped only while the blade is raised, all of it is seen inside the
pan, it stands still, and it is as large and as flat in the image as an egg that lies: one that
leans against the wall is smaller, or higher or narrower, and one on the raised blade is larger.

The operator is asked for where the egg isn't in the pan (B.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.colours import WHOLE, Box, ColourRange, Colours, MaskArray, Region, Share
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.reward import HoldSteps, Marks, ViewName

Ratio = Annotated[float, Field(gt=0)]


class Parameters(Config):
    """What the egg looks like, where it is looked for, and what tells that it was turned."""

    height: float = Field(default=0.15, gt=0, description="tool z above which the blade is up [m]")
    scene_view: ViewName = Field(
        default="side", description="the view of the camera that sees the pan"
    )
    pan_region: Region = Field(
        default=WHOLE, description="box around the pan in scene_view; the pan is the ellipse in it"
    )
    egg: ColourRange = Field(description="of the whole egg, yolk and white")
    yolk: ColourRange = Field(description="of the yolk")
    yolk_up: Share = Field(
        default=0.12, gt=0, description="part of the egg's pixels that is yolk, from which it is up"
    )
    yolk_down: Share = Field(default=0.03, description="the same, up to which it is down")
    whole: tuple[Share, Share] = Field(
        default=(0.03, 0.2),
        description="least and greatest part of the pan that the egg covers where it lies and all "
        "of it is seen",
    )
    flat: tuple[Ratio, Ratio] = Field(
        default=(0.5, 0.95), description="the same of its height over its width, in pixels"
    )
    still: Share = Field(
        default=0.85, description="overlap of the egg with where it was, from which it lies still"
    )
    hold_steps: HoldSteps = 2
    lost: Share = Field(
        default=0.0,
        lt=1,
        description="part of the pan below which there is no egg in the pan; 0: never",
    )
    recent: int = Field(default=10, ge=1, description="newest observations that lost looks at")

    @model_validator(mode="after")
    def _in_order(self) -> Parameters:
        if self.yolk_down >= self.yolk_up:
            raise ValueError(f"yolk_down {self.yolk_down} must lie below yolk_up {self.yolk_up}")
        for name, (least, greatest) in (("whole", self.whole), ("flat", self.flat)):
            if least >= greatest:
                raise ValueError(f"{name} {[least, greatest]} must be [least, greatest]")
        if self.lost >= self.whole[0]:
            raise ValueError(f"lost {self.lost} must lie below whole {list(self.whole)}")
        return self


@dataclass(frozen=True)
class Egg:
    """The egg in one image. mask: (h, w) its pixels in the pan; share: of the pan; yolk: part of
    them that is yolk; ratio: their height over their width."""

    mask: MaskArray
    share: float
    yolk: float
    ratio: float


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        self._config = parameters
        self._is_egg, self._is_yolk = Colours(parameters.egg), Colours(parameters.yolk)
        self._yolk_was_up = False
        self._before: MaskArray | None = None
        self._shares: deque[float] = deque(maxlen=parameters.recent)
        self._hold = Hold(parameters.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier. Here the egg has to be seen: its side up is remembered."""
        egg = self._look(obs.views)
        config = self._config
        self._yolk_was_up = egg.yolk >= (config.yolk_up + config.yolk_down) / 2
        self._before = None
        self._shares.clear()
        self._hold.reset()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says what is missing."""
        config, egg = self._config, self._look(obs.views)
        self._shares.append(egg.share)
        human_reset = "put the egg into the pan" if max(self._shares) < config.lost else ""
        reason = self._missing(egg, float(obs.proprio.position[2]))
        self._before = egg.mask
        if self._hold(reason):
            reason = f"flipped: yolk over {egg.yolk:.0%} of the egg"
            return Verdict(1.0, True, reason, human_reset)
        lasting = f"flipped for {self._hold.count} of {config.hold_steps} steps"
        return Verdict(0.0, False, reason or lasting, human_reset)

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier."""
        config = self._config
        return {config.scene_view: Marks(self._look(images).mask, {"pan": config.pan_region})}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier."""
        return {"blade up": self._config.height}

    def _missing(self, egg: Egg, z: float) -> str:
        config = self._config
        if z <= config.height:
            return f"blade not raised: {z:.3f} m of {config.height:.3f} m"
        if not config.whole[0] <= egg.share <= config.whole[1]:
            least, greatest = config.whole
            return f"egg over {egg.share:.1%} of the pan, not {least:.1%} to {greatest:.1%}"
        if not config.flat[0] <= egg.ratio <= config.flat[1]:
            return f"egg doesn't lie: {egg.ratio:.2f} times as high as wide"
        if self._yolk_was_up and egg.yolk > config.yolk_down:
            return f"yolk over {egg.yolk:.0%} of the egg, not {config.yolk_down:.0%} at most"
        if not self._yolk_was_up and egg.yolk < config.yolk_up:
            return f"yolk over {egg.yolk:.0%} of the egg, not {config.yolk_up:.0%}"
        return "" if self._stands_still(egg.mask) else "egg still moving"

    def _stands_still(self, mask: MaskArray) -> bool:
        if self._before is None:
            return False
        either = int((mask | self._before).sum())
        return bool((mask & self._before).sum() >= self._config.still * either)

    def _look(self, images: Mapping[str, ImageArray]) -> Egg:
        image = images[self._config.scene_view]
        pan = _ellipse(image, self._config.pan_region)
        mask: MaskArray = self._is_egg(image) & pan
        count = int(mask.sum())
        yolk = int((self._is_yolk(image) & mask).sum())
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        ratio = float((np.ptp(rows) + 1) / (np.ptp(columns) + 1)) if count else 0.0
        return Egg(mask, count / max(int(pan.sum()), 1), yolk / max(count, 1), ratio)


def _ellipse(image: ImageArray, region: Box) -> MaskArray:
    """(h, w) True inside the ellipse that touches the region's sides."""
    height, width = image.shape[:2]
    left, top, right, bottom = region
    x = ((np.arange(width) + 0.5) / width - (left + right) / 2) / ((right - left) / 2)
    y = ((np.arange(height) + 0.5) / height - (top + bottom) / 2) / ((bottom - top) / 2)
    inside: MaskArray = x[None, :] ** 2 + y[:, None] ** 2 <= 1.0
    return inside
