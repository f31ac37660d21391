# SPDX-License-Identifier: Apache-2.0
"""Base chunks that the VLA drew once for each replayed observation, for the TD target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class CandidateCache:
    """Base chunks of each slot, in the VLA's normalised space.

    They are samples of the policy that was current at version `version[slot]`; -1 marks a slot
    that has none. float32, as critics read them.

    Args:
        capacity: Slots.
        shape: (N, C, 7) of one slot's chunks.
    """

    def __init__(self, capacity: int, shape: Sequence[int]) -> None:
        self._chunks = torch.empty((capacity, *shape))
        self.version: NDArray[np.int64] = np.full(capacity, -1, dtype=np.int64)

    @staticmethod
    def size_of(capacity: int, shape: Sequence[int]) -> int:
        """Bytes that such a cache takes."""
        return capacity * math.prod(shape) * torch.float32.itemsize

    def put(
        self, slots: NDArray[np.int64], chunks: Tensor, version: int | NDArray[np.int64]
    ) -> None:
        """Keeps chunks (len(slots), N, C, 7) drawn by weights of that version."""
        self._chunks[torch.from_numpy(slots)] = chunks.to("cpu", torch.float32)
        self.version[slots] = version

    def get(self, slots: NDArray[np.int64]) -> Tensor:
        """(len(slots), N, C, 7) of slots that have them; raises ValueError naming those that have
        none."""
        if (missing := self.missing(slots)).size:
            raise ValueError(f"slots {missing[:5].tolist()} have no candidates yet")
        return self._chunks[torch.from_numpy(slots)]

    def forget(self, slots: NDArray[np.int64]) -> None:
        """Marks slots as having no chunks (their observation was replaced)."""
        self.version[slots] = -1

    def missing(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the slots that have no chunks."""
        return slots[self.version[slots] < 0]

    def oldest(self, slots: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """The `count` slots whose chunks come from the oldest weights."""
        return slots[np.argsort(self.version[slots], kind="stable")[:count]]

    def state_dict(self, slots: NDArray[np.int64]) -> dict[str, Tensor]:
        """What is held of these slots."""
        held = slots[self.version[slots] >= 0]
        return {
            "slots": torch.from_numpy(held),
            "chunks": self.get(held),
            "version": torch.from_numpy(self.version[held]),
        }

    def load_state_dict(self, state: Mapping[str, Tensor], slots: NDArray[np.int64]) -> None:
        """Takes up of a state_dict what is of these slots.

        Raises:
            KeyError: where something is missing.
        """
        held = state["slots"].numpy()
        there = np.isin(held, slots)
        chunks = state["chunks"][torch.from_numpy(there)]
        self.put(held[there], chunks, state["version"].numpy()[there])
