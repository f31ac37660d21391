# SPDX-License-Identifier: Apache-2.0
"""What of an algorithm does the work: the same runs with parts of it left out.

A study's runs are arm x share of helped episodes x seed; all of a seed begin with the same imitated
policy and are tested on the same scenes with the same noise. Each run is a file that says what was
done, so an interrupted study goes on: finished trainings and tests are kept, the training that was
interrupted starts over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.experiment.bench_options import AblationOptions, Arm, LearnOptions
from expo_ft_ros.experiment.changes import split_changes
from expo_ft_ros.experiment.choice_agent import AgentSource
from expo_ft_ros.experiment.learn_setup import file_hash, hash_of, make_trainer
from expo_ft_ros.experiment.machine import git_revision, machine
from expo_ft_ros.experiment.paired_trials import Trials
from expo_ft_ros.experiment.run_folder import runs_dir
from expo_ft_ros.experiment.stages import ABLATION_SEEDS, Session, SessionError
from expo_ft_ros.experiment.trainer import make_session
from expo_ft_ros.experiment.trials import (
    BASE_CHUNKS_ONLY,
    SELECTION_RULES,
    SelectionRule,
    play_trials,
)
from expo_ft_ros.experiment.weights import CHECKPOINTS, Weights
from expo_ft_ros.rl.actor_critic import TrainingDiverged
from expo_ft_ros.rl.checkpoint_files import SUFFIX
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import TaskConfig, load_task

Start = Literal["start"]

ARMS: Mapping[Arm, dict[str, str]] = {
    "imitation": {
        **BASE_CHUNKS_ONLY,
        "candidates": "1",
        "acting_candidates": "0",
        "target_candidates_of": "0",
        "vla_weighting": "none",
        "vla_waits": "false",
    },
    "choice": BASE_CHUNKS_ONLY,
    "full": {},
    "random": {"choose_by": "random"},
}
"""Arm -> what it changes. imitation: one candidate, so nothing is ever chosen, and the VLA imitates
what succeeded; choice: among base chunks; full: as configured; random: among the candidates of
`full`, but drawn, as if Q were permuted among them."""

_ALGORITHM = "expo_ft"
_SHOWN = 10  # episodes between two lines


@dataclass(frozen=True)
class StudyRun:
    """One run. The arm `start` is the imitated policy that a seed's others begin with."""

    arm: Arm | Start
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Of its file, and what its lines begin with."""
        helped = "" if self.arm == "start" else f"_share{self.share:g}"
        return f"{self.arm}{helped}_seed{self.seed}"

    @property
    def rules(self) -> tuple[SelectionRule, ...]:
        """By which its weights are tested."""
        if self.arm == "start":
            return ("vla",)
        return SELECTION_RULES if self.arm == "full" else ("agent",)


class Study:
    """The runs of one ablation, and where their files lie.

    Args:
        options: What was asked for.
        results: Folder of the results; the study makes one of its own in it.

    Raises:
        ConfigError: for changes that can't be made, and for two arms that would be the same.
    """

    def __init__(self, options: AblationOptions, results: Path) -> None:
        self.options = options
        self._changes, self._task_changes = split_changes(options.change)
        self.task: TaskConfig = load_task(options.task, self._task_changes)
        self._require_different_arms()
        # Other arms, seeds, steps to test at or scenes are asked for later in the same folder.
        changes = {**self._changes, "threads": "1"}
        learned = load_preset(options.preset, options.size, changes).model_dump()
        robot = load_robot(options.robot).model_dump(mode="json")
        session = [self.last, options.demos]
        of_task = self.task.model_dump(mode="json")
        self.hash = hash_of([learned, robot, session, of_task, {**ARMS}])
        name = "_".join(filter(None, ("ablation", self.task.name, options.label, self.hash)))
        self.folder = results / name

    def _require_different_arms(self) -> None:
        of_arms = {arm: self.config(arm) for arm in self.options.arm_names}
        for one, other in combinations(of_arms, 2):
            if of_arms[one] == of_arms[other]:
                raise ConfigError(
                    f"arms:={self.options.arms}: {one} and {other} are the same, {other} has no "
                    "candidates but base chunks (turn some on, as in "
                    "change:=edit.gripper_decisions=2, or leave one of them out)"
                )

    def config(self, arm: Arm | Start) -> AgentConfig:
        """Of an arm's agent."""
        return load_preset(self.options.preset, self.options.size, self.changes(arm))

    def changes(self, arm: Arm | Start) -> dict[str, str]:
        """Of an arm, to preset and size."""
        of_arm = {} if arm == "start" else ARMS[arm]
        return {**self._changes, **of_arm, "threads": str(self.options.threads)}

    @property
    def starts(self) -> list[StudyRun]:
        """To be done before the others: what they begin with."""
        return [StudyRun("start", 0.0, seed) for seed in self.options.seed_numbers]

    @property
    def runs(self) -> list[StudyRun]:
        """The others, seed by seed."""
        asked = self.options
        return [
            StudyRun(arm, share, seed)
            for share in asked.shares
            for seed in asked.seed_numbers
            for arm in asked.arm_names
        ]

    @property
    def last(self) -> int:
        """Online steps of a run."""
        return self.options.steps or self.task.env_steps

    def tested_at(self, run: StudyRun) -> list[int]:
        """Online steps after which a run's weights are tested."""
        if run.arm == "start":
            return [0]
        return [*(steps for steps in self.options.steps_to_test_at if steps < self.last), self.last]

    def tests(self, run: StudyRun) -> Iterator[tuple[int, SelectionRule]]:
        """Online steps and selection rule of each test: of the last weights by every rule of the
        run's, of those before by the agent's and the VLA's alone."""
        for steps in self.tested_at(run):
            for rule in run.rules:
                if steps in (0, self.last) or rule in ("agent", "vla"):
                    yield steps, rule

    @property
    def scenes(self) -> range:
        """The scenes' seeds of a test, the same for every run."""
        first = ABLATION_SEEDS[self.options.scenes_for]
        return range(first, first + self.options.scenes)

    def path(self, run: StudyRun) -> Path:
        """Of a run's file."""
        return self.folder / f"{run.name}.json"

    def source(self, run: StudyRun, weights: Path) -> AgentSource:
        """Weights of a run, to be tested."""
        asked = self.options
        return AgentSource(
            Weights(weights, -1, _ALGORITHM, asked.preset, asked.size),
            asked.task,
            asked.robot,
            self.changes(run.arm),
            self._task_changes,
            run.seed,
        )

    def learn_options(self, run: StudyRun) -> LearnOptions:
        """Of a run's training."""
        asked = self.options
        of_task = {f"task.{name}": value for name, value in self._task_changes.items()}
        changes = {**self.changes(run.arm), **of_task}
        return LearnOptions(
            task=asked.task,
            robot=asked.robot,
            algorithm=_ALGORITHM,
            preset=asked.preset,
            size=asked.size,
            change=",".join(f"{name}={value}" for name, value in changes.items()),
            seed=run.seed,
            demos=asked.demos,
            steps=self.last,
            operator_share=run.share,
            imitated=asked.imitated or runs_dir() / "imitated",
            checkpoints=",".join(map(str, self.tested_at(run))) if run.arm != "start" else "last",
            label=f"{self.hash}_{run.arm}_share{round(100 * run.share)}",
        )

    def session(self, run: StudyRun) -> Session:
        """Of a run: it is tested afterwards, and a start has no RL."""
        return make_session(
            demos=self.options.demos or self.task.demonstrations,
            eval_trials=0,
            steps=0 if run.arm == "start" else self.last,
            max_steps=self.task.max_steps,
            seed=run.seed,
            operator="scripted",
        )


