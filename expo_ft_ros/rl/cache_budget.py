# SPDX-License-Identifier: Apache-2.0
"""How much memory caches beside replay may take."""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


class CacheBudget:
    """Grants caches their memory, first come first served.

    Args:
        total: Bytes.

    Attributes:
        left_out: What was refused, name -> bytes that it would have taken.
    """

    def __init__(self, total: int) -> None:
        self._free = total
        self.left_out: dict[str, int] = {}

    def grants(self, name: str, size: int) -> bool:
        """Whether a cache of so many bytes fits; one that doesn't is left out, and logged."""
        if size <= self._free:
            self._free -= size
            return True
        self.left_out[name] = size
        _log.warning(
            "%s of %.1f GB are not kept, %.1f GB of cache_bytes are free: they are made for each "
            "batch, which is slower (raise cache_bytes in the size's file, or lower "
            "replay_capacity)",
            name,
            size / 1e9,
            self._free / 1e9,
        )
        return False
