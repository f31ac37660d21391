# SPDX-License-Identifier: Apache-2.0
"""The episodes of a run's folder, as a table of them; each file is read once."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from expo_ft_ros.recording.episode_summary import EpisodeSummary, summarise

_SETTLED = 1.5  # a file that has changed later is still being written [s]

Stamp = tuple[tuple[int, int] | None, ...]


class EpisodeList:
    """Knows of each file what it said when it was last read."""

    def __init__(self, folder: Path) -> None:
        """folder: of recordings, which may still be missing."""
        self._folder = folder
        self._known: dict[Path, tuple[Stamp, EpisodeSummary]] = {}

    def refresh(self, most: int) -> tuple[bool, int]:
        """Whether anything is new, and how many files are still to be read; a file that is being
        written counts for neither. most: files to read now."""
        files = self._folder.glob("*.mcap")
        numbered = [path for path in files if path.stem.partition(".")[0].isdecimal()]
        found = {path: _stamp(path) for path in numbered}
        gone = [path for path in self._known if path not in found]
        for path in gone:
            del self._known[path]
        stale = [
            path
            for path, stamp in found.items()
            if path not in self._known or self._known[path][0] != stamp
        ]
        ready = sorted(filter(_is_settled, stale), reverse=True)
        for path in ready[:most]:
            self._known[path] = found[path], summarise(path)
        return bool(gone or ready), max(0, len(ready) - most)

    @property
    def episodes(self) -> list[EpisodeSummary]:
        """The newest first."""
        known = (summary for _, summary in self._known.values())
        return sorted(known, key=lambda each: (-each.number, each.file))

    def path(self, file: str) -> Path | None:
        """Where a file of that name lies; None where it isn't listed."""
        path = self._folder / f"{file}.mcap"
        return path if path in self._known else None


def row(summary: EpisodeSummary, period: float) -> dict[str, Any]:
    """As plain JSON: number, file, stage, outcome, relabelled, cause, human (share of the steps),
    seconds. period: of a step [s]."""
    return {
        "number": summary.number,
        "file": summary.file,
        "stage": summary.stage,
        "outcome": summary.outcome,
        "relabelled": summary.relabelled,
        "cause": summary.cause,
        "human": summary.human_steps / summary.steps if summary.steps else 0.0,
        "seconds": round(summary.steps * period, 3),
    }


def _stamp(path: Path) -> Stamp:
    """Changes where the file or the label beside it does."""
    return tuple(_changed(each) for each in (path, path.with_suffix(".label.json")))


def _changed(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        stat = path.stat()
        return stat.st_mtime_ns, stat.st_size
    return None


def _is_settled(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        # A time that is yet to come is a clock's fault, not a writer's.
        return not 0 <= time.time() - path.stat().st_mtime < _SETTLED
    return False
