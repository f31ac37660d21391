# SPDX-License-Identifier: Apache-2.0
"""`expo-ft reward train`: from recorded, labelled episodes to a classifier that a task can name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.tasks.learned.files import read_about
from support.labelled import lamp_episodes


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with DatasetWriter(tmp_path / "lamps", 10, "franka") as writer:
        for episode in lamp_episodes(5, 3):
            writer.add(episode)
        writer.close()
    return tmp_path / "lamps"


def train(*words: str) -> int:
    return cli.main(["reward", "train", *words])


@pytest.mark.slow
def test_a_dataset_becomes_a_classifier_and_says_how_good_it_is(dataset, capsys) -> None:
    assert train(str(dataset), "task:=cube_pick", "steps:=60", "views:=side") == 0
    said = capsys.readouterr().out
    assert "learned from 6 episodes, 4 of them successes; held out:" in said
    assert re.search(r"observations: precision \d+%, recall \d+% \(3 successes, \d+ others\)", said)
    assert re.search(r"episodes .*: precision \d+%, recall \d+% \(1 successes, 1 others\)", said)
    assert "parameters: {weights: cube_pick_reward.safetensors, threshold: 0.5, hold_steps: 2}" in (
        said
    )
    about = read_about(dataset.parent / "cube_pick_reward.safetensors")
    assert (about.task, about.views, about.image_size) == ("cube_pick", ("side",), 64)


@pytest.mark.slow
def test_a_run_is_learned_from_as_it_is_labelled(dataset, capsys, monkeypatch) -> None:
    """The operator's word over the classifier's."""
    pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")
    from expo_ft_ros.data.types import Source
    from support.recordings import record
    from support.runs import make_run

    folder = dataset.parent
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder / "runs"))
    run = make_run(folder / "runs" / "a")
    for number in range(1, 5):
        record(run / "episodes", number, [Source.HUMAN] * 12, success=True)
    (run / "progress.json").write_text('{"session": {"episode": 5}}')
    assert cli.main(["episodes", "relabel", "2", "failure", str(run)]) == 0
    assert train("latest", "task:=cube_pick", "steps:=2", "output:=x.safetensors") == 0
    told = json.loads((folder / "x.json").read_text())
    assert sum(told["episodes"].values()) + sum(told["trials"].values()) == 4
    assert told["trials"]["true_positive"] + told["trials"]["false_negative"] == 1
    assert told["episodes"] == {"success": 2, "failure": 1}
    capsys.readouterr()


def test_what_can_not_be_learned_is_refused_in_a_line(dataset, tmp_path, capsys) -> None:
    with DatasetWriter(tmp_path / "one", 10, "franka") as writer:
        writer.add(lamp_episodes(1, 0)[0])
        writer.close()
    task, source = "task:=cube_pick", str(dataset)
    for message, words in {
        "no task is named": [source],
        "task:=cube_pik: .*did you mean cube_pick": [source, "task:=cube_pik"],
        "views:=top: sim has no view 'top'": [source, task, "views:=top"],
        "steps:=0: is no number from 1 on": [source, task, "steps:=0"],
        "last:=x: is no number": [source, task, "last:=x"],
        "threshold": [source, task, "threshold:=1.5"],
        "output:=a.pt: is not a .safetensors": [source, task, "output:=a.pt"],
        "output:=no/a.safetensors: its folder": [source, task, "output:=no/a.safetensors"],
        "run:=nowhere: no run there": ["nowhere", task],
        "1 of 1 episodes succeeded, and two are needed": [str(tmp_path / "one"), task],
    }.items():
        assert train(*words) == 2
        said = capsys.readouterr().err
        assert re.search(message, said.splitlines()[-1]), said
    assert not list(tmp_path.glob("*.safetensors"))
