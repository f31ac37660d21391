# SPDX-License-Identifier: Apache-2.0
"""The runs that there are; what is known of each is read again only where its files changed."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from expo_ft_ros.experiment.progress import STATUS_FILE, SUMMARY_FILE
from expo_ft_ros.experiment.run_folder import CONFIG_FILE, is_running, runs_dir
from expo_ft_ros.experiment.run_overview import RunOverview, folder_bytes, overview

_FILES = (CONFIG_FILE, STATUS_FILE, SUMMARY_FILE)
_WEIGHED_FOR = 60.0  # [s]

_Stamp = tuple[int | None, ...]


class RunList:
    """Of the folder of the runs. From any thread."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_Stamp, RunOverview]] = {}
        self._sizes: dict[Path, tuple[_Stamp, float, int]] = {}
        self._reading, self._weighing = threading.Lock(), threading.Lock()

    @property
    def runs(self) -> list[RunOverview]:
        """All of them, the one that was started last at the beginning."""
        found = [self.get(file.parent) for file in runs_dir().glob(f"*/{CONFIG_FILE}")]
        return sorted(found, key=lambda run: (run.started, run.name), reverse=True)

    def find(self, name: str) -> RunOverview | None:
        """The run of that name; None where there is none."""
        path = runs_dir() / name
        inside = "/" not in name and name not in ("", ".", "..")
        return self.get(path) if inside and (path / CONFIG_FILE).is_file() else None

    def get(self, path: Path) -> RunOverview:
        """The run of a folder."""
        stamp = tuple(_changed(path / name) for name in _FILES)
        with self._reading:
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                known = self._known[path] = stamp, overview(path)
        seen = known[1]
        if is_running(path):
            return replace(seen, state="running")
        return replace(seen, state="stopped") if seen.state == "running" else seen

    def size(self, run: RunOverview) -> int:
        """What a run takes on the disk [bytes]: as of a minute ago at most while it goes on, else
        as of when it ended, or something was put into its folder or taken out of it."""
        path = run.path
        stamp = (
            *(_changed(path / name) for name in _FILES),
            *map(_changed, (path, *_folders(path))),
        )
        goes_on = run.state == "running"
        with self._weighing:
            known = self._sizes.get(path)
            if known is not None:
                before, at, total = known
                if time.monotonic() - at < _WEIGHED_FOR if goes_on else before == stamp:
                    return total
            total = folder_bytes(path)
            # What is weighed while it changes is weighed again once it has ended.
            self._sizes[path] = () if goes_on else stamp, time.monotonic(), total
            return total


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(Path(entry) for entry in os.scandir(path) if entry.is_dir())
    except OSError:
        return []
