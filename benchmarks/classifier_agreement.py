# SPDX-License-Identifier: Apache-2.0
"""How often classifiers agree with the simulation's ground truth.

    ./expo-ft python benchmarks/classifier_agreement.py                       every task
    ./expo-ft python benchmarks/classifier_agreement.py --task pool_shot --episodes 100
    ./expo-ft python benchmarks/classifier_agreement.py --perturb lighting,objects

Plays so many successes, and as many near-failures of several kinds in turn (near_failures/), and
writes what both said to benchmarks/results/classifier_<task>_<date>.json. An episode agrees where
the classifier says success while it is true, or never says so and it isn't true at the end. A false
success is one that isn't true.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from driving import LIMITS, drive
from near_failures import Mistake, near_failures, right

from expo_ft_ros.data.perturbations import parse_perturbations
from expo_ft_ros.data.types import Observation
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, known_tasks, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import make_expert
from expo_ft_ros.tasks.scenes import make_world

RESULTS = Path(__file__).parent / "results"
SUCCESS = "success"


@dataclass(frozen=True)
class Played:
    """An episode. seen, true: success by the classifier and by ground truth at its end."""

    kind: str
    seed: int
    seen: bool
    true: bool
    steps: int
    reason: str

    @property
    def agrees(self) -> bool:
        """Both say the same."""
        return self.seen == self.true

    @property
    def false_success(self) -> bool:
        """The classifier alone says so."""
        return self.seen and not self.true


def play(
    task: TaskConfig, world: World, seed: int, kind: str, mistake: Mistake, steps: int
) -> Played:
    """Plays one episode, to where the classifier sees success or for so many steps."""
    classifier, reason = make_classifier(task), ""
    world.reset(seed)
    expert = make_expert(task, LIMITS, np.random.default_rng(0))
    expert.reset(seed)
    for view in drive(task, world, lambda view: mistake(world, view, expert), steps + 1):
        seen = Observation(view.step, world.time, world.images(), view.proprio, "")
        if view.step == 0:
            classifier.reset(seen)
        verdict = classifier(seen)
        reason = verdict.reason
        if verdict.success:
            return Played(kind, seed, True, world.success(), view.step, reason)
    return Played(kind, seed, False, world.success(), steps, reason)


def report(
    task: str, played: list[Played], perturb: tuple[str, ...], seconds: float
) -> dict[str, object]:
    """What to write: per kind and over all."""
    kinds: dict[str, object] = {}
    for kind in dict.fromkeys(episode.kind for episode in played):
        of_kind = [episode for episode in played if episode.kind == kind]
        kinds[kind] = {
            "episodes": len(of_kind),
            "agree": sum(episode.agrees for episode in of_kind),
            "seen": sum(episode.seen for episode in of_kind),
            "true": sum(episode.true for episode in of_kind),
            "mean_steps": float(np.mean([episode.steps for episode in of_kind])),
        }
    return {
        "task": task,
        "perturb": list(perturb),
        "machine": machine(),
        "agreement": float(np.mean([episode.agrees for episode in played])),
        "false_successes": float(np.mean([episode.false_success for episode in played])),
        "kinds": kinds,
        "disagreements": [vars(episode) for episode in played if not episode.agrees],
        "wall_seconds": seconds,
    }


def compare(
    name: str, episodes: int, first: int, perturb: tuple[str, ...] = ()
) -> dict[str, object]:
    """Plays a task's episodes and writes its file."""
    task, failures = load_task(name), near_failures(name)
    world = make_world(task, LIMITS, perturbations=perturb)
    began, played = time.perf_counter(), []
    for i in range(episodes):
        seed, nearly = first + i, failures.kinds[i % len(failures.kinds)]
        mistake = nearly(np.random.default_rng(seed))
        played.append(play(task, world, seed, SUCCESS, right, task.max_steps))
        played.append(play(task, world, seed, nearly.__name__, mistake, failures.steps))
        print(*played[-2:], sep="\n", flush=True)
    world.close()
    result = report(name, played, perturb, time.perf_counter() - began)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"classifier_{name}_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=known_tasks(), action="append", help="default: all")
    parser.add_argument("--episodes", type=int, default=100, help="successes, and near-failures")
    parser.add_argument("--seed", type=int, default=10_000, help="of the first episode")
    parser.add_argument("--perturb", default="", help="what disturbs the scenes, with commas")
    options = parser.parse_args()
    perturb = parse_perturbations(options.perturb)
    results = [
        compare(name, options.episodes, options.seed, perturb)
        for name in options.task or known_tasks()
    ]
    print("\n| task | agreement | false successes |\n|---|---|---|")
    for result in results:
        print(f"| {result['task']} | {result['agreement']:.1%} | {result['false_successes']:.1%} |")


if __name__ == "__main__":
    main()
