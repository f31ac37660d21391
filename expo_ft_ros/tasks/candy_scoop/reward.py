# SPDX-License-Identifier: Apache-2.0
"""Candy Scoop's classifier: candies in the raised scoop, then candies in the target (paper, B.1).

Both parts count pixels of the candies' colours. The scoop is fixed to the hand, so its bowl is
always the same region of the wrist's image, and its floor hides what lies below: whatever has a
candy's colour there is in the scoop. The target stands still, so its inside is a region of the
side image; counted is the rise since the episode's first observation, so that candies of earlier
episodes may stay in it. While the scoop is still full its candies may be seen in front of the
target; therefore the second part also asks for an empty scoop.

The operator is asked for where the bin holds too few candies or too many lie on the table (B.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.colours import (
    WHOLE,
    ColourRange,
    Colours,
    MaskArray,
    Region,
    Share,
    part,
    part_outside,
)
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.reward import HoldSteps, Marks, ViewName


class Parameters(Config):
    """What the candies look like, where they are looked for, and how many are enough."""

    height: float = Field(default=0.15, gt=0, description="tool z that counts as raised [m]")
    hand_view: ViewName = Field(
        default="wrist", description="the view of the camera that the scoop is fixed to"
    )
    scene_view: ViewName = Field(
        default="side", description="the view of the camera that sees bin, target and table"
    )
    scoop_region: Region = Field(default=WHOLE, description="bowl's floor in hand_view")
    target_region: Region = Field(default=WHOLE, description="inside of the target in scene_view")
    bin_region: Region = Field(default=WHOLE, description="inside of the bin in scene_view")
    colours: ColourRange = Field(description="of the candies")
    scooped: Share = Field(
        default=0.3, gt=0, description="part of scoop_region in candies' colours that is some"
    )
    emptied: Share = Field(
        default=0.15, description="part of scoop_region in candies' colours that is none"
    )
    poured: Share = Field(
        default=0.15, gt=0, description="rise of the part of target_region that is enough"
    )
    hold_steps: HoldSteps = 2
    few: Share = Field(
        default=0.0, lt=1, description="part of bin_region under which it is refilled; 0: never"
    )
    spilled: Share = Field(
        default=1.0,
        gt=0,
        description="part of scene_view outside of both regions from which the table is "
        "tidied; 1: never",
    )
    recent: int = Field(
        default=10, ge=1, description="newest observations that few and spilled look at"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Parameters:
        if self.emptied >= self.scooped:
            raise ValueError(f"emptied {self.emptied} must lie below scooped {self.scooped}")
        if self.hand_view == self.scene_view:
            raise ValueError(f"hand_view and scene_view are both {self.hand_view} (name two)")
        return self


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        config = self._config = parameters
        self._candies = Colours(config.colours)
        self._upkeep = _Upkeep(config)
        self._before = 0.0
        self._scooped = False
        self._hold = Hold(config.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        config = self._config
        candies = self._candies(obs.views[config.scene_view])
        self._before = part(candies, config.target_region)
        self._scooped = False
        self._hold.reset()
        self._upkeep = _Upkeep(self._config)

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says what is missing."""
        config = self._config
        candies = self._candies(obs.views[config.scene_view])
        scoop = part(self._candies(obs.views[config.hand_view]), config.scoop_region)
        human_reset = self._upkeep.look(scoop, candies)
        if not self._scooped:
            reason = self._not_scooped(scoop, float(obs.proprio.position[2]))
            self._scooped = self._held(reason)
            return Verdict(0.0, False, reason or "candies in the scoop", human_reset)
        rise = part(candies, config.target_region) - self._before
        reason = self._not_poured(scoop, rise)
        if self._held(reason):
            reason = f"candies over {rise:.0%} more of the target"
            return Verdict(1.0, True, reason, human_reset)
        return Verdict(0.0, False, reason or "poured, to be confirmed", human_reset)

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier."""
        config = self._config
        looks_at = {
            config.scene_view: {"target": config.target_region, "bin": config.bin_region},
            config.hand_view: {"scoop": config.scoop_region},
        }
        return {
            view: Marks(self._candies(images[view]), regions) for view, regions in looks_at.items()
        }

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier."""
        return {"raised": self._config.height}

    def _held(self, reason: str) -> bool:
        """True once nothing has been missing for hold_steps observations; starts anew then."""
        held = self._hold(reason)
        if held:
            self._hold.reset()
        return held

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


class _Upkeep:
    """What the operator has to set right before the next episode.

    The arm may hide the bin, so what counts is the most that was seen in it lately. The scoop's
    candies look like spilled ones, so those count from when it was last emptied, and the least
    that was seen: they may still be falling.
    """

    def __init__(self, config: Parameters) -> None:
        self._config = config
        self._in_bin: deque[float] = deque(maxlen=config.recent)
        self._on_table: deque[float] = deque(maxlen=config.recent)

    def look(self, scoop: float, candies: MaskArray) -> str:
        """What is wanted; empty: nothing. scoop: part of scoop_region with candies' colours;
        candies: where scene_view has them."""
        config = self._config
        self._in_bin.append(part(candies, config.bin_region))
        if scoop > config.emptied:
            self._on_table.clear()
        else:
            self._on_table.append(part_outside(candies, (config.bin_region, config.target_region)))
        wanted = []
        if max(self._in_bin) < config.few:
            wanted.append(f"refill the bin (candies over {max(self._in_bin):.0%} of it)")
        if len(self._on_table) >= config.hold_steps and min(self._on_table) >= config.spilled:
            wanted.append("take the candies off the table")
        return ", ".join(wanted)
