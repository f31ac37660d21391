# SPDX-License-Identifier: Apache-2.0
"""What the scripts in benchmarks/ make of the committed results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from expo_ft_ros.tasks import known_tasks

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]


def test_the_tables_of_the_docs_are_those_of_the_results():
    """Made anew by `./expo-ft python benchmarks/tables.py`. Results that aren't committed may lie
    beside the others."""
    script = ROOT / "benchmarks" / "tables.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, env=environment
    )
    documented = (ROOT / "docs" / "experiments.md").read_text()
    tables = documented[documented.index("\n### ") :]
    rows = {line for line in tables.splitlines() if line.startswith("| ")}
    assert rows
    assert rows <= set(done.stdout.splitlines())


def test_every_committed_result_is_in_the_tables():
    names = ["git", "ls-files", "benchmarks/results/learn_*.json"]
    listed = subprocess.run(names, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("no checkout")
    documented = (ROOT / "docs" / "experiments.md").read_text()
    for path in listed.stdout.splitlines():
        assert Path(path).stem.removeprefix("learn_") in documented


def test_every_task_has_near_failures():
    files = {path.stem for path in (ROOT / "benchmarks" / "near_failures").glob("*.py")}
    assert set(known_tasks()) <= files
