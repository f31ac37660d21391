# SPDX-License-Identifier: Apache-2.0
"""How old what the robot was commanded by was, tick by tick, of a real-time run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expo_ft_ros.experiment.progress import finite
from expo_ft_ros.experiment.tick_log import TICKS_FILE

LATENESS, REACTION, CHUNK = "tick", "operator", "chunk"
_OF_TICKS = {"late": LATENESS, "reaction": REACTION, "chunk_late": CHUNK}


@dataclass(frozen=True)
class Latency:
    """Of one hop, over all ticks that have it [s]. count: of these ticks."""

    count: int
    median: float
    most_but_one_percent: float
    greatest: float


def read_latencies(run: Path) -> dict[str, Latency]:
    """Hop -> its latency: LATENESS of ticks after they were due; each input, by its stamp, when the
    tick used it; REACTION, from the reading of the operator's device to the command that follows;
    CHUNK, against the tick at which it was needed (negative: in time). Hops that no tick has are
    left out, and lines that are cut off.

    Args:
        run: The run's folder; without ticks (lock-step has none that say anything) nothing is
            found.
    """
    found: dict[str, list[float]] = {}
    for tick in _ticks(run / TICKS_FILE):
        ages = tick.get("ages")
        if not isinstance(ages, Mapping) or not ages:
            continue
        hops = {hop: tick.get(name) for name, hop in _OF_TICKS.items()}
        for hop, value in {**{str(name): age for name, age in ages.items()}, **hops}.items():
            number = finite(value)
            if number is not None:
                found.setdefault(hop, []).append(number)
    order = (LATENESS, *(hop for hop in found if hop not in _OF_TICKS.values()), REACTION, CHUNK)
    return {hop: _latency(found[hop]) for hop in order if hop in found}


def _latency(values: list[float]) -> Latency:
    median, most = np.percentile(values, (50, 99))
    return Latency(len(values), float(median), float(most), float(max(values)))


def _ticks(path: Path) -> list[Mapping[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    ticks = []
    for line in lines:
        try:
            tick = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(tick, Mapping):
            ticks.append(tick)
    return ticks
