# SPDX-License-Identifier: Apache-2.0
"""The real graph under the real runner, as a user starts it: it ends well, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from expo_ft_ros.cli.main import main
from expo_ft_ros.recording.mcap_file import read_bag
from support.pages import require_whole
from support.processes import processes_naming

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Started:
    """`expo-ft` with arguments, in a session and a ROS domain of its own."""

    def __init__(self, runs: Path, domain: int, *words: str) -> None:
        self.runs = runs
        environment = {
            **os.environ,
            "EXPO_FT_RUNS": str(runs),
            "ROS_DOMAIN_ID": str(domain),
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "expo_ft_ros.cli", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell's background job would have it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.text = ""

    def wait_for(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.text += line
            if word in line:
                return
        raise AssertionError(f"ended without {word!r}:\n{self.text}")

    def end(self) -> int:
        self.text += self.process.communicate(timeout=300)[0]
        return self.process.returncode

    @property
    def run_dir(self) -> Path:
        (found,) = self.runs.iterdir()
        return found

    def nodes(self) -> dict[str, int]:
        """Name -> process id of what runs for this run, whoever its parent is."""
        found = {}
        folder = f"{self.run_dir}/params/"
        for pid, command in processes_naming(folder).items():
            found[command.split(folder)[1].split(".yaml")[0]] = pid
        return found


@pytest.fixture
def start(tmp_path, domain):
    started = []

    def make(*words, runs="runs"):
        started.append(Started(tmp_path / runs, domain, *words))
        return started[-1]

    yield make
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_collecting_ends_well_goes_on_and_is_reported(start, browser):
    first = start("collect", "demos:=1")
    assert first.end() == 0, first.text
    assert "Demonstrations: 1" in first.text
    assert first.nodes() == {}
    (bag,) = (first.run_dir / "episodes").glob("*.mcap")
    assert {"joint_states", "observation", "step"} <= {each.topic for each in read_bag(bag)}
    listed = yaml.safe_load((bag.parent / "metadata.yaml").read_text())
    assert listed["rosbag2_bagfile_information"]["relative_file_paths"] == [bag.name]
    again = start("collect", "resume:=latest", "demos:=2")
    assert again.end() == 0, again.text
    assert json.loads((again.run_dir / "summary.json").read_text())["demonstrations"] == 2
    assert main(["report", str(again.run_dir)]) == 0
    words = require_whole(browser, again.run_dir / "report.html", pictures=0)
    assert "expo-ft collect · task cube_pick" in words
    assert "The machine that the run was on" in words


def test_ctrl_c_stops_it_and_nothing_is_left(start):
    run = start("collect", "demos:=100")
    run.wait_for("collecting")
    os.kill(run.process.pid, signal.SIGINT)
    assert run.end() == 130
    assert "stopped by SIGINT" in run.text
    assert "killed" not in run.text
    assert run.nodes() == {}


def test_the_graphs_benchmark_starts_its_training(start):
    run = start("bench", "graph", "lockstep")
    run.wait_for("starting the nodes")
    os.kill(run.process.pid, signal.SIGINT)
    assert run.end() == 130
    assert run.nodes() == {}


def test_the_death_of_arbitration_stops_the_arm_and_everything(start):
    run = start("collect", "demos:=100")
    run.wait_for("collecting")
    os.kill(run.nodes()["arbitration"], signal.SIGKILL)
    assert run.end() == 1
    assert "arbitration ended with signal SIGKILL" in run.text
    assert "not acknowledged" not in run.text
    assert run.nodes() == {}


def test_two_graphs_in_two_namespaces_of_one_domain(start):
    runs = [
        start("collect", "demos:=1", f"namespace:={name}", f"seed:={seed}", runs=name)
        for seed, name in enumerate(("left", "right"))
    ]
    for run in runs:
        assert run.end() == 0, run.text
        assert "Demonstrations: 1" in run.text
        said = "".join(path.read_text() for path in (run.run_dir / "logs").glob("*.log"))
        assert "dropped on" not in said, said
