"""What the scripts in benchmarks/ make of the committed results."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tables_of_the_docs_are_those_of_the_results():
    """Made anew by `.venv/bin/python benchmarks/tables.py`, from the first ### of Results on."""
    script = ROOT / "benchmarks" / "tables.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    documented = (ROOT / "docs" / "experiments.md").read_text()
    assert documented.endswith(done.stdout.rstrip() + "\n")
