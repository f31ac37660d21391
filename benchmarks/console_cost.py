# SPDX-License-Identifier: Apache-2.0
"""What an open console costs the control loop: ticks with and without a browser, in one run.

    ./expo-ft python benchmarks/console_cost.py [--seconds 180]

A simulated robot in real time, driven by the scripted operator, with a monitor that serves the
console. Every fifteen seconds a browser comes, is exchanged, or goes; printed and written to
benchmarks/results/ is how late ticks were. An operator has it on another machine: one browser has a
window of the usual size, which without a GPU takes both of two cores to draw, the other one that is
so small that it receives everything and draws little. Neither may raise its own priority, as root's
Chromium does.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from expo_ft_ros.cli.bench_graph import results_folder  # noqa: E402
from expo_ft_ros.experiment.machine import machine  # noqa: E402
from support.browser import DESKTOP, Visit, chromium, wait_until  # noqa: E402
from support.console_run import graph_with_console  # noqa: E402

PERIOD = 15.0
"""Of one kind, for so long [s]."""
SMALL = 1000, 30  # [px]: of the scene
KINDS = {"closed": None, "small": SMALL, "desktop": DESKTOP}
_PR_CAPBSET_DROP, _CAP_SYS_NICE = 24, 23  # of those whom this process starts
_SETTLE = 3.0  # after it came or went [s]


def main() -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--seconds", type=float, default=180.0, help="of watching")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = ["collect", "demos:=1000", "realtime:=true"]
        with graph_with_console(folder, words, EXPO_FT_ISOLATE="1") as url:
            spans = watch(url, folder / "run", wanted.seconds)
        ticks = [json.loads(line) for line in (folder / "run" / "ticks.jsonl").open()]
    result: dict[str, Any] = {"machine": machine(), "seconds": wanted.seconds}
    for state in KINDS:
        late = lateness(ticks, [span for kind, *span in spans if kind == state])
        result[state] = {"ticks": len(late), **percentiles(late)}
        print(f"console {state}: {result[state]}")
    path = results_folder() / f"console_cost_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


def watch(url: str, run: Path, seconds: float) -> list[tuple[str, float, float]]:
    """(of `KINDS`, from, to) in turns, by the clock of the ticks [s]."""
    wait_until(lambda: any(run.glob("episodes/*")), "the first episode")
    wait_until(lambda: answers(url), "the console")
    spans = []
    ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
    with chromium() as browser:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for kind, size in KINDS.items():
                if size is None:
                    spans.append((kind, *spend(lambda ms: time.sleep(ms / 1000))))
                    continue
                visit = Visit(browser, url, DESKTOP)
                if kind == "small":
                    leave_of_scene(visit, *size)
                wait_until(lambda: len(visit.images()) >= 2, "both cameras")  # noqa: B023
                spans.append((kind, *spend(visit.page.wait_for_timeout)))
                visit.close()
    return spans


def leave_of_scene(visit: Visit, width: int, height: int) -> None:
    """Makes the window so small that this much of the scene [px] is below the buttons: a frame that
    isn't seen at all isn't drawn."""
    visit.page.set_viewport_size({"width": width, "height": DESKTOP[1]})
    top = visit.page.locator("iframe").bounding_box()["y"]
    visit.page.set_viewport_size({"width": width, "height": int(top) + height})


def answers(url: str) -> bool:
    """Whether the console is there."""
    try:
        with urlopen(url, timeout=1.0):
            return True
    except OSError:
        return False


def spend(wait: Any) -> tuple[float, float]:
    """A period's part that counts."""
    wait(1000 * _SETTLE)
    begin = time.time()
    wait(1000 * (PERIOD - _SETTLE))
    return begin, time.time()


def lateness(ticks: Sequence[dict[str, Any]], spans: Sequence[Sequence[float]]) -> np.ndarray:
    """Of the ticks within the spans [ms]."""
    found = [t["late"] for t in ticks for begin, end in spans if begin <= t["time"] <= end]
    return 1e3 * np.array(found)


def percentiles(values: np.ndarray) -> dict[str, float]:
    """[ms]"""
    shares = {f"p{share}": float(np.percentile(values, share)) for share in (50, 95, 99)}
    return {name: round(v, 2) for name, v in {**shares, "max": float(values.max())}.items()}


if __name__ == "__main__":
    sys.exit(main())
