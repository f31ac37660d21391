# SPDX-License-Identifier: Apache-2.0
"""What of an algorithm does the work: the same runs with parts of it left out.

Cells are arm x share of helped episodes x seed; all of a seed begin with the same imitated policy
and are tested on the same scenes with the same noise. Each cell is a file that says what was done,
so whatever was broken off goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.experiment.bench_options import AblationOptions, Arm, LearnOptions
from expo_ft_ros.experiment.changes import split_changes
from expo_ft_ros.experiment.choice_agent import AgentSource
from expo_ft_ros.experiment.learn_setup import file_hash, hash_of, make_trainer
from expo_ft_ros.experiment.machine import git_revision, machine
from expo_ft_ros.experiment.run_folder import runs_dir
from expo_ft_ros.experiment.stages import ABLATION_SEEDS, Session, SessionError
from expo_ft_ros.experiment.trainer import make_session
from expo_ft_ros.experiment.trials import BASE_CHUNKS_ONLY, WAYS, Trials, Way, play_trials
from expo_ft_ros.experiment.weights import CHECKPOINTS, Weights
from expo_ft_ros.rl.actor_critic import TrainingDiverged
from expo_ft_ros.rl.checkpoint_files import SUFFIX
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.tasks import TaskConfig, load_task

ARMS: Mapping[Arm, dict[str, str]] = {
    "imitation": {**BASE_CHUNKS_ONLY, "candidates": "1", "target_candidates_of": "0"},
    "choice": BASE_CHUNKS_ONLY,
    "full": {},
    "random": {"choose_by": "random"},
}
"""Arm -> what it changes. imitation: one candidate, so nothing is ever chosen, and the VLA imitates
what succeeded; choice: among base chunks; full: as the preset has it; random: among the candidates
of `full`, but drawn, as if Q were permuted among them."""

_ALGORITHM = "expo_ft"
_SHOWN = 10  # episodes between two lines


@dataclass(frozen=True)
class Cell:
    """One run. The arm `start` is the imitated policy that a seed's others begin with."""

    arm: Arm | Literal["start"]
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Of its file, and what its lines begin with."""
        helped = "" if self.arm == "start" else f"_share{self.share:g}"
        return f"{self.arm}{helped}_seed{self.seed}"

    @property
    def ways(self) -> tuple[Way, ...]:
        """How its weights are tested."""
        if self.arm == "start":
            return ("vla",)
        return WAYS if self.arm == "full" else ("agent",)


class Study:
    """The cells of one ablation, and where they lie.

    Args:
        options: What was asked for.
        results: Folder of the results; the study makes one of its own in it.

    Raises:
        ConfigError: for changes that can't be made.
    """

    def __init__(self, options: AblationOptions, results: Path) -> None:
        self.options = options
        changes, of_task = split_changes(options.change)
        self._changes, self._task_changes = changes, of_task
        self.task: TaskConfig = load_task(options.task, of_task)
        for arm in options.arm_names:
            self.config(arm)
        # Whoever asks for more seeds, arms or marks later goes on in the same folder.
        beside = {"arms", "seeds", "operator_shares", "at", "jobs", "threads", "label", "scenes"}
        asked = options.model_dump(mode="json", exclude=beside | {"imitated"})
        learned = load_preset(options.preset, options.size, changes).model_dump(exclude={"threads"})
        self.hash = hash_of([asked, learned, self.task.model_dump(mode="json")])
        name = "_".join(filter(None, ("ablation", self.task.name, options.label, self.hash)))
        self.folder = results / name

    def config(self, arm: Arm | Literal["start"]) -> AgentConfig:
        """Of an arm's agent."""
        return load_preset(self.options.preset, self.options.size, self.changes(arm))

    def changes(self, arm: Arm | Literal["start"]) -> dict[str, str]:
        """Of an arm, to preset and size."""
        of_arm = {} if arm == "start" else ARMS[arm]
        return {**self._changes, **of_arm, "threads": str(self.options.threads)}

    @property
    def starts(self) -> list[Cell]:
        """To be done before the others: what they begin with."""
        return [Cell("start", 0.0, seed) for seed in self.options.seed_numbers]

    @property
    def cells(self) -> list[Cell]:
        """The others, seed by seed."""
        asked = self.options
        return [
            Cell(arm, share, seed)
            for share in asked.shares
            for seed in asked.seed_numbers
            for arm in asked.arm_names
        ]

    @property
    def marks(self) -> list[int]:
        """Online steps after which an arm is tested, the last one at its end."""
        last = self.last
        return [*(mark for mark in self.options.mark_numbers if mark < last), last]

    @property
    def last(self) -> int:
        """Online steps of a run."""
        return self.options.steps or self.task.env_steps

    @property
    def scenes(self) -> range:
        """The test scenes' seeds, the same for every seed of a run."""
        first = ABLATION_SEEDS[self.options.scenes_for]
        return range(first, first + self.options.scenes)

    def source(self, cell: Cell, weights: Path) -> AgentSource:
        """Weights of a cell, to be tested."""
        asked = self.options
        return AgentSource(
            Weights(weights, -1, _ALGORITHM, asked.preset, asked.size),
            asked.task,
            asked.robot,
            self.changes(cell.arm),
            self._task_changes,
            cell.seed,
        )

    def learn_options(self, cell: Cell) -> LearnOptions:
        """Of a cell's run."""
        asked, begins = self.options, cell.arm == "start"
        return LearnOptions(
            task=asked.task,
            robot=asked.robot,
            algorithm=_ALGORITHM,
            preset=asked.preset,
            size=asked.size,
            change=",".join(f"{k}={v}" for k, v in self._all_changes(cell).items()),
            seed=cell.seed,
            demos=asked.demos,
            steps=self.last,
            operator_share=cell.share,
            imitated=asked.imitated or runs_dir() / "imitated",
            checkpoints=",".join(map(str, self.marks)) if not begins else "last",
            label=f"{self.hash}_{cell.arm}",
        )

    def session(self, cell: Cell) -> Session:
        """Of a cell's run: trials come afterwards, and a start has no RL."""
        return make_session(
            demos=self.options.demos or self.task.demonstrations,
            eval_trials=0,
            steps=0 if cell.arm == "start" else self.last,
            max_steps=self.task.max_steps,
            seed=cell.seed,
            operator="scripted",
        )

    def _all_changes(self, cell: Cell) -> dict[str, str]:
        of_task = {f"task.{name}": value for name, value in self._task_changes.items()}
        return {**self.changes(cell.arm), **of_task}


