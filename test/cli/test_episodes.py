# SPDX-License-Identifier: Apache-2.0
"""What the operator's word on a recorded episode is answered with is what happens."""

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_store import DISCARDED, load_episode, set_aside
from support.recordings import record
from support.runs import make_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A stopped training: a demonstration, a trial, an online episode, and one not yet counted."""
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    run = make_run(tmp_path / "a", kind="train")
    for number, stage in enumerate(("collect", "eval_before", "rl", "rl"), start=1):
        record(run / "episodes", number, [Source.HUMAN] * 2, stage=stage)
    (run / "progress.json").write_text('{"session": {"episode": 4}}')
    return run


def answer(capsys, *words):
    assert cli.main(["episodes", *words]) == 0
    return capsys.readouterr().out


def test_an_episode_that_is_learned_from_is_said_to_be(run, capsys):
    said = answer(capsys, "relabel", "3", "failure")
    assert f"{run}/episodes/000003.mcap is a failure now" in said
    assert "A resumed run learns from it as a failure" in said
    assert not load_episode(run / "episodes" / "000003.mcap").outcome.success


def test_a_trial_is_said_to_stay_as_it_was_counted(run, capsys):
    said = answer(capsys, "relabel", "2", "failure")
    assert f"{run}/episodes/000002.mcap is a failure now" in said
    assert "nothing is learned from it, and the evaluation's count stays" in said
    assert "A resumed run" not in said
    assert "nothing is learned from it" in answer(capsys, "discard", "2")


def test_a_run_that_has_ended_learns_only_when_more_is_asked_for(run, capsys):
    (run / "summary.json").write_text("{}")
    assert "(it has ended: with more steps:=)" in answer(capsys, "relabel", "1", "failure")


def test_a_run_that_learns_nothing_only_exports(run, capsys):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("command: train", "command: collect"))
    said = answer(capsys, "relabel", "1", "failure")
    assert "`expo-ft export` takes it as a failure" in said
    assert "A resumed run" not in said


def test_what_was_not_counted_is_not_labelled(run, capsys):
    assert cli.main(["episodes", "relabel", "4", "success"]) == 2
    assert "the run hasn't counted it and learns nothing from it" in capsys.readouterr().err
    assert not (run / "episodes" / "000004.label.json").exists()


def test_a_label_that_says_neither_is_refused(run, capsys):
    (run / "episodes" / "000003.label.json").write_text('{"success": "false"}')
    with pytest.raises(ValueError, match="needed is true or false"):
        load_episode(run / "episodes" / "000003.mcap")
    assert cli.main(["episodes", "show", "3"]) == 2
    assert "000003.label.json: not a label" in capsys.readouterr().err


def test_a_discarded_episode_comes_back_with_its_label(run, capsys):
    folder = run / "episodes"
    answer(capsys, "relabel", "3", "failure")
    assert "expo-ft episodes restore 3 brings it back" in answer(capsys, "discard", "3")
    assert not (folder / "000003.mcap").exists()
    said = answer(capsys, "restore", "3")
    assert "000003.discarded.mcap is 000003.mcap again. A resumed run" in said
    assert not load_episode(folder / "000003.mcap").outcome.success
    assert not list(folder.glob("*discarded*"))


def test_of_several_the_one_that_was_discarded_last_comes_back(run, capsys):
    folder = run / "episodes"
    for again in range(12):
        answer(capsys, "discard", "3")
        (folder / "000003.mcap").write_text(str(again))
    (folder / "000003.mcap").unlink()
    answer(capsys, "restore", "3")
    assert (folder / "000003.mcap").read_text() == "10"


@pytest.mark.parametrize(
    ("number", "words"),
    [("3", "is there, nothing is to be brought back"), ("7", "no such episode was discarded")],
)
def test_what_cannot_be_restored_is_refused(run, capsys, number, words):
    assert cli.main(["episodes", "restore", number]) == 2
    assert words in capsys.readouterr().err


def test_what_was_discarded_as_it_ended_has_nothing_to_learn_from(run, capsys):
    """Brought back it would stop the run that goes on."""
    folder = run / "episodes"
    path = record(folder, 5, [Source.HUMAN] * 3, stage="collect", discarded=True, cause="estop")
    aside = set_aside(path, DISCARDED)
    assert cli.main(["episodes", "restore", "5"]) == 2
    assert "was discarded as it ended (estop)" in capsys.readouterr().err
    assert aside.exists()
    assert not path.exists()


def test_a_list_says_what_its_columns_are(run, capsys):
    _, header, first, *_ = answer(capsys, "list").splitlines()
    assert header.split()[:3] == ["file", "stage", "outcome"]
    assert first.index("collect") == header.index("stage")
    assert first.index("failure" if "failure" in first else "success") == header.index("outcome")


@pytest.mark.slow
def test_every_command_names_the_run_that_it_acts_on(run, tmp_path, capsys):
    for words in (["list"], ["show", "1"], ["relabel", "1", "failure"], ["discard", "1"]):
        assert str(run) in answer(capsys, *words), words
    video = str(tmp_path / "e.webm")
    assert str(run) in answer(capsys, "play", "3", f"output:={video}")
    assert cli.main(["export", str(tmp_path / "out")]) == 0
    assert str(run) in capsys.readouterr().out
    assert cli.main(["report"]) == 0
    assert str(run) in capsys.readouterr().out


def test_a_number_that_no_file_has_is_refused(run, capsys):
    for word in ("9" * 400, "1.0", "-1", "x", "²"):
        assert cli.main(["episodes", "show", word]) == 2
        assert "is not an episode's number" in capsys.readouterr().err
