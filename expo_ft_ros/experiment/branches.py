# SPDX-License-Identifier: Apache-2.0
"""What came of branching: states, the chunks that were tried there, and what each led to.

Kept as one .npz, so that another critic can be scored on the same branches.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import replacing
from expo_ft_ros.data.types import FloatArray, ImageArray

_ABOUT = "about"

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Branches:
    """S states with R chunks in all, each followed by N continuations.

    Attributes:
        scene: (S,) seed of each state's episode.
        step: (S,) steps that were executed before it.
        length: (S,) steps of that episode as it went on.
        closed: (S,) whether the gripper had begun to close by then.
        images: (S, V, 3, s, s) uint8, as networks see them, the views in the robot's order.
        state: (S, STATE_DIM) float32, SI units.
        instruction: (S,) text.
        at: (R,) which state a chunk was tried at.
        kind: (R,) what made it: base, edited, random_edits, gripper, or another of the agent's.
        proposed: (R,) whether the agent chooses from it; chosen: (R,) whether it chose it.
        chunk: (R, C, 7) float32 in robot-normalised units.
        q: (R,) float32, the critic's value, NaN where there is none.
        success: (R, N) bool of each continuation.
        steps: (R, N) from the state to its end.
    """

    scene: Integers
    step: Integers
    length: Integers
    closed: Flags
    images: ImageArray
    state: FloatArray
    instruction: NDArray[np.str_]
    at: Integers
    kind: NDArray[np.str_]
    proposed: Flags
    chosen: Flags
    chunk: FloatArray
    q: FloatArray
    success: Flags
    steps: Integers

    def __len__(self) -> int:
        """S."""
        return len(self.scene)

    def returns(self, gamma: float) -> NDArray[np.float64]:
        """(R, N) discounted to the state: the reward of a step is its outcome's, as Q has it."""
        discounted = np.power(gamma, self.steps - 1.0)
        return np.where(self.success, discounted, 0.0).astype(np.float64)

    def valued(self, q: FloatArray) -> Branches:
        """The same with another critic's values (R,)."""
        return replace(self, q=q)


_OF_STATES = ("scene", "step", "length", "closed", "images", "state", "instruction")


def joined(parts: Sequence[Branches]) -> Branches:
    """All of them as one.

    Raises:
        ValueError: for none.
    """
    offsets = np.cumsum([0, *(len(part) for part in parts[:-1])])
    moved = [replace(part, at=part.at + off) for part, off in zip(parts, offsets, strict=True)]
    return Branches(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in moved])
            for field in fields(Branches)
        }
    )


def save_branches(path: Path, branches: Branches, about: Mapping[str, Any]) -> None:
    """Writes an .npz. about: what they are of, as JSON.

    Raises:
        DiskError: where it can't be written.
    """
    arrays: dict[str, Any] = {f.name: getattr(branches, f.name) for f in fields(Branches)}
    arrays[_ABOUT] = np.array(json.dumps(about))
    partial = path.with_suffix(".partial")
    with replacing(partial, path), partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_branches(path: Path) -> tuple[Branches, dict[str, Any]]:
    """What `save_branches` wrote, and what it is of.

    Raises:
        ConfigError: naming a file that isn't there or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {field.name: file[field.name] for field in fields(Branches)}
            about = json.loads(str(file[_ABOUT]))
        branches = Branches(**arrays)
        _require_whole(branches)
    except FileNotFoundError:
        raise ConfigError(f"branches:={path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        cause = " ".join(str(error).split())
        raise ConfigError(
            f"branches:={path}: not what bench choice writes: {cause} (name an .npz of "
            "benchmarks/results/choice_*)"
        ) from None
    return branches, about


def _require_whole(branches: Branches) -> None:
    for field in fields(Branches):
        count = len(branches.scene if field.name in _OF_STATES else branches.at)
        shape = np.shape(getattr(branches, field.name))
        if not shape or shape[0] != count:
            raise ValueError(f"{field.name} has shape {shape}, not ({count}, ...)")
    if len(branches.at) and not 0 <= branches.at.min() <= branches.at.max() < len(branches):
        raise ValueError(f"at names states up to {branches.at.max()}, there are {len(branches)}")
