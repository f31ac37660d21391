# SPDX-License-Identifier: Apache-2.0
"""`expo-ft test`: lint, types and tests of a checkout, by the tools of requirements/dev.in."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import expo_ft_ros
from expo_ft_ros.cli.arguments import fitted, wants_help
from expo_ft_ros.configuration import ConfigError

USAGE = """\
usage: expo-ft test            all; what needs no punctual machine goes first, two files at a time
       expo-ft test quick      lint, and what starts no process and isn't slow: two minutes
       expo-ft test ARGUMENTS  lint, types, and pytest with the arguments
"""

QUICK = "not (process or realtime or browser or slow)"
LINT = ["ruff check .", "ruff format --check ."]
_TWO_FILES_AT_A_TIME = ["-n2", "--dist=loadfile", "--no-loadscope-reorder"]
_INTERRUPTED = 2  # pytest's


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
    failed = 0
    for part in parts:
        code = _run(root, ["pytest", *part])
        failed = failed or code
        if code == _INTERRUPTED:
            break
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"{'failed' if failed else 'passed'} after {minutes}:{seconds:02} min")
    return failed


def _run(root: Path, words: list[str]) -> int:
    with subprocess.Popen([sys.executable, "-m", *words], cwd=root) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # It was interrupted as well, and ends the processes of its tests.
                continue
