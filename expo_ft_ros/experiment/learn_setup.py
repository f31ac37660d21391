# SPDX-License-Identifier: Apache-2.0
"""From the options of a run without ROS to what runs it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.kept_run import KeptRun
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.experiment.stages import Session
from expo_ft_ros.experiment.trainer import Report, Trainer, make_session
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import AgentConfig, require_room
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import TaskConfig

_LEARNED_WITH = {
    "edit_scale",
    "execute_steps",
    "replan_on_release",
    "updates_per_episode",
    "env_steps",
    "eval_trials",
}
_BESIDE = {"seed", "seeds", "threads", "label", "imitated", "change", "alone", "checkpoints"}


def make_trainer(
    options: LearnOptions,
    task: TaskConfig,
    config: AgentConfig,
    seed: int,
    report: Report,
    session: Session | None = None,
) -> Trainer:
    """A run that is about to begin; who asks for it closes its rollout.

    Args:
        options: What was asked for.
        task: With the options' changes.
        config: With the options' changes.
        seed: Of the run.
        report: Called with each line of the log.
        session: Other stages than those of a whole run.

    Raises:
        ConfigError: where replay has less room than the run needs.
        DiskError: where weights are to be kept and can't be.
    """
    steps = options.steps or task.env_steps
    session = session or make_session(
        demos=options.demos or task.demonstrations,
        eval_trials=options.eval_trials or task.eval_trials,
        steps=steps,
        max_steps=task.max_steps,
        seed=seed,
        operator="scripted",
    )
    wanted = session.config
    require_room(config, wanted.rl_steps or 0, wanted.demos, task.max_steps)
    robot = load_robot(options.robot)
    agent = Agent(task, config, robot.views, seed, options.algorithm)
    rollout = InProcessRollout(
        task, config.image_size, seed, options.operator_rate, options.operator_share, robot
    )
    imitated = options.imitated and options.imitated / imitated_name(options, task, config, seed)
    kept = KeptRun.new(options, task, seed) if options.checkpoints else None
    return Trainer(agent, session, rollout, report, imitated, kept)


def config_hash(options: LearnOptions, config: AgentConfig, task: TaskConfig) -> str:
    """Twelve hex digits that results share which differ in nothing but seeds and machine."""
    asked = options.model_dump(exclude=_BESIDE)
    learned = config.model_dump(exclude={"threads"})
    return hash_of([asked, learned, task.model_dump(mode="json")])


def imitated_name(options: LearnOptions, task: TaskConfig, config: AgentConfig, seed: int) -> str:
    """Of a policy's file: two share it that were imitated alike, whatever comes after."""
    sizes = config.model_dump(include={"image_size", "vla", "imitation", "augmentation"})
    robot = load_robot(options.robot).model_dump(mode="json")
    of_task = task.model_dump(mode="json", exclude=_LEARNED_WITH)
    alike = hash_of([sizes, options.demos, robot, of_task])
    return f"{task.name}_{alike}_seed{seed}.safetensors"


def file_hash(path: Path | None) -> str:
    """Twelve hex digits of a file's content; "" for none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path else ""


def hash_of(what: Any) -> str:
    """Twelve hex digits of what JSON can say."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]
