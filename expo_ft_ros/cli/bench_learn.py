# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench learn`: whole runs in one process, without ROS; results as JSON.

One file a call, written anew after each seed, under benchmarks/results/. `benchmarks/tables.py`
makes tables of them.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.changes import split_changes
from expo_ft_ros.experiment.learn_setup import config_hash, file_hash, make_trainer
from expo_ft_ros.experiment.machine import git_revision, machine
from expo_ft_ros.experiment.progress import wilson
from expo_ft_ros.rl.actor_critic import TrainingDiverged
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.tasks import TaskConfig, load_task

_RECENT = 10


def main(words: Sequence[str]) -> int:
    """Runs the seeds asked for; returns the exit code.

    Raises:
        ConfigError: for wrong arguments.
    """
    options = parse_arguments(words, LearnOptions)
    changes, of_task = split_changes(options.change)
    task = load_task(options.task, of_task)
    if options.threads:
        changes["threads"] = str(options.threads)
    config = load_preset(options.preset, options.size, changes)
    name = "_".join(part for part in (task.name, options.algorithm, options.label) if part)
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = results_folder() / f"learn_{name}_seed{options.seed}_{when}.json"
    result: dict[str, Any] = {
        "command": " ".join(["./expo-ft bench learn", *words]),
        "options": options.model_dump(mode="json", exclude={"imitated"}),
        "imitated": options.imitated is not None,
        "git": git_revision(),
        "config_hash": config_hash(options, config, task),
        "config": config.model_dump(),
        "task": task.model_dump(mode="json"),
        "machine": machine(),
        "runs": [],
    }
    for seed in range(options.seed, options.seed + options.seeds):
        result["runs"].append(run_seed(options, task, config, seed))
        path.write_text(json.dumps(result) + "\n")
    print(f"written to {path}")
    failed = [run["failed"] for run in result["runs"] if "failed" in run]
    if failed:
        print(f"expo-ft: bench learn: {failed[0]}")
    return 1 if failed else 0


def run_seed(
    options: LearnOptions, task: TaskConfig, config: AgentConfig, seed: int
) -> dict[str, Any]:
    """One whole run; what the result file says of it, with `failed` and its log where learning
    diverged."""
    lines: list[dict[str, Any]] = []

    def report(line: dict[str, Any]) -> None:
        lines.append(line)
        _tell(seed, lines)

    trainer = make_trainer(options, task, config, seed, report)
    agent, session, kept = trainer.agent, trainer.session, trainer.kept
    try:
        trainer.run()
        if kept is not None:
            kept.finish(agent, session.env_steps)
        alone = trainer.evaluate_alone() if options.alone else []
    except TrainingDiverged as error:
        return {"seed": seed, "failed": str(error), "env_steps": session.env_steps, "log": lines}
    finally:
        trainer.rollout.close()
    evaluations: dict[str, dict[str, Any]] = {}
    for stage in ("eval_before", "eval_after"):
        tally = session.tally(stage)
        of_stage = [line for line in lines if line["stage"] == stage]
        truth = [bool(line["truth"]) for line in of_stage]
        evaluations[stage] = _evaluation(tally.successes, tally.steps, truth)
    if alone:
        successes = sum(played.ended.success for played in alone)
        steps = sum(played.ended.steps for played in alone)
        truth = [played.truth for played in alone]
        evaluations["eval_alone"] = _evaluation(successes, steps, truth)
    for stage, found in evaluations.items():
        print(
            f"seed {seed} {stage}: {found['successes']}/{found['trials']}, by ground truth "
            f"{found['by_truth']}",
            flush=True,
        )
    return {
        "seed": seed,
        "imitated": file_hash(trainer.imitated),
        **evaluations,
        "env_steps": session.env_steps,
        "human_steps": session.tally("rl").human_steps,
        "critic_updates": agent.critic_updates,
        "vla_updates": agent.vla_trainer.updates,
        "kept": kept.folder.name if kept else "",
        "wall": {name: round(value, 1) for name, value in vars(trainer.wall).items()},
        "log": lines,
    }


def _evaluation(successes: int, steps: int, truth: Sequence[bool]) -> dict[str, Any]:
    low, high = wilson(successes, len(truth))
    return {
        "successes": successes,
        "trials": len(truth),
        "low": round(low, 4),
        "high": round(high, 4),
        "steps": round(steps / len(truth), 1),
        "by_truth": sum(truth),
    }


def _tell(seed: int, lines: Sequence[Mapping[str, Any]]) -> None:
    """A line now and then: every tenth episode of a stage, and the end of imitation."""
    line = lines[-1]
    same = [other for other in lines if other["stage"] == line["stage"]]
    if line["stage"] != "imitation" and len(same) % _RECENT:
        return
    recent = same[-_RECENT:]
    words = [f"seed {seed}", line["stage"]]
    if "share" in line:
        words.append(f"{line['share']:.0%}")
    if line["stage"] != "imitation":
        steps = sum(other["steps"] for other in recent)
        human = sum(other["human_steps"] for other in recent)
        words.append(f"episode {len(same)}, {line['env_steps']} online steps")
        words.append(f"last {len(recent)}: {sum(o['success'] for o in recent)} successes")
        words.append(f"{human / max(1, steps):.0%} of the steps by a human")
    words.append(f"{line['seconds']:.0f} s")
    print(", ".join(words), file=sys.stdout, flush=True)
