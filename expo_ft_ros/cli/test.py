# SPDX-License-Identifier: Apache-2.0
"""`expo-ft test`: lint, types and tests of a checkout, by the tools of requirements/dev.in."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import expo_ft_ros
from expo_ft_ros.cli.arguments import fitted, wants_help
from expo_ft_ros.configuration import ConfigError

USAGE = """\
usage: expo-ft test            all; what needs no punctual machine goes first, two files at a time;
                               what starts processes and failed has to pass alone, at the end
       expo-ft test quick      lint, and what starts no process and isn't slow: two minutes
       expo-ft test ARGUMENTS  lint, types, and pytest with the arguments
"""

QUICK = "not (process or realtime or browser or slow)"
LINT = ["ruff check .", "ruff format --check ."]
_TWO_FILES_AT_A_TIME = ["-n2", "--dist=loadfile", "--no-loadscope-reorder"]
WITH_PROCESSES = "process or realtime"
"""Marks of what a machine that stalls can fail: it is run once more, by itself. All else is judged
by its first run."""
_FAILED, _NO_TESTS = 1, 5  # pytest's
_LAST_FAILED = ["pytest", "--last-failed", "--last-failed-no-failures=none"]


def main(words: list[str]) -> int:
    """Runs it.

    Args:
        words: What follows `test`.

    Returns:
        Exit code: that of the first tool that failed. Where lint or types do, no test is run.

    Raises:
        ConfigError: where there are no tests.
    """
    if wants_help(words[:1]):
        print(fitted(USAGE), end="")
        return 0
    root = Path(expo_ft_ros.__file__).resolve().parents[1]
    if not (root / "test").is_dir():
        raise ConfigError(f"{root}: has no test folder (run the tests from a checkout)")
    began = time.monotonic()
    quick = words[:1] == ["quick"]
    for check in LINT if quick else [*LINT, "mypy"]:
        if code := _run(root, check.split()):
            return code
    if quick:
        parts = [[*_TWO_FILES_AT_A_TIME, "-m", QUICK, *words[1:]]]
    elif words:
        parts = [words]
    else:
        parts = [[*_TWO_FILES_AT_A_TIME, "-m", "not realtime"], ["-m", "realtime"]]
    if len(parts) > 1:
        code, again = run_parts(root, parts)
    else:
        code, again = _run(root, ["pytest", *parts[0]]), []
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"{'failed' if code else 'passed'} after {minutes}:{seconds:02} min", end="")
    print(f", at the second attempt: {', '.join(again)}" if again and not code else "")
    return code


def run_parts(root: Path, parts: Sequence[Sequence[str]]) -> tuple[int, list[str]]:
    """Runs the parts of a suite one after the other, and what of them failed once more, alone,
    where all of it starts processes (`WITH_PROCESSES`).

    Args:
        root: Folder of the project.
        parts: pytest's arguments of each. Together they are the whole suite, since what fails
            outside of them would stay among the last failed.

    Returns:
        pytest's exit code: of the first part that couldn't be run to its end, of the second
        attempt where there was one, else of the first part that failed; and the tests that were
        run once more.
    """
    codes = list[int]()
    for part in parts:
        codes.append(_run(root, ["pytest", *part]))
        if codes[-1] not in (0, _FAILED):
            return codes[-1], []
    if _FAILED not in codes:
        return 0, []
    if _last_failed(root, f"not ({WITH_PROCESSES})"):
        return _FAILED, []
    again = _last_failed(root, WITH_PROCESSES)
    print("What failed runs once more, alone: it starts processes, which a busy machine halts.")
    return _run(root, [*_LAST_FAILED, "--exitfirst"]), again


def _last_failed(root: Path, marks: str) -> list[str]:
    """The tests with those marks that failed last."""
    listing = [*_LAST_FAILED, "--collect-only", "-q", "-m", marks]
    done = subprocess.run(
        [sys.executable, "-m", *listing], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, _NO_TESTS):
        return [done.stdout + done.stderr]
    return [line for line in done.stdout.splitlines() if "::" in line]


def _run(root: Path, words: list[str]) -> int:
    with subprocess.Popen([sys.executable, "-m", *words], cwd=root) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # It was interrupted as well, and ends the processes of its tests.
                continue
