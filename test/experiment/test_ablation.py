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
    Study,
    StudyRun,
    do_run,
    kept_weights,
    read_run,
    trials_of,
)
from expo_ft_ros.experiment.bench_options import AblationOptions
from expo_ft_ros.experiment.kept_run import KeptRun
from expo_ft_ros.experiment.paired_trials import Trials, compare, mcnemar
from expo_ft_ros.experiment.stages import ABLATION_SEEDS, BRANCH_SEEDS, SEED_OFFSETS, SEEDS_PER_RUN
from expo_ft_ros.experiment.trials import play_trials

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
    study = Study(AblationOptions(change="edit.gripper_decisions=2"), tmp_path)
    assert len(study.runs) == len({run.name for run in study.runs}) == 4 * 2 * 5
    assert [run.name for run in study.starts] == [f"start_seed{seed}" for seed in range(3, 8)]
    assert study.tested_at(study.runs[0]) == [2000, 4000, 8000]
    assert study.tested_at(study.starts[0]) == [0]
    full = StudyRun("full", 0.0, 3)
    early = [(steps, rule) for steps in (2000, 4000) for rule in ("agent", "vla")]
    last = [(8000, rule) for rule in ("agent", "choice", "random", "vla")]
    assert [*study.tests(full)] == early + last
    assert [*study.tests(StudyRun("start", 0.0, 3))] == [(0, "vla")]
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


@pytest.mark.parametrize("arms", ["choice,full", "imitation,choice,full,random"])
def test_arms_that_would_be_the_same_are_refused(tmp_path, arms):
    """With nothing but base chunks there is nothing that `full` has and `choice` hasn't."""
    none = "explore_share=0,explore_share_warmup=0,edit.gripper_decisions=0"
    with pytest.raises(ConfigError, match=r"choice and full are the same.*gripper_decisions=2"):
        Study(AblationOptions(arms=arms, change=f"{none},edits=false"), tmp_path)
    Study(AblationOptions(arms=arms, change=f"{none},edits=true"), tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seeds", "3,4,3"),
        ("operator_shares", "0,0.0"),
        ("at", "0"),
        ("at", "2000,0"),
        ("arms", "full,none"),
        ("seeds", "3,"),
    ],
)
def test_what_would_be_done_twice_or_never_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        bench_ablation.main([f"{name}:={value}"])


def test_what_asks_for_more_of_the_same_goes_on_in_the_same_folder(study, tmp_path):
    def folder(**changes: object) -> Path:
        return Study(study.options.model_copy(update=changes), tmp_path).folder

    for more in ({"scenes": 9}, {"seeds": "1,2"}, {"at": "5"}, {"scenes_for": "choice"}):
        assert folder(**more) == study.folder, more
    for other in ({"steps": 26}, {"demos": 2}, {"change": f"{TINY},tau=0.1"}):
        assert folder(**other) != study.folder, other


@pytest.mark.slow
def test_a_study_is_the_same_start_for_all_and_goes_on(study, tmp_path, capsys, monkeypatch):
    (start,) = study.starts
    assert do_run(study, start) == "start_seed1: done"
    imitation, full = study.runs
    for run in study.runs:
        assert do_run(study, run) == f"{run.name}: done"
    contents = {run.arm: read_run(study, run) for run in study.runs}
    assert len({content["imitated"] for content in contents.values()}) == 1
    tested = contents["full"]["tested"]["test"]
    assert set(tested) == {"10", "25"}
    assert set(tested["25"]) == {"agent", "choice", "random", "vla"}
    for run in study.runs:
        assert do_run(study, run) == f"{run.name}: was done"
    # Noise is by scene and step, whoever draws more of it.
    weights = kept_weights(study, imitation, contents["imitation"])[25]
    alone = study.source(imitation, weights)
    first_chunk = play_trials(alone, study.scenes, "vla")
    assert play_trials(alone, study.scenes, "agent") == first_chunk
    among_eight = replace(alone, changes=study.changes("full"))
    assert play_trials(among_eight, study.scenes, "vla") == first_chunk
    # Of what is lost, that alone is done again, and comes to the same.
    path = study.path(full)
    before = trials_of(study, contents["full"], 25, "vla")
    lost = json.loads(path.read_text())
    del lost["tested"]["test"]["25"]["vla"]
    path.write_text(json.dumps(lost))
    capsys.readouterr()
    do_run(study, full)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("full_share0_seed1 at 25 steps, vla:")
    assert trials_of(study, read_run(study, full), 25, "vla") == before
    assert "full, agent against imitation, agent at 25" in ablation_report.as_text(study)
    # With more scenes the same weights are tested again; fewer are the first of them.
    more = Study(study.options.model_copy(update={"scenes": 3}), tmp_path)
    do_run(more, start)
    assert "1 seeds" in ablation_report.as_text(more)
    three = trials_of(more, read_run(more, start), 0, "vla")
    two = trials_of(study, read_run(study, start), 0, "vla")
    assert three is not None
    assert three.first(2) == two
    # Weights that are gone, or were never kept, are no reason to train anew unasked.
    later = Study(study.options.model_copy(update={"at": "5"}), tmp_path)
    with pytest.raises(ConfigError, match=r"full_share0_seed1\.json.* after 5 online steps"):
        do_run(later, full)
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "elsewhere"))
    with pytest.raises(ConfigError, match=r"imitation_share0_seed1\.json.*EXPO_FT_RUNS"):
        do_run(Study(study.options.model_copy(update={"scenes": 3}), tmp_path), imitation)
    other = StudyRun("full", 0.5, 1)
    with pytest.raises(ConfigError, match=r"the policy that seed 1 begins with.*start_seed1"):
        do_run(study, other)


