# SPDX-License-Identifier: Apache-2.0
"""./expo-ft: what it does again when its inputs have changed, in a tree that stops it there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the script, set up but for the messages, which it can't build: CMake finds none."""
    shutil.copy(ROOT / "expo-ft", tmp_path)
    (tmp_path / "requirements").mkdir()
    for lock in ("base.lock", "ros-wheels.lock"):
        (tmp_path / "requirements" / lock).touch()
    (tmp_path / ".venv" / ".expo-ft").mkdir(parents=True)
    return tmp_path


def stamp(tree: Path, name: str, key: str) -> None:
    (tree / ".venv" / ".expo-ft" / name).write_text(f"{key}\n")


def run(tree: Path, **environment: str) -> str:
    """What the script says before it fails."""
    own = {k: v for k, v in os.environ.items() if k not in ("ROS_DISTRO", "AMENT_PREFIX_PATH")}
    done = subprocess.run(
        [tree / "expo-ft", "doctor"],
        env={**own, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def fingerprint(tree: Path, *names: str) -> str:
    command = 'cd "$0" && sha256sum -- "$@" | sha256sum | cut -c1-16'
    done = subprocess.run(["bash", "-c", command, tree, *names], capture_output=True, text=True)
    return done.stdout.strip()


def test_changed_messages_are_built_in_the_environment_that_is_there(tree: Path) -> None:
    stamp(tree, "system", "wheels, libspnav")
    stamp(tree, "venv", f"wheels, {tree}")
    stamp(tree, "library", fingerprint(tree, "requirements/base.lock"))
    stamp(tree, "ros", fingerprint(tree, "requirements/ros-wheels.lock"))
    assert "Messages and services" in run(tree)


def test_an_environment_of_another_ros_is_not_mixed_with(tree: Path) -> None:
    stamp(tree, "system", "sourced jazzy, libspnav")
    assert "ROS 2 is now: wheels; .venv was made with: sourced jazzy" in run(tree)


def test_what_is_built_does_not_depend_on_where_it_is_called_from(tree: Path) -> None:
    """Else another folder's `msg/*` would be the messages, and they would be built each time."""
    (tree / "msg").mkdir()
    (tree / "msg" / "A.msg").touch()
    script = (tree / "expo-ft").read_text().partition("\ncommand=${1:-}")[0]
    program = (
        f'root={tree}; command=; show() {{ [[ $1 != interfaces ]] || echo "$2"; }}; steps show'
    )
    sourced = script.replace('root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")', "")
    keys = {
        subprocess.run(
            ["bash", "-c", f"root={tree}\n{sourced}\n{program}"], cwd=folder,
            capture_output=True, text=True, check=False,
        ).stdout
        for folder in (tree, "/")
    }  # fmt: skip
    assert len(keys) == 1
    assert str(tree) in keys.pop()
