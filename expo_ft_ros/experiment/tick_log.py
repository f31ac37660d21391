# SPDX-License-Identifier: Apache-2.0
"""How long ticks took, in the run's folder (`bench graph` reads it)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from expo_ft_ros.control.actions import Tick
from expo_ft_ros.data.files import writing

TICKS_FILE = "ticks.jsonl"


class TickLog:
    """Keeps ticks in memory until `write`: a disk has no part in a tick.

    run: the run's folder; None keeps nothing.
    """

    def __init__(self, run: Path | None) -> None:
        self._path = run / TICKS_FILE if run is not None else None
        self._ticks: list[Tick] = []

    def add(self, tick: Tick) -> None:
        """Keeps a tick."""
        if self._path is not None:
            self._ticks.append(tick)

    def write(self) -> None:
        """Writes what was kept; to be called while nothing moves."""
        if self._path is not None and self._ticks:
            with writing(self._path), self._path.open("a") as file:
                file.writelines(json.dumps(asdict(tick)) + "\n" for tick in self._ticks)
            self._ticks.clear()