def read_run(study: Study, run: StudyRun) -> dict[str, Any]:
    """What is known of a run; only its name for one that wasn't begun.

    Raises:
        ConfigError: for a file that can't be read.
    """
    path = study.path(run)
    if not path.exists():
        return {"run": run.name, "arm": run.arm, "share": run.share, "seed": run.seed}
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        content["run"]
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{path}: can't be read: {error} (move it away: the run starts over)"
        ) from None
    return content


def trials_of(study: Study, content: Mapping[str, Any], steps: int, rule: str) -> Trials | None:
    """What a run's weights after so many online steps did on the study's scenes; None where they
    weren't tested on as many."""
    of_scenes = content.get("tested", {}).get(study.options.scenes_for, {})
    saved = of_scenes.get(str(steps), {}).get(rule)
    trials = None if saved is None else Trials.from_json(saved)
    scenes = len(study.scenes)
    return None if trials is None or len(trials.success) < scenes else trials.first(scenes)


def do_run(study: Study, run: StudyRun) -> str:
    """Does what is left of a run.

    Returns:
        A line about it.

    Raises:
        ConfigError: for a file that can't be read, weights or an imitated policy that are gone, and
            as `make_trainer`.
        DiskError: where something can't be written.
    """
    content = read_run(study, run)
    if "failed" in content:
        return f"{run.name}: {content['failed']} (move {study.path(run)} away: it starts over)"
    due = [
        (steps, rule)
        for steps, rule in study.tests(run)
        if trials_of(study, content, steps, rule) is None
    ]
    if not due:
        return f"{run.name}: was done"
    if "kept" not in content:
        content |= _train(study, run)
        _write(study, run, content)
        if "failed" in content:
            return f"{run.name}: {content['failed']}"
    weights = kept_weights(study, run, content)
    for steps, rule in due:
        trials = play_trials(study.source(run, weights[steps]), study.scenes, rule)
        of_scenes = content.setdefault("tested", {}).setdefault(study.options.scenes_for, {})
        saved = trials.as_json() | {"git": git_revision()}
        of_scenes.setdefault(str(steps), {})[rule] = saved
        _write(study, run, content)
        print(
            f"{run.name} at {steps} steps, {rule}: {sum(trials.success)} of {len(study.scenes)}",
            flush=True,
        )
    return f"{run.name}: done"


