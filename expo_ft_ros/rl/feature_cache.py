# SPDX-License-Identifier: Apache-2.0
"""What a frozen network made of each replayed observation, made once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class FeatureCache:
    """Features of each slot, under several augmentations of its images.

    Draw 0 is of the plain images, the others were augmented independently. In memory of the CPU,
    which the system gives as it is written to.

    Args:
        capacity: Slots.
        draws: Features of a slot.
        shape: Of one slot's features.
        dtype: Of features.
    """

    def __init__(self, capacity: int, draws: int, shape: Sequence[int], dtype: torch.dtype) -> None:
        self.draws = draws
        self._features = torch.empty((capacity, draws, *shape), dtype=dtype)
        self._held: NDArray[np.bool_] = np.zeros(capacity, dtype=np.bool_)

    @staticmethod
    def size_of(capacity: int, draws: int, shape: Sequence[int], dtype: torch.dtype) -> int:
        """Bytes that such a cache takes."""
        return capacity * draws * math.prod(shape) * dtype.itemsize

    def put(self, slots: NDArray[np.int64], features: Tensor) -> None:
        """Keeps features (len(slots), draws, *shape)."""
        self._features[torch.from_numpy(slots)] = features.to("cpu", self._features.dtype)
        self._held[slots] = True

    def forget(self, slots: NDArray[np.int64]) -> None:
        """Marks slots as having no features."""
        self._held[slots] = False

    def missing(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the slots that have none."""
        return slots[~self._held[slots]]

    def get(self, slots: NDArray[np.int64], rng: np.random.Generator | None) -> Tensor:
        """(len(slots), *shape) of slots that have them.

        Args:
            slots: (B,).
            rng: Draws one for each slot; None: the plain images'.

        Raises:
            ValueError: naming slots that have none.
        """
        if (missing := self.missing(slots)).size:
            raise ValueError(f"slots {missing[:5].tolist()} have no features yet")
        if rng is None:
            return self._features[torch.from_numpy(slots), 0]
        draws = torch.from_numpy(rng.integers(self.draws, size=len(slots)))
        return self._features[torch.from_numpy(slots), draws]

    def state_dict(self, slots: NDArray[np.int64]) -> dict[str, Tensor]:
        """What is held of these slots."""
        held = torch.from_numpy(slots[self._held[slots]])
        return {"slots": held, "features": self._features[held]}

    def load_state_dict(self, state: Mapping[str, Tensor], slots: NDArray[np.int64]) -> None:
        """Takes up of a state_dict what is of these slots.

        Raises:
            KeyError: where something is missing.
        """
        held = state["slots"].numpy()
        there = np.isin(held, slots)
        self.put(held[there], state["features"][torch.from_numpy(there)])
