"""Every command in the documents: run on a recorded run, or, where it would take minutes, read.

A graph's commands are run by the tests of the graph; here their options are parsed. ROS 2's own
commands are held against the tables of topics, services and launch files.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros import cli
from expo_ft_ros.bringup.commands import GRAPH_COMMANDS
from expo_ft_ros.bringup.options import parse_arguments
from expo_ft_ros.bringup.topics import SERVICES
from expo_ft_ros.data.types import Source
from test.report.recordings import choice, record
from test.report.runs import line, make_run

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Run here, in a folder with two finished runs.
QUICK = ("report", "episodes", "export")
# What they do is looked at by tests of their own.
ELSEWHERE = ("doctor", "test", "bench", "keyboard", "screenshots")
SYSTEM = ("git", "pip", "colcon", "apt-get", "export")


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of each line of the pages' sh blocks."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for text in block.splitlines():
                words = re.sub(r"\s+#.*$", "", text).strip()
                if words and not words.startswith("#"):
                    yield page.name, words


ALL = sorted(set(commands()))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Where the documents' examples are: runs with episodes 12 and 13."""
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        numbers = (12, 13)
        run = make_run(tmp_path / "runs" / name, [line(n, "rl") for n in numbers], summary={})
        chosen = {0: choice((0, 1, 0), (1, 0, 0), q=(0.1, 0.8), chosen=1)}
        for number in numbers:
            record(run / "episodes", number, [Source.POLICY] * 3 + [Source.HUMAN], chosen)
        (run / "progress.json").write_text('{"session": {"episode": 14}}')
    return tmp_path


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{p}: {c}" for p, c in ALL])
def test_a_documented_command_is_one(page, command, runs):
    words = shlex.split(command)
    assert not any("<" in word for word in words), "a sh block is to be typed as it stands"
    if words[0] == "./expo-ft":
        run_ours(words[1:])
    elif words[:3] == ["ros2", "service", "call"]:
        call_service(words[3:])
    elif words[:3] == ["ros2", "launch", "expo_ft_ros"]:
        assert (ROOT / "launch" / words[3]).is_file()
        parse(words[3].removesuffix(".launch.py"), words[4:])
    else:
        assert words[0] in SYSTEM, f"{page}: nothing runs {command!r}"


def run_ours(words: list[str]) -> None:
    command, rest = words[0], words[1:]
    if command in GRAPH_COMMANDS:
        parse(command, rest)
    elif command in QUICK:
        assert cli.main(words) == 0
    elif command == "test":
        assert all((ROOT / word).exists() for word in rest if word.startswith("test/"))
    elif command == "bench":
        assert rest[0] in cli.BENCHES
    else:
        assert command in ELSEWHERE


def parse(command: str, words: list[str]) -> None:
    # That there is something to go on with is the reader's.
    kept = [
        word for word in words if not word.startswith(("resume:=", "rviz:=", "demonstrations:="))
    ]
    parse_arguments(kept, GRAPH_COMMANDS[command].options)


def call_service(words: list[str]) -> None:
    name, kind = words[0], words[1].replace("/srv/", "/")
    known = {("/" + entry.lstrip("/")): service.type for entry, service in SERVICES.items()}
    assert known[name] == kind


def test_links_and_pictures_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_files_that_are_named_exist():
    """Paths in backticks, of the package, its tests, configuration and benchmarks."""
    pattern = re.compile(
        r"`((?:expo_ft_ros|test|config|benchmarks|launch|rviz|requirements|msg|srv)/[\w./-]+)`"
    )
    for page in PAGES:
        for path in pattern.findall(page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
