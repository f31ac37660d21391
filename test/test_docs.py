# SPDX-License-Identifier: Apache-2.0
"""Every command in the documents: run on a recorded run, or, where it would take minutes, read.

A graph's commands are run by the tests of the graph; here their options are parsed. ROS 2's own
commands are held against the tables of topics, services and launch files, and what a service is
asked for against its type.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.bringup.commands import GRAPH_COMMANDS
from expo_ft_ros.cli import browse, console
from expo_ft_ros.cli import main as cli
from expo_ft_ros.cli.bench import BENCHES
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bringup_options import BringupOptions
from expo_ft_ros.graph.topics import SERVICES
from expo_ft_ros.report import drawing
from support.console_run import free_port
from support.recordings import choice, record
from support.runs import line, make_run

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Run here, in a folder with two finished runs.
QUICK = ("runs", "console", "report", "episodes", "export")
# What they do is looked at by tests of their own.
ELSEWHERE = ("doctor", "test", "bench", "keyboard", "screenshots", "reward", "serve")
SYSTEM = ("git", "pip", "colcon", "apt-get", "export", "echo", "cd", ".", "python", "python3")
# For what the text leaves to the reader.
EXAMPLES = {"<number>": "12", "<size>": "small", "<folder>": "dataset"}
# What YAML makes of a field of that type.
PYTHON = {"boolean": bool, "string": str, "uint32": int, "uint64": int}

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of each line of the pages' sh blocks."""
    for page in PAGES:
        for kind, block in BLOCK.findall(page.read_text()):
            for text in block.splitlines() if kind == "sh" else ():
                words = re.sub(r"\s+#.*$", "", text).strip()
                if words and not words.startswith("#"):
                    yield page.name, words


def mentioned() -> Iterator[tuple[str, str]]:
    """(page, command) of each of ours in the text; what is [optional] is left out."""
    for page in PAGES:
        for text in re.findall(r"`(\./expo-ft\s[^`]+)`", BLOCK.sub("", page.read_text())):
            command = " ".join(word for word in text.split() if not word.startswith("["))
            for name, example in EXAMPLES.items():
                command = command.replace(name, example)
            yield page.name, command


def test_the_animation_of_the_first_page_is_small():
    """A page that takes long to open isn't read."""
    assert (ROOT / "docs" / "images" / "training.webp").stat().st_size < 3_000_000


PAGES_OF: dict[str, list[str]] = {}
for _page, _command in sorted({*commands(), *mentioned()}):
    PAGES_OF.setdefault(_command, []).append(_page)
ALL = [(", ".join(pages), command) for command, pages in PAGES_OF.items()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What the documents' examples name: runs with a demonstration and the episodes 12 and 13."""
    folder = tmp_path_factory.mktemp("recorded")
    for name in ("first", "second"):
        stages = {11: "collect", 12: "rl", 13: "rl"}
        lines = [line(number, stage) for number, stage in stages.items()]
        run = make_run(folder / name, lines, summary={})
        chosen = {0: choice((0, 1, 0), (1, 0, 0), q=(0.1, 0.8), chosen=1)}
        for number, stage in stages.items():
            drivers = [Source.POLICY] * 3 + [Source.HUMAN]
            record(run / "episodes", number, drivers, chosen, stage=stage)
        (run / "progress.json").write_text('{"session": {"episode": 14}}')
    return folder


@pytest.fixture
def runs(recorded, tmp_path, monkeypatch):
    """A copy of them, in which a command may write."""
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    # Most of a report's time goes into drawing.
    monkeypatch.setattr(drawing, "PNG_DPI", 72)
    # It has been opened by then.
    monkeypatch.setattr(browse, "until_interrupted", lambda said, url: print(said, url))
    monkeypatch.setattr(console, "until_interrupted", lambda said, url: print(said, url))
    # What a page has its reader install before.
    for package in ("pylibfranka", "pyrealsense2"):
        (tmp_path / f"{package}.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    shutil.copytree(recorded, tmp_path / "runs")
    return tmp_path


@pytest.mark.parametrize(("pages", "command"), ALL, ids=[f"{p}: {c}" for p, c in ALL])
def test_a_documented_command_is_one(pages, command, runs):
    words = shlex.split(command)
    assert not any("<" in word for word in words), "to be typed as it stands, or see EXAMPLES"
    if words[0] == "./expo-ft":
        run_ours(words[1:])
    elif words[:3] == ["ros2", "service", "call"]:
        call_service(words[3:])
    elif words[:3] == ["ros2", "launch", "expo_ft_ros"]:
        assert (ROOT / "launch" / words[3]).is_file()
        parse(words[3].removesuffix(".launch.py"), words[4:])
    elif words[:2] in (["ros2", "param"], ["ros2", "lifecycle"]):
        assert (ROOT / "expo_ft_ros" / "nodes" / f"{words[3].strip('/')}.py").is_file()
    elif words[:2] != ["ros2", "run"]:
        assert words[0] in SYSTEM, f"{pages}: nothing runs {command!r}"


def run_ours(words: list[str]) -> None:
    command, rest = words[0], words[1:]
    if command in GRAPH_COMMANDS:
        parse(command, rest)
    elif command == "bringup":
        parse_arguments(rest, BringupOptions)
    elif any(word.startswith("policy:=") for word in rest):
        assert command == "export"  # of a policy that the recorded runs don't have
    elif command in QUICK:
        if words[:2] == ["episodes", "restore"]:
            cli.main(["episodes", "discard", *words[2:]])
        if words[:2] == ["episodes", "browse"] or words[0] == "console":
            words = [*words, f"port:={free_port()}"]
        assert cli.main(words) == 0
    elif command == "test":
        assert all((ROOT / word).exists() for word in rest if word.startswith("test/"))
    elif command == "python":
        is_module = rest[0] == "-m" and importlib.util.find_spec(rest[1]) is not None
        assert is_module or (ROOT / rest[0]).is_file()
    elif command == "bench":
        assert rest[0] in BENCHES
    else:
        assert command in ELSEWHERE


def parse(command: str, words: list[str]) -> None:
    # That there is something to go on with is the reader's, weights of pi0.5 among it.
    theirs = ("resume:=", "rviz:=", "demonstrations:=", "size:=pi05")
    kept = [word for word in words if not word.startswith(theirs)]
    parse_arguments(kept, GRAPH_COMMANDS[command].options)


def call_service(words: list[str]) -> None:
    (name, kind), rest = words[:2], words[2:]
    known = {("/" + entry.lstrip("/")): service.type for entry, service in SERVICES.items()}
    assert known[name] == kind.replace("/srv/", "/")
    package, _, service = kind.partition("/srv/")
    request = getattr(importlib.import_module(f"{package}.srv"), service).Request
    fields = request.get_fields_and_field_types()
    assert len(rest) <= 1, "the request is one word: quote it"
    values = yaml.safe_load(rest[0]) if rest else {}
    assert {name: PYTHON[kind] for name, kind in fields.items()} == {
        name: type(value) for name, value in values.items()
    }


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
