# SPDX-License-Identifier: Apache-2.0
"""Flower Insert's classifier: the gripper at the mouth, and no stem seen below it (paper, B.1).

Inside the bottle the stem is hidden; beside it, it isn't. scene_view sees the bottle from the side:
the stem's colour in the region below the mouth's edge is a stem that has missed. What the neck
hides from it, hand_view sees from above: there the stem that goes straight into the mouth is always
in the same window, and one that has missed is seen outside of it.
"""

from __future__ import annotations

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
    part,
    part_of_image,
    part_outside,
)
from expo_ft_ros.tasks.conditions import Hold, ToolRegion
from expo_ft_ros.tasks.reward import HoldSteps, Marks, ViewName


class Parameters(Config):
    """What the stem looks like, where it must not be seen, and where the gripper has to be."""

    tool_region: ToolRegion = Field(
        description="where the tool centre point is while the stem is in the bottle all the way"
    )
    hand_view: ViewName = Field(
        default="wrist", description="the view of the camera on the hand that holds the flower"
    )
    scene_view: ViewName = Field(
        default="side", description="the view of the camera that sees the bottle from the side"
    )
    below_region: Region = Field(
        default=WHOLE, description="of scene_view, below the mouth's edge, on all sides of the neck"
    )
    above_region: Region = Field(
        default=WHOLE, description="of hand_view, where the stem above the mouth is, once it is in"
    )
    stem: ColourRange = Field(description="the stem's colour, which the bottle doesn't have")
    seen: float = Field(
        default=1e-4, gt=0, lt=1, description="part of a view's pixels that is a stem in sight"
    )
    lost: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="part of above_region in the stem's colour under which the flower isn't in the "
        "gripper any more, so that the operator is asked to put it back; 0: never",
    )
    hold_steps: HoldSteps = 2

    @model_validator(mode="after")
    def _two_views(self) -> Parameters:
        if self.hand_view == self.scene_view:
            raise ValueError(f"hand_view and scene_view are both {self.hand_view} (name two)")
        return self


class Classifier:
    """See the module; satisfies reward.Classifier."""

    def __init__(self, parameters: Parameters) -> None:
        self._config = parameters
        self._stem = Colours(parameters.stem)
        self._hold = Hold(parameters.hold_steps)

    def reset(self, obs: Observation) -> None:
        """See reward.Classifier."""
        self._hold.reset()

    def __call__(self, obs: Observation) -> Verdict:
        """See reward.Classifier; reason says what is missing."""
        config = self._config
        in_hand = self._stem(obs.views[config.hand_view])
        held = part(in_hand, config.above_region)
        if held < config.lost:
            self._hold.reset()
            words = f"no flower in the gripper: stem over {held:.1%}, not {config.lost:.1%}"
            return Verdict(0.0, False, words, "put the flower into the gripper")
        missing = self._missing(obs, in_hand)
        if self._hold(missing):
            return Verdict(1.0, True, "the stem is in the bottle")
        return Verdict(0.0, False, missing or "in the bottle, to be confirmed")

    def _missing(self, obs: Observation, in_hand: MaskArray) -> str:
        config = self._config
        outside = config.tool_region.missing(obs.proprio)
        if outside:
            return f"gripper not at the mouth: {outside}"
        below = self._stem(obs.views[config.scene_view])
        share = part_of_image(below, config.below_region)
        if share >= config.seen:
            return f"stem below the mouth: {share:.2%} of {config.scene_view}"
        beside = part_outside(in_hand, [config.above_region])
        if beside >= config.seen:
            return f"stem beside the mouth: {beside:.2%} of {config.hand_view}"
        return ""

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        """See reward.Classifier."""
        config = self._config
        looks_at = {
            config.scene_view: {"below the mouth": config.below_region},
            config.hand_view: {"into the mouth": config.above_region},
        }
        return {
            view: Marks(self._stem(images[view]), regions) for view, regions in looks_at.items()
        }

    @property
    def heights(self) -> Mapping[str, float]:
        """See reward.Classifier."""
        return {"inserted below": self._config.tool_region.high[2]}
