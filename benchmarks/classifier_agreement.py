# SPDX-License-Identifier: Apache-2.0
"""How often candy_scoop's classifier agrees with the simulation's ground truth.

    ./expo-ft python benchmarks/classifier_agreement.py --episodes 100

Plays so many successes, and as many near-failures of five kinds in turn, and writes what both said
to benchmarks/results/classifier_candy_scoop_<date>.json. An episode agrees where the classifier
says success while it is true, or never says so and it isn't true at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.data.types import Observation
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.scene import ObjectPose
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.candy_scoop.scene import (
    BIN,
    BIN_AT,
    BIN_HALF,
    CANDIES,
    CANDY,
    ENOUGH,
    TARGET,
    in_bowl,
)
from expo_ft_ros.tasks.candy_scoop.sight import CandySight
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import IDLE, Mode, OperatorView, make_expert
from expo_ft_ros.tasks.scenes import make_world

LIMITS = load_robot("sim").limits
RESULTS = Path(__file__).parent / "results"
NEAR_FAILURE_STEPS = 115  # time for all that goes wrong [ticks]
SUCCESS = "success"

Objects = Mapping[str, ObjectPose]
Mistake = Callable[[World, CandySight, Objects], Objects | None]
"""What the person believes of what there is; None: he holds the tool still."""


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


def shifted(objects: Objects, name: str, offset: tuple[float, float, float]) -> Objects:
    position, quaternion = objects[name]
    return {**objects, name: (position + np.array(offset), quaternion)}


def all_scooped(objects: Objects, scene: CandySight) -> Objects:
    """Every candy where the bowl is."""
    bowl = scene.tool + scene.axes @ np.array([0.0, 0.04, -0.07])
    return {k: (bowl, v[1]) if k.startswith(CANDY) else v for k, v in objects.items()}


def no_mistake(rng: np.random.Generator) -> Mistake:
    return lambda world, scene, objects: objects


def beside(rng: np.random.Generator) -> Mistake:
    """Pours on the table, on one of three sides of the target."""
    sides = ((0.0, -0.10, 0.0), (0.11, 0.0, 0.0), (-0.11, 0.0, 0.0))
    offset = sides[rng.integers(len(sides))]
    return lambda world, scene, objects: shifted(objects, TARGET, offset)


def empty(rng: np.random.Generator) -> Mistake:
    """Digs above the candies, then goes through all the rest with nothing in the scoop."""

    def believed(world: World, scene: CandySight, objects: Objects) -> Objects:
        return shifted(all_scooped(objects, scene), BIN, (0.0, 0.0, 0.07))

    return believed


def few(rng: np.random.Generator) -> Mistake:
    """Loses all but one to three candies back into the bin on the way."""
    keep, lost = int(rng.integers(1, 4)), False

    def believed(world: World, scene: CandySight, objects: Objects) -> Objects:
        nonlocal lost
        if scene.raised and scene.held >= ENOUGH and scene.lip[1] > 0.03 and not lost:
            lost = True
            names = [f"{CANDY}_{i}" for i in range(CANDIES)]
            places = np.array([objects[name][0] for name in names])
            held = in_bowl(places, scene.tool, scene.axes)
            for i in np.flatnonzero(held)[keep:]:
                across = rng.uniform(-0.7, 0.7, 2) * BIN_HALF
                start = world.model.joint(names[i]).qposadr[0]
                height = 0.05 + 0.024 * (i % 5)
                world.data.qpos[start : start + 3] = BIN_AT + np.array([*across, height])
        return all_scooped(objects, scene) if lost else objects

    return believed


def unpoured(rng: np.random.Generator) -> Mistake:
    """Holds the full scoop over the target and never pours."""

    def believed(world: World, scene: CandySight, objects: Objects) -> Objects | None:
        return None if scene.held >= ENOUGH and scene.over_target else objects

    return believed


def in_front(rng: np.random.Generator) -> Mistake:
    """Holds the full scoop between the side camera and the target, which its candies cover."""

    def believed(world: World, scene: CandySight, objects: Objects) -> Objects | None:
        near = scene.lip[0] > 0.545 and scene.lip[1] > 0.07
        return None if near else shifted(objects, TARGET, (0.09, -0.02, -0.02))

    return believed


NEAR_FAILURES = (beside, empty, few, unpoured, in_front)


def play(task: TaskConfig, world: World, seed: int, kind: str, mistake: Mistake) -> Played:
    """Plays one episode as the cell does: his command reaches the robot on the next tick."""
    classifier = make_classifier(task)
    safety = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace)
    world.reset(seed)
    operator = make_expert(task, LIMITS, np.random.default_rng(0))
    operator.reset(seed)
    command, reason = IDLE, ""
    limit = task.max_steps if kind == SUCCESS else NEAR_FAILURE_STEPS
    for step in range(limit + 1):
        images, proprio = world.images(), world.proprio()
        seen = Observation(step, world.time, images, proprio, "")
        if step == 0:
            classifier.reset(seen)
        verdict = classifier(seen)
        reason = verdict.reason
        if verdict.success:
            return Played(kind, seed, True, world.success(), step, reason)
        objects = world.objects()
        scene = CandySight(OperatorView(proprio, objects, step, Mode.DEMONSTRATE))
        believed = mistake(world, scene, objects)
        upcoming = IDLE
        if believed is not None:
            view = OperatorView(proprio, believed, step, Mode.DEMONSTRATE)
            upcoming = operator.act(view)
        action = safety.filter(command.action(), proprio, task.period).action
        world.step(action * LIMITS.scale(), task.period)
        command = upcoming
    return Played(kind, seed, False, world.success(), limit, reason)


def report(played: list[Played], seconds: float) -> dict[str, object]:
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
        "task": "candy_scoop",
        "machine": machine(),
        "agreement": float(np.mean([episode.agrees for episode in played])),
        "kinds": kinds,
        "disagreements": [vars(episode) for episode in played if not episode.agrees],
        "wall_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=100, help="successes, and near-failures")
    parser.add_argument("--seed", type=int, default=10_000, help="of the first episode")
    options = parser.parse_args()
    task = load_task("candy_scoop")
    world = make_world(task, LIMITS)
    began, played = time.perf_counter(), []
    for i in range(options.episodes):
        failure = NEAR_FAILURES[i % len(NEAR_FAILURES)]
        for kind, make in ((SUCCESS, no_mistake), (failure.__name__, failure)):
            seed = options.seed + i
            mistake = make(np.random.default_rng(seed))
            played.append(play(task, world, seed, kind, mistake))
            print(played[-1], flush=True)
    world.close()
    result = report(played, time.perf_counter() - began)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"classifier_candy_scoop_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"agreement {result['agreement']:.1%} of {len(played)}; written to {path}")


if __name__ == "__main__":
    main()
