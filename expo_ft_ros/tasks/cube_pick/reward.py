"""Cube Pick's classifier: the tool has risen while the gripper is partially closed (paper, B.1).

From proprioception alone. A gripper that stopped halfway without an object is the known false
positive, and its commanded opening isn't observable. Three things tell a grasp from it: the
fingers began to close near the table and not in the air; the opening lies within the object's
range; and it stands still, to fractions of a millimetre, over the observations that are counted,
because the object stops it (a free gripper moves 1.2 mm a tick at a tenth of its speed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from expo_ft_ros.data.types import Observation, Verdict
from expo_ft_ros.tasks.reward import Marks
from expo_ft_ros.tasks.reward_parameters import read_parameters


@dataclass(frozen=True)
class GripperLiftConfig:
    """height: tool z that counts as lifted [m]; min_width, max_width: opening while an object is
    held [m]; hold_steps: consecutive observations; grasp_height, open_width: the opening must have
    come below open_width with the tool under grasp_height, and not been above it since [m]; stall:
    change of the opening between observations that still counts as standing still [m]."""

    height: float = 0.12
    min_width: float = 0.03
    max_width: float = 0.05
    hold_steps: int = 2
    grasp_height: float = 0.08
    open_width: float = 0.06
    stall: float = 0.0005

    def __post_init__(self) -> None:
        if not 0 <= self.min_width < self.max_width <= self.open_width:
            raise ValueError(
                f"gripper_lift: min_width {self.min_width} m must lie below max_width "
                f"{self.max_width} m, and that not above open_width {self.open_width} m"
            )
        if self.hold_steps < 1 or self.stall <= 0 or self.grasp_height >= self.height:
            raise ValueError(
                f"gripper_lift: needs hold_steps >= 1, stall > 0 and grasp_height < height, got "
                f"{self}"
            )


class GripperLift:
    """See the module; satisfies Classifier."""

    def __init__(self, parameters: Mapping[str, object] | None = None) -> None:
        self._config = read_parameters(GripperLiftConfig, "gripper_lift", parameters or {})
        self._width = float("inf")
        self._grasped = False
        self._count = 0

    def reset(self, obs: Observation) -> None:
        """See Classifier."""
        self._width = obs.proprio.gripper_width
        self._grasped = False
        self._count = 0

    def __call__(self, obs: Observation) -> Verdict:
        """See Classifier; reason says which condition is missing."""
        config, width = self._config, obs.proprio.gripper_width
        z = float(obs.proprio.position[2])
        stalled = abs(width - self._width) <= config.stall
        partial = config.min_width < width < config.max_width
        # Not by max_width: a hurried lift begins while the fingers are still closing.
        if width >= config.open_width:
            self._grasped = False
        elif self._width >= config.open_width:
            self._grasped = z < config.grasp_height
        self._width = width
        reason = self._missing(z, width, partial, stalled)
        self._count = 0 if reason else self._count + 1
        if reason:
            return Verdict(0.0, False, reason)
        if self._count < config.hold_steps:
            return Verdict(0.0, False, f"lifted for {self._count} of {config.hold_steps} steps")
        return Verdict(1.0, True, f"lifted to {z:.3f} m, {1000 * width:.0f} mm between the fingers")

    def _missing(self, z: float, width: float, partial: bool, stalled: bool) -> str:
        config = self._config
        if not partial:
            return "gripper open" if width >= config.max_width else "gripper closed on nothing"
        if z <= config.height:
            return f"not lifted: {z:.3f} m of {config.height:.3f} m"
        if not self._grasped:
            return "closed in the air"
        return "" if stalled else "gripper still moving"

    def marks(self, obs: Observation) -> Mapping[str, Marks]:
        """See Classifier; it looks at no image."""
        return {}

    @property
    def heights(self) -> Mapping[str, float]:
        """See Classifier."""
        return {"lifted": self._config.height, "grasped below": self._config.grasp_height}
