# SPDX-License-Identifier: Apache-2.0
"""`bench choice`, as small as it goes: what it plays, writes, values again, and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from expo_ft_ros.cli import bench_choice
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.branches import load_branches, save_branches
from expo_ft_ros.experiment.episode_arrays import read_episodes
from expo_ft_ros.rl.checkpoint_files import newest_whole
from support.agents import EPISODES
from support.kept_runs import kept_run

pytestmark = pytest.mark.slow

DRAWN = (
    "change:=minimum_of=2,value.acting_value=minimum,acting_candidates=0,"
    "edit.gripper_decisions=0,explore_share=0,explore_share_warmup=0"
)
"""Of five members: which are drawn matters."""
FEW = ["episodes:=2", "decisions:=2", "random_edits:=1", "gripper:=1", DRAWN]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("choice")


@pytest.fixture(autouse=True)
def folder(place, monkeypatch):
    results = place / "results"
    results.mkdir(exist_ok=True)
    monkeypatch.setenv("EXPO_FT_RUNS", str(place / "runs"))
    monkeypatch.setattr(bench_choice, "results_folder", lambda: results)
    return results


@pytest.fixture(scope="module")
def run(place):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EXPO_FT_RUNS", str(place / "runs"))
        return kept_run()


@pytest.fixture(scope="module")
def measured(run, place):
    """The files of one whole call."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("EXPO_FT_RUNS", str(place / "runs"))
        patched.setattr(bench_choice, "results_folder", lambda: place)
        assert bench_choice.main([str(run), *FEW, "label:=tiny"]) == 0
    (result,) = place.glob("choice_cube_pick_tiny_*.json")
    return json.loads(result.read_text()), result.with_suffix(".npz")


def test_a_run_keeps_weights_on_its_way_and_the_episodes(run):
    steps = [len(episode) for episode in EPISODES[1:]]
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert [name.split("_")[0] for name in names] == [
        f"step{steps[0]:06d}",
        f"step{sum(steps):06d}",
    ]
    newest, skipped = newest_whole(run / "checkpoints")
    assert newest is not None
    assert newest.path.name == names[-1]
    assert skipped == ()
    for episode, written in zip(EPISODES, read_episodes(run), strict=True):
        assert written.outcome == episode.outcome
        assert list(written.views) == list(episode.views)
        for view, images in episode.views.items():
            np.testing.assert_array_equal(written.views[view], images)
        np.testing.assert_array_equal(written.reward, episode.reward)


def test_it_tries_every_kind(run, measured):
    result, file = measured
    branches, about = load_branches(file)
    assert about["task"] == "cube_pick"
    assert len(branches) == result["states"] == 4
    rows = branches.at == 0
    assert list(branches.kind[rows]) == [
        "base", "base", "edited", "edited", "random_edits", "gripper", "gripper",
    ]  # fmt: skip
    opening, closing = branches.chunk[rows][-2:]
    assert (opening[:, 6] == 1).all()
    assert (closing[:, 6] == -1).all()
    np.testing.assert_array_equal(opening[:, :6], branches.chunk[rows][0][:, :6])
    assert branches.chosen.sum() == 4
    assert (branches.proposed == np.isin(branches.kind, ["base", "edited"])).all()
    assert np.isfinite(branches.q).all()
    assert branches.images.shape == (4, 2, 3, 16, 16)
    assert (branches.scene >= 600_000).all()
    assert (branches.steps <= 20 - branches.step[branches.at][:, None]).all()
    assert set(branches.step % 8) == {0}
    assert result["report"]["overall"]["base"]["success"]["random"]["states"] == 4
    assert result["played"]["episodes"] == 2


def test_saved_branches_are_valued_as_they_were(run, measured, folder, capsys):
    """The critic sees of them what it saw when they were played."""
    result, file = measured
    assert bench_choice.main([str(run), f"branches:={file}", DRAWN, "label:=valued"]) == 0
    (path,) = folder.glob("choice_cube_pick_valued_*.json")
    assert json.loads(path.read_text())["report"] == result["report"]
    assert "rank within" in capsys.readouterr().out


