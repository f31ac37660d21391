# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench choice`: whether a critic's choice among candidates helps.

Prints tables and writes them as JSON under benchmarks/results/, the branches beside them as .npz.
"""

import json
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment import choice_report
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import ChoiceOptions
from expo_ft_ros.experiment.branch_player import BranchedEpisode, BranchPlan, branched_episodes
from expo_ft_ros.experiment.branches import Branches, joined, load_branches, save_branches
from expo_ft_ros.experiment.choice_agent import (
    AgentSource,
    find_source,
    make_agent,
    refitted_agent,
    require_fit,
    values_of_branches,
)
from expo_ft_ros.experiment.machine import git_revision, machine
from expo_ft_ros.experiment.stages import BRANCH_SEEDS, SEEDS_PER_RUN
from expo_ft_ros.rl.actor_critic import TrainingDiverged


def main(words: Sequence[str]) -> int:
    """Measures one agent; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, before anything is played.
    """
    options = parse_arguments(_named(words), ChoiceOptions)
    _require_fit(options)
    source = find_source(options)
    for note in source.weights.notes:
        print(note)
    about: dict[str, Any] = {
        "command": " ".join(["./expo-ft bench choice", *words]),
        "options": options.model_dump(mode="json", exclude={"checkpoint", "branches"}),
        "run": source.run.name,
        "checkpoint": source.weights.path.name,
        "version": source.weights.version,
        "task": source.task.name,
        "git": git_revision(),
        "config": source.config.model_dump(),
        "machine": machine(),
    }
    try:
        if options.branches is None:
            branches = _branch(options, source, about)
        else:
            branches = _valued(options, source, options.branches)
    except (BrokenProcessPool, TrainingDiverged) as error:
        print(f"expo-ft: bench choice: {error}")
        return 1
    _write(options, source, branches, about)
    return 0


def _named(words: Sequence[str]) -> list[str]:
    """The first word may be the checkpoint."""
    if words and ":=" not in words[0] and not words[0].startswith("-"):
        return [f"checkpoint:={words[0]}", *words[1:]]
    return list(words)


def _require_fit(options: ChoiceOptions) -> None:
    if options.refit and options.branches is None:
        raise ConfigError(
            f"refit:={options.refit}: values branches that are there already (add branches:=, an "
            ".npz of an earlier call)"
        )


def _branch(options: ChoiceOptions, source: AgentSource, about: dict[str, Any]) -> Branches:
    """Plays and branches, telling of each episode; what it says of that goes into `about`."""
    plan = BranchPlan(
        options.drive,
        options.decisions,
        options.continuations,
        options.random_edits,
        options.gripper,
    )
    first = options.seed * SEEDS_PER_RUN + BRANCH_SEEDS
    scenes = range(first, first + options.episodes)
    # Here, so that weights which don't fit are refused before processes start.
    make_agent(source)
    started, played = time.perf_counter(), list[BranchedEpisode]()
    for episode in branched_episodes(source, plan, scenes, options.jobs):
        played.append(episode)
        _tell(played, options.episodes, time.perf_counter() - started)
    names = played[0].seconds
    about["played"] = {
        "episodes": len(played),
        "successes": sum(episode.success for episode in played),
        "by_truth": sum(episode.truth for episode in played),
        "steps": sum(episode.steps for episode in played),
        "judged_alike": sum(episode.judged_alike for episode in played) / len(played),
        "wall": round(time.perf_counter() - started, 1),
        "seconds": {
            name: round(sum(episode.seconds[name] for episode in played), 1) for name in names
        },
    }
    return joined([episode.branches for episode in played])


def _tell(played: Sequence[BranchedEpisode], of: int, seconds: float) -> None:
    newest, good = played[-1], sum(episode.success for episode in played)
    tried = sum(episode.branches.success.size for episode in played)
    print(
        f"episode {len(played)} of {of}: {'success' if newest.success else 'no success'} after "
        f"{newest.steps} steps ({good} of {len(played)}); {tried} branches, {seconds:.0f} s",
        flush=True,
    )


def _valued(options: ChoiceOptions, source: AgentSource, path: Path) -> Branches:
    """Branches of a file with this agent's values, or a refitted critic's."""
    branches, of = load_branches(path)
    require_fit(source, branches, str(of.get("task")), path)

    def told(steps: int, metrics: dict[str, float]) -> None:
        shown = ", ".join(f"{name} {metrics[name]:.4f}" for name in ("critic/loss", "critic/q"))
        print(f"critic step {steps} of {options.refit}: {shown}", flush=True)

    agent = refitted_agent(source, told) if options.refit else make_agent(source)
    return branches.valued(values_of_branches(agent, branches))


def _write(
    options: ChoiceOptions, source: AgentSource, branches: Branches, about: dict[str, Any]
) -> None:
    """Branches first: they took the time."""
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    name = "_".join(filter(None, ("choice", source.task.name, options.label, when)))
    path, kept = results_folder() / f"{name}.json", results_folder() / f"{name}.npz"
    new = options.branches is None
    if new:
        save_branches(kept, branches, {name: about[name] for name in ("command", "task", "git")})
    gamma = source.config.gamma
    reports = choice_report.report(branches, gamma)
    print(choice_report.as_text(reports))
    about["states"], about["chunks"] = len(branches), len(branches.at)
    about["report"] = choice_report.as_json(reports)
    if new:
        chosen = choice_report.chosen_by_agent(branches, gamma)
        print("chosen by the agent: " + ", ".join(f"{n} {value}" for n, value in chosen.items()))
        about["chosen"] = choice_report.as_json(chosen)
        played = about["played"]
        spent = ", ".join(f"{name} {value:.0f}" for name, value in played["seconds"].items())
        print(f"seconds of all processes: {spent}; wall {played['wall']:.0f}")
        print(f"branches in {kept}")
    path.write_text(json.dumps(about) + "\n")
    print(f"written to {path}")
