# SPDX-License-Identifier: Apache-2.0
"""`./expo-ft screenshots`: what the operator sees, from a real training, into docs/images/."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from animation import animate
from support.browser import DESKTOP, PHONE, Visit, chromium, wait_until
from support.console_run import graph_with_console

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_DRIVEN = ("policy drives", "framed: executed", "step 2")  # early enough not to be over meanwhile
# In real time, since in lock-step an episode is over before anybody has looked.
_WORDS = [
    "train",
    "steps:=2000",
    "eval_trials:=1",
    "realtime:=true",
    "mode:=sync",
    "preset:=paper",
]


def main() -> int:
    """Writes console.png (the scene), console_curves.png, console_phone.png and training.webp."""
    with tempfile.TemporaryDirectory() as folder, graph_with_console(Path(folder), _WORDS,
            EXPO_FT_ISOLATE="1") as url, chromium() as browser:  # fmt: skip
        run = Path(folder) / "run"
        wait_for(lambda: _online_episodes(run) >= 3, "three episodes of the rl stage")
        visit = Visit(browser, url, DESKTOP)
        # A slow machine learns between episodes for longer than a picture waits.
        wait_for(lambda: visit.picture(IMAGES / "console.png", *_DRIVEN) or True, "an episode")
        visit.open("Training")
        visit.picture(IMAGES / "console_curves.png", _DRIVEN[0])
        visit.close()
        visit = Visit(browser, url, PHONE)
        visit.picture(IMAGES / "console_phone.png", _DRIVEN[0])
        visit.close()
        animate(run)
    print(f"written to {IMAGES}")
    return 0


def wait_for(holds, what: str) -> None:
    """As `wait_until`, for what takes minutes."""
    for _ in range(20):
        try:
            return wait_until(holds, what)
        except AssertionError:
            print(f"still waiting for {what}", file=sys.stderr)
    raise SystemExit(f"gave up waiting for {what}")


def _online_episodes(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_text().count('"stage": "rl"') if metrics.is_file() else 0


if __name__ == "__main__":
    sys.exit(main())