def test_a_critic_is_fitted_anew_with_other_constants(run, measured, folder, capsys):
    _, file = measured
    words = [str(run), f"branches:={file}", "refit:=4", "label:=refit"]
    assert bench_choice.main([*words, "change:=minimum_of=2,value.members=3"]) == 0
    (path,) = folder.glob("choice_cube_pick_refit_*.json")
    result = json.loads(path.read_text())
    assert (result["config"]["minimum_of"], result["config"]["value"]["members"]) == (2, 3)
    assert result["report"]["overall"]["base"]["spread"]["mean"] is not None


def test_a_checkpoint_is_a_source_as_well(run, measured, folder):
    _, file = measured
    path = sorted((run / "checkpoints").iterdir())[0]
    assert bench_choice.main([str(path), f"branches:={file}", "label:=older"]) == 0
    (found,) = folder.glob("choice_cube_pick_older_*.json")
    assert json.loads(found.read_text())["checkpoint"] == path.name


@pytest.mark.process
def test_two_processes_give_what_one_does(run, measured, folder):
    """And so does the same call, which has drawn other numbers before."""
    _, file = measured
    assert bench_choice.main([str(run), *FEW, "jobs:=2", "label:=two"]) == 0
    (other,) = folder.glob("choice_cube_pick_two_*.npz")
    first, second = load_branches(file)[0], load_branches(other)[0]
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "checkpoint:=nowhere: no run there"),
        (["{run}", "episode:=3"], "did you mean episodes"),
        (["{run}", "drive:=both"], "drive:=both"),
        (["{run}", "refit:=100"], "refit:=100: values branches .*add branches:="),
        (["{run}", "branches:=none.npz"], "branches:=none.npz: no such file"),
        (["{run}", "branches:={run}/config.yaml"], "not what bench choice writes"),
        (["{run}", "change:=edit.alfa=1"], "alfa"),
        (["{run}", "change:=critic.hidden=32"], "another algorithm, preset, size"),
        (["{run}", "branches:={file}", "change:=image_size=32"], "images of"),
        (["{run}", "branches:={file}", "change:=task.execute_steps=4"], "chunks of 8 steps"),
        (["{run}", "task:=candy_scoop"], "was trained on cube_pick"),
        (["{dsrl}"], "trained by dsrl, whose critic values no chunks"),
    ],
)
def test_what_cannot_be_measured_is_named_before_anything_is_played(
    run, measured, folder, tmp_path, words, message
):
    before = sorted(folder.iterdir())
    names = {"run": run, "file": measured[1]}
    if "{dsrl}" in words:
        other = names["dsrl"] = shutil.copytree(run, tmp_path / "dsrl")
        said = (run / "config.yaml").read_text().replace("algorithm: expo_ft", "algorithm: dsrl")
        (other / "config.yaml").write_text(said)
    with pytest.raises(ConfigError, match=message):
        bench_choice.main([word.format(**names) for word in words])
    assert sorted(folder.iterdir()) == before


def test_branches_of_another_task_are_refused(run, measured, folder, tmp_path):
    """Shapes of two tasks may agree."""
    _, file = measured
    branches, about = load_branches(file)
    other = tmp_path / "other.npz"
    save_branches(other, branches, about | {"task": "candy_scoop"})
    before = sorted(folder.iterdir())
    with pytest.raises(ConfigError, match=r"other.npz: of the task candy_scoop.*cube_pick"):
        bench_choice.main([str(run), f"branches:={other}"])
    assert sorted(folder.iterdir()) == before


def test_damaged_branches_are_refused(measured, tmp_path):
    _, file = measured
    cut: Path = tmp_path / "cut.npz"
    cut.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ConfigError, match="not what bench choice writes"):
        load_branches(cut)
    with np.load(file) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    np.savez(cut, **(kept | {"q": kept["q"][:3]}))
    with pytest.raises(ConfigError, match="q has shape"):
        load_branches(cut)
    np.savez(cut, **(kept | {"at": kept["at"] + 4}))
    with pytest.raises(ConfigError, match="at names states up to 7, there are 4"):
        load_branches(cut)
