# SPDX-License-Identifier: Apache-2.0
"""That the arm is stopped, in the run's folder: a stop outlives the process that holds it."""

from __future__ import annotations

import json
from pathlib import Path

from expo_ft_ros.data.files import sync_folder, write_atomically

FILE = "stopped.json"


class StopLatch:
    """The stop of one run. run: its folder; None keeps nothing."""

    def __init__(self, run: Path | None) -> None:
        self._path = run / FILE if run is not None else None

    def cause(self) -> str:
        """Why the arm is stopped; "" where it isn't. A file that can't be read is a cause, too."""
        if self._path is None or not self._path.exists():
            return ""
        try:
            return str(json.loads(self._path.read_text())["cause"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{self._path} can't be read ({error})"

    def latch(self, cause: str) -> None:
        """Keeps a stop; the first cause stays."""
        if self._path is not None and not self._path.exists():
            write_atomically(self._path, {"cause": cause})

    def release(self) -> None:
        """Forgets a stop where there is one."""
        if self._path is not None and self._path.exists():
            self._path.unlink()
            sync_folder(self._path.parent)