def test_two_shares_at_once_lie_apart(study):
    runs = [StudyRun("full", share, 1) for share in (0.0, 0.5)]
    folders = {KeptRun.new(study.learn_options(run), study.task, 1).folder for run in runs * 2}
    assert len(folders) == 4


def test_a_broken_file_is_named(study):
    study.folder.mkdir()
    run = StudyRun("full", 0.0, 1)
    study.path(run).write_text("[")
    with pytest.raises(ConfigError, match=r"full_share0_seed1\.json.*move it away"):
        do_run(study, run)


def write(study: Study, run: StudyRun, success: str, **more: object) -> None:
    study.folder.mkdir(exist_ok=True)
    saved = trials(success).as_json()
    steps = {str(at): dict.fromkeys(run.rules, saved) for at in study.tested_at(run)}
    content = {"run": run.name, "tested": {"test": steps}, **more}
    study.path(run).write_text(json.dumps(content))


def test_a_report_says_what_makes_its_runs_unequal(study):
    imitation, full = study.runs
    write(study, study.starts[0], "10", imitated="a", git="1")
    write(study, full, "11", imitated="b", git="2")
    study.path(imitation).write_text(json.dumps({"run": imitation.name, "failed": "loss is nan"}))
    said = ablation_report.as_text(study)
    assert "imitation_share0_seed1 failed and is in no mean: loss is nan" in said
    assert "seed 1: its runs begin with 2 different policies" in said
    assert "trained by different revisions: 1, 2" in said
    assert "full, agent against start, vla at 25 and 0: seed 1 1:0 (p 1; +0.500)" in said
    assert "imitation, agent |" not in said
    assert do_run(study, imitation).startswith("imitation_share0_seed1: loss is nan (move ")


def test_the_seed_is_the_unit_between_arms(tmp_path):
    options = AblationOptions(
        arms="imitation,full", change=TINY, seeds="1,2,3", operator_shares="0", scenes=4, steps=9
    )
    study = Study(options, tmp_path)
    of_full = {1: "1111", 2: "1110", 3: "0100"}
    for run in [*study.starts, *study.runs]:
        write(study, run, of_full[run.seed] if run.arm == "full" else "0110")
    said = ablation_report.as_text(study)
    (line,) = (x for x in said.splitlines() if x.startswith("full, agent against imitation"))
    # Differences 0.5, 0.25 and -0.25: mean 0.1667, standard error 0.2205.
    assert "difference +0.167 +- 0.220, above on 2 of 3 seeds" in line
    assert "seed 3 0:1 (p 1; -0.250)" in line


@pytest.mark.process
def test_two_processes_find_what_was_done(study, monkeypatch, capsys):
    """What is left of a study that is done is its tables."""
    monkeypatch.setattr(bench_ablation, "results_folder", lambda: study.folder.parent)
    for run in [*study.starts, *study.runs]:
        write(study, run, "10")
    said = study.options.model_dump(exclude_none=True, exclude_defaults=True) | {"jobs": 2}
    assert bench_ablation.main([f"{name}:={value}" for name, value in said.items()]) == 0
    printed = capsys.readouterr().out
    assert printed.count("was done") == 3
    assert "| full, agent | 25 | 1 (0.500) |" in printed
