# SPDX-License-Identifier: Apache-2.0
"""`./expo-ft screenshots`: what the operator sees, from a real training, into docs/images/."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from animation import animate
from support.browser import DESKTOP, PHONE, Visit, chromium, wait_until
from support.console_run import graph_with_console

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_DRIVEN = "policy drives"
_TRAINED = 1800  # online steps, after which the critic has chosen for a while
_WORDS = ["train", "steps:=2500", "eval_trials:=1"]
_DRAWN = 400  # in which the page draws what it was told [ms]
_SILENT = "nothing heard"  # of a node that is halted for long


def main() -> int:
    """Writes console.png (the scene), console_curves.png, console_phone.png and training.webp."""
    with tempfile.TemporaryDirectory() as folder, graph_with_console(Path(folder), _WORDS,
            EXPO_FT_ISOLATE="1") as url, chromium() as browser:  # fmt: skip
        run = Path(folder) / "run"
        wait_for(lambda: _online_steps(run) >= _TRAINED, f"{_TRAINED} online steps")
        visit = Visit(browser, url, DESKTOP)
        _picture(visit, run, IMAGES / "console.png", _DRIVEN, "framed: executed")
        visit.open("Training")
        _picture(visit, run, IMAGES / "console_curves.png", _DRIVEN)
        visit.close()
        visit = Visit(browser, url, PHONE)
        _picture(visit, run, IMAGES / "console_phone.png", _DRIVEN)
        visit.close()
        animate(run)
    print(f"written to {IMAGES}")
    return 0


def _picture(visit: Visit, run: Path, path: Path, *words: str) -> None:
    """Of a moment in which the page reads so, however slowly this machine draws: in lock-step the
    world stands while its policy is halted."""
    for _ in range(20):
        visit.close_notices()
        wait_for(lambda: visit.reads(*words), " and ".join(words))
        with _halted_policy(run):
            visit.page.wait_for_timeout(_DRAWN)
            visit.page.screenshot(path=str(path))
            if visit.reads(*words) and not visit.reads(_SILENT):
                return
    raise SystemExit(f"{path}: none of twenty moments lasted")


@contextmanager
def _halted_policy(run: Path) -> Iterator[None]:
    found = subprocess.run(
        ["pgrep", "-f", f"expo_ft_ros.nodes.agent .*{run}"], capture_output=True, check=True
    )
    process = int(found.stdout.split()[0])
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def wait_for(holds, what: str) -> None:
    """As `wait_until`, for what takes minutes."""
    for _ in range(20):
        try:
            return wait_until(holds, what)
        except AssertionError:
            print(f"still waiting for {what}", file=sys.stderr)
    raise SystemExit(f"gave up waiting for {what}")


def _online_steps(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    lines = map(json.loads, metrics.read_text().splitlines()) if metrics.is_file() else ()
    return max((line.get("env_steps", 0) for line in lines), default=0)


if __name__ == "__main__":
    sys.exit(main())