def read_cell(study: Study, cell: Cell) -> dict[str, Any]:
    """What is known of a cell; only its name for one that wasn't begun.

    Raises:
        ConfigError: for a file that can't be read.
    """
    path = study.folder / f"{cell.name}.json"
    if not path.exists():
        return {"cell": cell.name, "arm": cell.arm, "share": cell.share, "seed": cell.seed}
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        content["cell"]
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{path}: can't be read: {error} (move it away)") from None
    return content


def trials_of(content: Mapping[str, Any], mark: int, way: str) -> Trials | None:
    """What a cell's weights of a mark did; None where that wasn't tested."""
    saved = content.get("tested", {}).get(str(mark), {}).get(way)
    return None if saved is None else Trials.from_json(saved)


def run_cell(study: Study, cell: Cell) -> str:
    """Does what is left of a cell; a line about it.

    Raises:
        ConfigError: as `make_trainer`, and for a file that can't be read.
        DiskError: where it can't be written.
    """
    content = read_cell(study, cell)
    marks = [0] if cell.arm == "start" else study.marks
    scenes = len(study.scenes)
    due = [
        (mark, way)
        for mark in marks
        for way in cell.ways
        if (found := trials_of(content, mark, way)) is None or len(found.success) < scenes
    ]
    if "failed" in content or not due:
        return f"{cell.name}: was done"
    weights = kept_weights(content)
    if any(mark not in weights for mark, _ in due):
        content |= _train(study, cell)
        _write(study, cell, content)
        if "failed" in content:
            return f"{cell.name}: {content['failed']}"
        weights = kept_weights(content)
    for mark, way in due:
        trials = play_trials(study.source(cell, weights[mark]), study.scenes, way)
        content.setdefault("tested", {}).setdefault(str(mark), {})[way] = trials.as_json()
        _write(study, cell, content)
        print(f"{cell.name} at {mark} steps, {way}: {sum(trials.success)} of {scenes}", flush=True)
    return f"{cell.name}: done"


def _train(study: Study, cell: Cell) -> dict[str, Any]:
    online: list[list[int]] = []

    def report(line: dict[str, Any]) -> None:
        if line["stage"] != "rl":
            return
        online.append([line[x] for x in ("env_steps", "success", "steps", "human_steps")])
        if len(online) % _SHOWN == 0:
            good = sum(row[1] for row in online[-_SHOWN:])
            print(
                f"{cell.name}: episode {len(online)}, {line['env_steps']} online steps, last "
                f"{_SHOWN}: {good} successes",
                flush=True,
            )

    options, config = study.learn_options(cell), study.config(cell.arm)
    session = study.session(cell)
    trainer = make_trainer(options, study.task, config, cell.seed, report, session)
    said = {"git": git_revision(), "machine": machine(), "config": config.model_dump()}
    try:
        trainer.run()
        if trainer.kept is not None:
            trainer.kept.finish(trainer.agent, session.env_steps)
    except (TrainingDiverged, SessionError) as error:
        return {**said, "online": online, "failed": str(error)}
    finally:
        trainer.rollout.close()
    return {
        **said,
        "kept": trainer.kept.folder.name if trainer.kept else "",
        "imitated": file_hash(trainer.imitated),
        "env_steps": session.env_steps,
        "critic_updates": trainer.agent.critic_updates,
        "vla_updates": trainer.agent.vla_trainer.updates,
        "wall": {name: round(value, 1) for name, value in vars(trainer.wall).items()},
        "columns": ["env_steps", "success", "steps", "human_steps"],
        "online": [[int(value) for value in row] for row in online],
        "marks": study.marks if cell.arm != "start" else [0],
    }


def kept_weights(content: Mapping[str, Any]) -> dict[int, Path]:
    """Mark -> the first weights that were kept at it or later."""
    kept = content.get("kept")
    folder = runs_dir() / str(kept) / CHECKPOINTS
    if not kept or not folder.is_dir():
        return {}
    files = sorted(folder.glob(f"step*{SUFFIX}"))
    steps = [int(path.name.removeprefix("step").partition("_")[0]) for path in files]
    found = {}
    for mark in content["marks"]:
        later = [path for path, count in zip(files, steps, strict=True) if count >= mark]
        if later:
            found[mark] = later[0]
    return found


def _write(study: Study, cell: Cell, content: dict[str, Any]) -> None:
    study.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(study.folder / f"{cell.name}.json", content)
