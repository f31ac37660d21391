# SPDX-License-Identifier: Apache-2.0
"""Pool Shot's classifier: the black ball in a pocket, the white one not, no cue at the black one.

The three conditions of the paper (B.1). Both balls are patches of their colours in one view from
above. In a pocket is what lies in a pocket's region, on the bed what lies in the bed's. The cue is
fixed to the hand, so that its tip is known from proprioception: it has touched the black ball where
its way since the last observation came as near as a touch to where the black ball lay. For the
whole episode that is a failure, as is a black ball that moves while the white one lies still. The
white ball has to come to rest before it counts: it may yet roll into a pocket.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.rotation import matrix_of
from expo_ft_ros.data.types import ImageArray, Observation, Proprio, Verdict
from expo_ft_ros.robots.config import Vector as Vector3
from expo_ft_ros.tasks.blobs import Blob, blobs, largest
from expo_ft_ros.tasks.colours import WHOLE, ColourRange, Colours, MaskArray, Region
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.projection import PlaneScale
from expo_ft_ros.tasks.reward import HoldSteps, Marks, ViewName

RESET = "set both balls"


class Parameters(Config):
    """What the balls look like, where bed and pockets are, and where the cue's tip is."""

    view: ViewName = Field(default="side", description="the view that sees bed and pockets")
    white: ColourRange = Field(description="of the white ball")
    black: ColourRange = Field(description="of the black ball")
    ball: float = Field(
        default=1e-3, gt=0, lt=1, description="least part of the view's pixels that is a ball"
    )
    bed_region: Region = Field(default=WHOLE, description="where balls on the bed are looked for")
    pocket_regions: tuple[Region, ...] = Field(
        min_length=1, description="one a pocket: its hole, where a ball that fell into it is seen"
    )
    scale: PlaneScale = Field(description="of the level plane of the balls' middles")
    ball_height: float = Field(description="of that plane above the base [m]")
    tip: Vector3 = Field(description="middle of the cue's round end, in the tool's frame [m]")
    touch: float = Field(
        gt=0, description="from tip to black ball when they meet: both radii, and some margin [m]"
    )
    still: float = Field(
        default=0.003, gt=0, description="way between observations that is standing still [m]"
    )
    hold_steps: HoldSteps = 3


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        self._config = parameters
        self._white, self._black = Colours(parameters.white), Colours(parameters.black)
        self._hold = Hold(parameters.hold_steps)
        self._forget()

    def _forget(self) -> None:
        self._hold.reset()
        self._tip: Vector | None = None
        self._white_at: Vector | None = None
        self._black_at: Vector | None = None
        self._white_moved = self._black_moved = False
        self._fault = ""

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        self._forget()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says what is missing."""
        config, image = self._config, obs.views[self._config.view]
        black, white = self._black(image), self._white(image)
        self._watch_cue(obs.proprio)
        white_moves, black_moves = self._look(white, black)
        if black_moves and not self._white_moved:
            self._fault = self._fault or "the black ball moved before the white one"
        missing = self._fault or self._missing(black, white)
        if not missing and (white_moves or black_moves):
            missing = "a ball is rolling"
        asked = RESET if self._white_moved or self._black_moved else ""
        if self._hold(missing):
            return Verdict(1.0, True, "the black ball is in a pocket", asked)
        count = f"to be confirmed in {config.hold_steps} observations"
        return Verdict(0.0, False, missing or f"the black ball is in a pocket, {count}", asked)

    def _watch_cue(self, proprio: Proprio) -> None:
        """Notes a touch on the way from where the tip was to where it is."""
        tip = proprio.position + matrix_of(proprio.quaternion) @ np.array(self._config.tip)
        before = tip if self._tip is None else self._tip
        self._tip = tip
        if self._black_at is not None:
            ball = np.array([*self._black_at, self._config.ball_height])
            if _distance(ball, before, tip) < self._config.touch:
                self._fault = self._fault or "the cue came to the black ball"

    def _look(self, white: MaskArray, black: MaskArray) -> tuple[bool, bool]:
        """Whether the white and the black ball have moved since the last observation."""
        config = self._config
        before = self._white_at, self._black_at
        self._white_at = self._place(largest(white, config.bed_region, config.ball))
        self._black_at = self._place(largest(black, config.bed_region, config.ball))
        white_moves, black_moves = (
            then is not None and (now is None or bool(np.linalg.norm(now - then) > config.still))
            for then, now in zip(before, (self._white_at, self._black_at), strict=True)
        )
        self._white_moved |= white_moves
        self._black_moved |= black_moves
        return white_moves, black_moves

    def _place(self, blob: Blob | None) -> Vector | None:
        """x, y (2,) of a ball on the bed [m]; None where it is in a pocket, or not seen."""
        if blob is None or self._pocketed(blob):
            return None
        return self._config.scale.place(blob.x, blob.y)

    def _pocketed(self, blob: Blob) -> bool:
        return any(
            left <= blob.x <= right and top <= blob.y <= bottom
            for left, top, right, bottom in self._config.pocket_regions
        )

    def _missing(self, black: MaskArray, white: MaskArray) -> str:
        config = self._config
        if self._black_at is not None:
            return "the black ball is on the bed"
        seen = blobs(black, config.bed_region, config.ball)
        if not any(self._pocketed(blob) for blob in seen):
            return "the black ball isn't seen"
        if self._white_at is None:
            gone = any(self._pocketed(b) for b in blobs(white, config.bed_region, config.ball))
            return "the white ball is in a pocket" if gone else "the white ball isn't seen"
        return ""

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier."""
        config, image = self._config, images[self._config.view]
        regions = {f"pocket {i}": box for i, box in enumerate(config.pocket_regions, start=1)}
        mask = self._white(image) | self._black(image)
        return {config.view: Marks(mask, {"bed": config.bed_region, **regions})}

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier; none counts."""
        return {}


def _distance(point: Vector, start: Vector, end: Vector) -> float:
    """Of a point (3,) from the way from start (3,) to end (3,) [m]."""
    way = end - start
    length = float(way @ way)
    share = float((point - start) @ way) / length if length > 0 else 0.0
    nearest = start + np.clip(share, 0.0, 1.0) * way
    return float(np.linalg.norm(point - nearest))