def kept_weights(study: Study, run: StudyRun, content: Mapping[str, Any]) -> dict[int, Path]:
    """Online steps -> the weights that the run kept after them.

    Raises:
        ConfigError: where some are gone, or weren't kept.
    """
    folder = runs_dir() / str(content["kept"]) / CHECKPOINTS
    found = {int(steps): folder / name for steps, name in content["weights"].items()}
    for steps in study.tested_at(run):
        if steps not in found or not found[steps].is_file():
            raise ConfigError(
                f"{study.path(run)}: its weights after {steps} online steps aren't in {folder} "
                "(EXPO_FT_RUNS names another folder; or move the file away: the run starts over)"
            )
    return found


def _train(study: Study, run: StudyRun) -> dict[str, Any]:
    online: list[list[int]] = []

    def report(line: dict[str, Any]) -> None:
        if line["stage"] != "rl":
            return
        online.append(
            [int(line[name]) for name in ("env_steps", "success", "steps", "human_steps")]
        )
        if len(online) % _SHOWN == 0:
            good = sum(row[1] for row in online[-_SHOWN:])
            print(
                f"{run.name}: episode {len(online)}, {line['env_steps']} online steps, last "
                f"{_SHOWN}: {good} successes",
                flush=True,
            )

    options, config = study.learn_options(run), study.config(run.arm)
    session = study.session(run)
    trainer = make_trainer(options, study.task, config, run.seed, report, session)
    imitated, kept = trainer.imitated, trainer.kept
    said = {"git": git_revision(), "machine": machine(), "config": config.model_dump()}
    try:
        if run.arm != "start" and (imitated is None or not imitated.is_file()):
            start = study.path(StudyRun("start", 0.0, run.seed))
            raise ConfigError(
                f"{imitated}: isn't there, the policy that seed {run.seed} begins with (move "
                f"{start} away: it is imitated anew, and then its other runs are to be)"
            )
        trainer.run()
        if kept is None:
            raise RuntimeError("a study's run keeps its weights")
        kept.finish(trainer.agent, session.env_steps)
    except (TrainingDiverged, SessionError) as error:
        return {**said, "online": online, "failed": str(error)}
    finally:
        trainer.rollout.close()
    return {
        **said,
        "kept": kept.folder.name,
        "weights": dict(_weights_after(kept.folder, study.tested_at(run))),
        "imitated": file_hash(imitated),
        "env_steps": session.env_steps,
        "critic_updates": trainer.agent.critic_updates,
        "vla_updates": trainer.agent.vla_trainer.updates,
        "wall": {name: round(value, 1) for name, value in vars(trainer.wall).items()},
        "columns": ["env_steps", "success", "steps", "human_steps"],
        "online": online,
    }


def _weights_after(folder: Path, steps: list[int]) -> Iterator[tuple[str, str]]:
    """Online steps -> the name of the first weights that were kept after so many."""
    names = [path.name for path in (folder / CHECKPOINTS).glob(f"step*{SUFFIX}")]
    kept = sorted((int(name.removeprefix("step").partition("_")[0]), name) for name in names)
    for wanted in steps:
        yield str(wanted), next(name for count, name in kept if count >= wanted)


def _write(study: Study, run: StudyRun, content: dict[str, Any]) -> None:
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(study.path(run), content)
