"""Candy Scoop's classifier: candies in the raised scoop, then candies in the target (paper, B.1).

Both parts count pixels of the candies' colours. The scoop is fixed to the hand, so its bowl is
always the same region of the wrist image, and its floor hides what lies below: whatever has a
candy's colour there is in the scoop. The target stands still, so its inside is a region of the
side image; counted is the rise since the episode's first observation, so that candies of earlier
episodes may stay in it. While the scoop is still full its candies may be seen in front of the
target; therefore the second part also asks for an empty scoop.

A person is asked for where the bin holds too few candies or too many lie on the table (B.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from expo_ft_ros.data.types import Observation, Verdict
from expo_ft_ros.tasks.colours import Colours, MaskArray, Region, part, part_outside
from expo_ft_ros.tasks.reward import Marks
from expo_ft_ros.tasks.reward_parameters import read_parameters


@dataclass(frozen=True)
class CandyScoopConfig:
    """height: tool z that counts as raised [m]; scoop_region of the wrist image, target_region and
    bin_region of the side image: left, top, right, bottom, as parts of its width and height in
    [0, 1]; hues: of the candies [degrees]; hue_tolerance [degrees]; min_saturation, min_value: of a
    candy's pixel, in [0, 1]; scooped, emptied: part of scoop_region that has candies' colours from
    which it holds some, and up to which it holds none; poured: rise of that part of target_region;
    hold_steps: consecutive observations for each half; few: part of bin_region with candies'
    colours under which a person refills it (0: never); spilled: part of the side image with them
    outside of both regions from which he tidies up (1: never); recent: newest observations that
    those two look at."""

    height: float = 0.15
    scoop_region: Region = (0.0, 0.0, 1.0, 1.0)
    target_region: Region = (0.0, 0.0, 1.0, 1.0)
    hues: tuple[float, ...] = (0.0, 60.0, 120.0)
    hue_tolerance: float = 12.0
    min_saturation: float = 0.6
    min_value: float = 0.25
    scooped: float = 0.3
    emptied: float = 0.15
    poured: float = 0.15
    hold_steps: int = 2
    bin_region: Region = (0.0, 0.0, 1.0, 1.0)
    few: float = 0.0
    spilled: float = 1.0
    recent: int = 10

    def __post_init__(self) -> None:
        for name in ("scoop_region", "target_region", "bin_region"):
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
        rules = {
            "0 <= emptied < scooped <= 1": 0 <= self.emptied < self.scooped <= 1,
            "0 < poured <= 1": 0 < self.poured <= 1,
            "hold_steps >= 1": self.hold_steps >= 1,
            "hue_tolerance > 0": self.hue_tolerance > 0,
            "0 <= few < 1": 0 <= self.few < 1,
            "0 < spilled <= 1": 0 < self.spilled <= 1,
            "recent >= 1": self.recent >= 1,
        }
        for rule, kept in rules.items():
            if not kept:
                raise ValueError(f"candy_scoop: needs {rule}, got {self}")


class CandyScoop:
    """See the module; satisfies Classifier."""

    def __init__(self, parameters: Mapping[str, object] | None = None) -> None:
        config = read_parameters(CandyScoopConfig, "candy_scoop", parameters or {})
        self._config = config
        self._candies = Colours(
            config.hues, config.hue_tolerance, config.min_saturation, config.min_value
        )
        self._upkeep = _Upkeep(config)
        self._before = 0.0
        self._scooped = False
        self._count = 0

    def reset(self, obs: Observation) -> None:
        """See Classifier."""
        self._before = part(self._candies(obs.side), self._config.target_region)
        self._scooped = False
        self._count = 0
        self._upkeep = _Upkeep(self._config)

    def __call__(self, obs: Observation) -> Verdict:
        """See Classifier; reason says what is missing."""
        config = self._config
        side = self._candies(obs.side)
        scoop = part(self._candies(obs.wrist), config.scoop_region)
        human_reset = self._upkeep.look(scoop, side)
        if not self._scooped:
            reason = self._not_scooped(scoop, float(obs.proprio.position[2]))
            self._scooped = self._held(reason)
            return Verdict(0.0, False, reason or "candies in the scoop", human_reset)
        rise = part(side, config.target_region) - self._before
        reason = self._not_poured(scoop, rise)
        if self._held(reason):
            reason = f"candies over {rise:.0%} more of the target"
            return Verdict(1.0, True, reason, human_reset)
        return Verdict(0.0, False, reason or "poured, to be confirmed", human_reset)

    def marks(self, obs: Observation) -> Mapping[str, Marks]:
        """See Classifier."""
        config = self._config
        side = {"target": config.target_region, "bin": config.bin_region}
        return {
            "side": Marks(self._candies(obs.side), side),
            "wrist": Marks(self._candies(obs.wrist), {"scoop": config.scoop_region}),
        }

    @property
    def heights(self) -> Mapping[str, float]:
        """See Classifier."""
        return {"raised": self._config.height}

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


class _Upkeep:
    """What a person has to set right before the next episode.

    The arm may hide the bin, so what counts is the most that was seen in it lately. The scoop's
    candies look like spilled ones, so those count from when it was last emptied, and the least
    that was seen: they may still be falling.
    """

    def __init__(self, config: CandyScoopConfig) -> None:
        self._config = config
        self._in_bin: deque[float] = deque(maxlen=config.recent)
        self._on_table: deque[float] = deque(maxlen=config.recent)

    def look(self, scoop: float, side: MaskArray) -> str:
        """What is wanted; empty: nothing. scoop: part of scoop_region with candies' colours; side:
        where the side image has them."""
        config = self._config
        self._in_bin.append(part(side, config.bin_region))
        if scoop > config.emptied:
            self._on_table.clear()
        else:
            self._on_table.append(part_outside(side, (config.bin_region, config.target_region)))
        wanted = []
        if max(self._in_bin) < config.few:
            wanted.append(f"refill the bin (candies over {max(self._in_bin):.0%} of it)")
        if len(self._on_table) >= config.hold_steps and min(self._on_table) >= config.spilled:
            wanted.append("take the candies off the table")
        return ", ".join(wanted)
