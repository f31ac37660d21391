# SPDX-License-Identifier: Apache-2.0
"""How the suite is run, on a small project of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from expo_ft_ros.cli.test import run_parts

pytestmark = [pytest.mark.process, pytest.mark.slow]

PARTS = [["-m", "not realtime"], ["-m", "realtime"]]
FIRST = "    before = Path({name!r})\n    late = not before.exists()\n    before.touch()\n"


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  process\n  realtime\n")
    return tmp_path


def write(project: Path, **tests: tuple[str, str]) -> None:
    """name -> mark, body; `late` is true at its first run alone."""
    lines = ["from pathlib import Path", "import pytest", ""]
    for name, (mark, body) in tests.items():
        if mark:
            lines.append(f"@pytest.mark.{mark}")
        lines += [f"def test_{name}():", FIRST.format(name=name) + f"    assert {body}", ""]
    (project / "test_it.py").write_text("\n".join(lines))


def test_what_a_busy_machine_failed_passes_alone(project, capfd):
    write(project, one=("process", "not late"), two=("realtime", "not late"), three=("", "True"))
    assert run_parts(project, PARTS) == (0, ["test_it.py::test_one", "test_it.py::test_two"])
    said = capfd.readouterr().out
    # Nothing of the first attempt is hidden.
    assert "FAILED test_it.py::test_one" in said
    assert "FAILED test_it.py::test_two" in said
    # It is no part of the next run's failures.
    assert run_parts(project, PARTS) == (0, [])
    assert "once more" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "tests",
    [
        {"one": ("process", "False")},
        {"one": ("process", "not late"), "two": ("realtime", "False")},
        {"one": ("process", "not late"), "two": ("", "not late")},
    ],
    ids=["fails again", "one of two", "one without"],
)
def test_all_else_has_failed(project, tests):
    write(project, **tests, more=("realtime", "True"))
    assert run_parts(project, PARTS)[0] == 1


def test_what_cannot_be_run_is_said_at_once(project, capfd):
    (project / "test_it.py").write_text("import no_such_module\n")
    assert run_parts(project, PARTS)[0] == 2
    assert "once more" not in capfd.readouterr().out
