"""Candy Scoop's classifier: candies in the raised scoop, then candies in the target (paper, B.1).

Both parts count pixels of the candies' colours. The scoop is fixed to the hand, so its bowl is
always the same region of the wrist image, and its floor hides what lies below: whatever has a
candy's colour there is in the scoop. The target stands still, so its inside is a region of the
side image; counted is the rise since the episode's first observation, so that candies of earlier
episodes may stay in it. While the scoop is still full its candies may be seen in front of the
target; therefore the second part also asks for an empty scoop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.rewards.parameters import read_parameters


@dataclass(frozen=True)
class CandyScoopConfig:
    """height: tool z that counts as raised [m]; scoop_region of the wrist image and target_region
    of the side image: left, top, right, bottom, as parts of its width and height in [0, 1];
    hues: of the candies [degrees]; hue_tolerance [degrees]; min_saturation, min_value: of a
    candy's pixel, in [0, 1]; scooped, emptied: part of scoop_region that has candies' colours from
    which it holds some, and up to which it holds none; poured: rise of that part of target_region;
    hold_steps: consecutive observations for each half."""

    height: float = 0.15
    scoop_region: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0)
    target_region: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0)
    hues: tuple[float, ...] = (0.0, 60.0, 120.0)
    hue_tolerance: float = 12.0
    min_saturation: float = 0.6
    min_value: float = 0.25
    scooped: float = 0.3
    emptied: float = 0.15
    poured: float = 0.15
    hold_steps: int = 2

    def __post_init__(self) -> None:
        for name in ("scoop_region", "target_region"):
            region = getattr(self, name)
            if len(region) != 4 or not (
                0 <= region[0] < region[2] <= 1 and 0 <= region[1] < region[3] <= 1
            ):
                raise ValueError(
                    f"candy_scoop: {name} must be [left, top, right, bottom] in [0, 1] with "
                    f"left < right and top < bottom, got {list(region)}"
                )
        if not self.hues or not all(0 <= hue < 360 for hue in self.hues):
            raise ValueError(
                f"candy_scoop: hues must be one or more angles in [0, 360) degrees, got "
                f"{list(self.hues)}"
            )
        if not 0 <= self.emptied < self.scooped <= 1 or not 0 < self.poured <= 1:
            raise ValueError(
                f"candy_scoop: needs 0 <= emptied < scooped <= 1 and 0 < poured <= 1, got {self}"
            )
        if self.hold_steps < 1 or self.hue_tolerance <= 0:
            raise ValueError(
                f"candy_scoop: needs hold_steps >= 1 and hue_tolerance > 0, got {self}"
            )


class CandyScoop:
    """See the module; satisfies Classifier."""

    def __init__(self, parameters: Mapping[str, object] | None = None) -> None:
        self._config = read_parameters(CandyScoopConfig, "candy_scoop", parameters or {})
        self._before = 0.0
        self._scooped = False
        self._count = 0

    def reset(self, obs: Observation) -> None:
        """See Classifier."""
        self._before = self._candies(obs.side, self._config.target_region)
        self._scooped = False
        self._count = 0

    def __call__(self, obs: Observation) -> Verdict:
        """See Classifier; reason says what is missing."""
        config = self._config
        scoop = self._candies(obs.wrist, config.scoop_region)
        if not self._scooped:
            reason = self._not_scooped(scoop, float(obs.proprio.position[2]))
            self._scooped = self._held(reason)
            return Verdict(0.0, False, reason or "candies in the scoop")
        rise = self._candies(obs.side, config.target_region) - self._before
        reason = self._not_poured(scoop, rise)
        if self._held(reason):
            return Verdict(1.0, True, f"candies over {rise:.0%} more of the target")
        return Verdict(0.0, False, reason or "poured, to be confirmed")

    def _held(self, reason: str) -> bool:
        """True once nothing has been missing for hold_steps observations; starts anew then."""
        self._count = 0 if reason else self._count + 1
        if self._count < self._config.hold_steps:
            return False
        self._count = 0
        return True

    def _not_scooped(self, scoop: float, z: float) -> str:
        config = self._config
        if z <= config.height:
            return f"not raised: {z:.3f} m of {config.height:.3f} m"
        if scoop < config.scooped:
            return f"scoop empty: candies over {scoop:.0%} of it, not {config.scooped:.0%}"
        return ""

    def _not_poured(self, scoop: float, rise: float) -> str:
        config = self._config
        if scoop > config.emptied:
            return f"not poured: candies over {scoop:.0%} of the scoop"
        if rise < config.poured:
            return f"target: candies over {rise:.0%} more of it, not {config.poured:.0%}"
        return ""

    def _candies(self, image: ImageArray, region: tuple[float, ...]) -> float:
        """Part of the region's pixels that have a candy's colour, in [0, 1]."""
        config = self._config
        height, width = image.shape[:2]
        left, right = (round(edge * width) for edge in region[::2])
        top, bottom = (round(edge * height) for edge in region[1::2])
        crop = image[top : max(bottom, top + 1), left : max(right, left + 1)]
        hsv = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2HSV).astype(np.float32)
        hue, saturation, value = 2.0 * hsv[..., 0], hsv[..., 1] / 255.0, hsv[..., 2] / 255.0
        apart = np.abs(hue[..., None] - np.array(config.hues, dtype=np.float32))
        match = (np.minimum(apart, 360.0 - apart) <= config.hue_tolerance).any(axis=-1)
        match &= (saturation >= config.min_saturation) & (value >= config.min_value)
        return float(match.mean())
