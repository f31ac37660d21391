# SPDX-License-Identifier: Apache-2.0
"""Runs with parts left out: the statistics, the ways of choosing, and that a study goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.cli import bench_ablation
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment import ablation_report
from expo_ft_ros.experiment.ablation import (
    Cell,
    Study,
    kept_weights,
    read_cell,
    run_cell,
    trials_of,
)
from expo_ft_ros.experiment.ablation_report import compare, mcnemar
from expo_ft_ros.experiment.bench_options import AblationOptions
from expo_ft_ros.experiment.stages import ABLATION_SEEDS, BRANCH_SEEDS, SEED_OFFSETS, SEEDS_PER_RUN
from expo_ft_ros.experiment.trials import Trials, play_trials

TINY = (
    "imitation.steps=3,image_size=32,warmup_episodes=0,warmup_updates=0,critic_steps_per_update=2,"
    "vla_encoder_every=0,vla_steps_per_update=1,task.updates_per_episode=1,task.max_steps=70,"
    "edit.gripper_decisions=1"
)


def trials(success: str, steps: list[int] | None = None) -> Trials:
    good = tuple(digit == "1" for digit in success)
    return Trials(good, good, tuple(steps or [1] * len(good)))


@pytest.mark.parametrize(
    ("better", "worse", "p"),
    # Two-sided exact binomial tests of one half, by R's binom.test.
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (15, 5, 0.04139), (8, 8, 1.0), (20, 2, 0.0001211)],
)
def test_mcnemar_is_the_exact_test(better, worse, p):
    assert mcnemar(better, worse) == pytest.approx(p, rel=1e-3)
    assert mcnemar(worse, better) == mcnemar(better, worse)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_only_scenes_that_differ_count(pairs):
    first = trials("".join(str(int(one)) for one, _ in pairs))
    second = trials("".join(str(int(other)) for _, other in pairs))
    found = compare(first, second, 0.99)
    assert found.better - found.worse == sum(first.success) - sum(second.success)
    assert found.better + found.worse == sum(one != other for one, other in pairs)
    assert compare(first, first, 0.99).p == 1.0
    with pytest.raises(ValueError, match="no pairs"):
        compare(first, trials("1" * (len(pairs) + 1)), 0.99)


def test_an_earlier_success_returns_more():
    early, late = trials("110", [1, 3, 9]), trials("110", [5, 7, 9])
    np.testing.assert_allclose(early.returns(0.9), [1.0, 0.81, 0.0])
    assert compare(early, late, 0.9).gain > 0


def test_trials_survive_json():
    whole = Trials((True, False), (True, True), (7, 20))
    assert Trials.from_json(json.loads(json.dumps(whole.as_json()))) == whole


def test_nothing_learns_on_what_it_is_tested_on():
    first = sorted({*SEED_OFFSETS.values(), BRANCH_SEEDS, *ABLATION_SEEDS.values()})
    assert len(first) == len(set(SEED_OFFSETS.values())) + 1 + len(ABLATION_SEEDS)
    assert min(np.diff(first)) >= 100_000
    assert first[-1] + 100_000 <= SEEDS_PER_RUN


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    options = AblationOptions(
        change=TINY,
        arms="imitation,full",
        seeds="1",
        operator_shares="0",
        demos=1,
        steps=25,
        at="10",
        scenes=2,
    )
    return Study(options, tmp_path)


def test_there_is_a_run_for_each_arm_share_and_seed(tmp_path):
    study = Study(AblationOptions(), tmp_path)
    assert len(study.cells) == len({cell.name for cell in study.cells}) == 4 * 2 * 5
    assert [cell.name for cell in study.starts] == [f"start_seed{seed}" for seed in range(3, 8)]
    assert study.marks == [2000, 4000, 8000]
    of_arm = {arm: study.config(arm) for arm in study.options.arm_names}
    assert of_arm["imitation"].candidates == 1
    assert of_arm["choice"].candidates == of_arm["full"].candidates
    assert {arm for arm, config in of_arm.items() if config.choose_by == "random"} == {"random"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"change": "no.such=1"}, "no.such"), ({"change": "candidates"}, "not field=value")],
)
def test_what_cannot_be_changed_is_refused_before_anything_runs(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        Study(AblationOptions(**changes), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_study_is_the_same_start_for_all_and_goes_on(study, capsys):
    (start,) = study.starts
    assert run_cell(study, start) == "start_seed1: done"
    imitation, full = study.cells
    for cell in study.cells:
        assert run_cell(study, cell) == f"{cell.name}: done"
    contents = {cell.arm: read_cell(study, cell) for cell in study.cells}
    assert len({content["imitated"] for content in contents.values()}) == 1
    assert set(contents["full"]["tested"]["25"]) == {"agent", "choice", "random", "vla"}
    assert set(contents["imitation"]["tested"]) == {"10", "25"}
    for cell in study.cells:
        assert run_cell(study, cell) == f"{cell.name}: was done"
    # Noise is by scene and step, whoever draws more of it.
    weights = kept_weights(contents["imitation"])[25]
    alone = study.source(imitation, weights)
    first_chunk = play_trials(alone, study.scenes, "vla")
    assert play_trials(alone, study.scenes, "agent") == first_chunk
    among_eight = replace(alone, changes=study.changes("full"))
    assert play_trials(among_eight, study.scenes, "vla") == first_chunk
    # Of what is lost, that alone is done again, and comes to the same.
    path = study.folder / f"{full.name}.json"
    before = trials_of(contents["full"], 25, "vla")
    lost = json.loads(path.read_text())
    del lost["tested"]["25"]["vla"]
    path.write_text(json.dumps(lost))
    capsys.readouterr()
    run_cell(study, full)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("full_share0_seed1 at 25 steps, vla:")
    assert trials_of(read_cell(study, full), 25, "vla") == before
    assert "full, agent against imitation, agent" in ablation_report.as_text(study)
    # More scenes: the same weights are tested again.
    more = Study(study.options.model_copy(update={"scenes": 3}), study.folder.parent)
    assert more.folder == study.folder
    run_cell(more, start)
    assert (
        trials_of(read_cell(more, start), 0, "vla").success[:2]
        == (trials_of(read_cell(study, start), 0, "vla").success[:2])
    )


def test_a_broken_cell_is_named(study):
    study.folder.mkdir()
    cell = Cell("full", 0.0, 1)
    (study.folder / f"{cell.name}.json").write_text("[")
    with pytest.raises(ConfigError, match=r"full_share0_seed1\.json.*move it away"):
        run_cell(study, cell)


@pytest.mark.process
def test_two_processes_find_what_was_done(study, monkeypatch, capsys):
    """What is left of a study that is done is its tables."""
    monkeypatch.setattr(bench_ablation, "results_folder", lambda: study.folder.parent)
    study.folder.mkdir()
    tested = {"vla": trials("10").as_json()}
    for cell in [*study.starts, *study.cells]:
        marks = [0] if cell.arm == "start" else study.marks
        content = {
            "cell": cell.name,
            "tested": {str(mark): dict.fromkeys(cell.ways, tested["vla"]) for mark in marks},
        }
        (study.folder / f"{cell.name}.json").write_text(json.dumps(content))
    said = study.options.model_dump(exclude_none=True, exclude_defaults=True) | {"jobs": 2}
    assert bench_ablation.main([f"{name}:={value}" for name, value in said.items()]) == 0
    printed = capsys.readouterr().out
    assert printed.count("was done") == 3
    assert "| full, agent | 25 | 1 (0.500) |" in printed


def test_the_command_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(ConfigError, match="arms"):
        bench_ablation.main(["arms:=full,none"])
