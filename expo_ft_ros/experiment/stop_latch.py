"""That the arm is stopped, in the run's folder: a stop outlives the process that holds it."""

from __future__ import annotations

import json
from pathlib import Path

from expo_ft_ros.data.files import sync_folder, write_atomically

FILE = "stopped.json"


def stop_cause(run: Path) -> str:
    """Why the arm is stopped; "" where it isn't. A file that can't be read is a cause, too."""
    path = run / FILE
    if not path.exists():
        return ""
    try:
        return str(json.loads(path.read_text())["cause"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{path} can't be read ({error})"


def latch_stop(run: Path, cause: str) -> None:
    """Keeps a stop; the first cause stays."""
    if not (run / FILE).exists():
        write_atomically(run / FILE, {"cause": cause})


def release_stop(run: Path) -> None:
    """Forgets a stop where there is one."""
    if (run / FILE).exists():
        (run / FILE).unlink()
        sync_folder(run)
