# SPDX-License-Identifier: Apache-2.0
"""How often the classifiers of the string-light tasks agree with the simulation's ground truth.

    ./expo-ft python benchmarks/string_light_agreement.py string_light_insert --episodes 100

Plays so many successes, and as many near-failures of the task's kinds in turn, and writes what both
said to benchmarks/results/classifier_<task>_<date>.json. An episode agrees where the classifier
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
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import IDLE, Mode, OperatorCommand, OperatorView, make_expert
from expo_ft_ros.tasks.registry import load_part
from expo_ft_ros.tasks.scenes import make_world
from expo_ft_ros.tasks.string_light.placing import PlacingSight

LIMITS = load_robot("sim").limits
RESULTS = Path(__file__).parent / "results"
NEAR_FAILURE_STEPS = 130  # time for all that goes wrong [ticks]
SUCCESS = "success"
STILL = OperatorCommand(active=True)

Objects = dict[str, ObjectPose]


@dataclass(frozen=True)
class Mistake:
    """What goes wrong. believes: of the objects that there are, by what is seen; does: instead of
    the expert's command, None: that one."""

    believes: Callable[[PlacingSight, Objects], Objects] = lambda sight, objects: objects
    does: Callable[[PlacingSight], OperatorCommand | None] = lambda sight: None


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


def shifted(name: str, offset: np.ndarray) -> Mistake:
    """Takes the part beside its place."""

    def believes(sight: PlacingSight, objects: Objects) -> Objects:
        position, quaternion = objects[name]
        return {**objects, name: (position + offset, quaternion)}

    return Mistake(believes)


def once(
    when: Callable[[PlacingSight], bool],
    command: OperatorCommand,
    after: OperatorCommand | None = None,
) -> Mistake:
    """From that moment on does that, for ten ticks, then something else."""
    ticks = 0

    def does(sight: PlacingSight) -> OperatorCommand | None:
        nonlocal ticks
        if ticks or when(sight):
            ticks += 1
            return command if ticks <= 10 or after is None else after
        return None

    return Mistake(does=does)


def lets_go(linear: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> OperatorCommand:
    """Opens the gripper."""
    return OperatorCommand(np.array([*linear, 0.0, 0.0, 0.0]), "open", True)


def no_mistake(rng: np.random.Generator) -> Mistake:
    return Mistake()


def plug_beside(rng: np.random.Generator) -> Mistake:
    """Pushes the plug against the socket's face, or past it."""
    side, far = rng.choice([-1.0, 1.0]), rng.uniform(0.010, 0.035)
    return shifted("socket", np.array([0.0, side * far, 0.0]))


def plug_above(rng: np.random.Generator) -> Mistake:
    """Pushes it against the face over the hole, or over the socket."""
    return shifted("socket", np.array([0.0, 0.0, rng.uniform(0.010, 0.045)]))


def plug_short(rng: np.random.Generator) -> Mistake:
    """Stops in the hole, before or while the prong presses the contact."""
    depth = rng.uniform(0.008, 0.0185)
    return once(lambda sight: sight.inside and sight.entered > depth, STILL)


def plug_dropped(rng: np.random.Generator) -> Mistake:
    """Lets go before the socket."""
    near = rng.uniform(0.010, 0.05)
    return once(lambda sight: sight.held and sight.entered > -near, lets_go(), STILL)


def plug_at_bulbs(rng: np.random.Generator) -> Mistake:
    """Holds plug and hand over the bulbs."""
    offset = np.array([rng.uniform(-0.08, -0.02), -0.20, rng.uniform(0.03, 0.07)])
    return shifted("socket", offset)


INSERT = (plug_beside, plug_above, plug_short, plug_dropped, plug_at_bulbs)
NEAR_FAILURES: Mapping[str, tuple[Callable[[np.random.Generator], Mistake], ...]] = {
    "string_light_insert": INSERT,
}


def play(task: TaskConfig, world: World, seed: int, kind: str, mistake: Mistake) -> Played:
    """Plays one episode as the cell does: a command reaches the robot on the next tick."""
    classifier = make_classifier(task)
    safety = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace)
    look = load_part(task, "expert", "Expert").SIGHT
    world.reset(seed)
    operator = make_expert(task, LIMITS, np.random.default_rng(0))
    operator.reset(seed)
    command, reason = IDLE, ""
    limit = task.max_steps if kind == SUCCESS else min(NEAR_FAILURE_STEPS, task.max_steps)
    for step in range(limit + 1):
        proprio = world.proprio()
        seen = Observation(step, world.time, world.images(), proprio, "")
        if step == 0:
            classifier.reset(seen)
        verdict = classifier(seen)
        reason = verdict.reason
        if verdict.success:
            return Played(kind, seed, True, world.success(), step, reason)
        objects = world.objects()
        sight = look(OperatorView(proprio, objects, step, Mode.DEMONSTRATE))
        believed = mistake.believes(sight, objects)
        upcoming = operator.act(OperatorView(proprio, believed, step, Mode.DEMONSTRATE))
        upcoming = mistake.does(sight) or upcoming
        action = safety.filter(command.action(), proprio, task.period).action
        world.step(action * LIMITS.scale(), task.period)
        command = upcoming
    return Played(kind, seed, False, world.success(), limit, reason)


def report(task: TaskConfig, played: list[Played], seconds: float) -> dict[str, object]:
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
    untrue = [episode for episode in played if not episode.true]
    return {
        "task": task.name,
        "machine": machine(),
        "agreement": float(np.mean([episode.agrees for episode in played])),
        "false_successes": float(np.mean([episode.seen for episode in untrue])) if untrue else 0.0,
        "kinds": kinds,
        "disagreements": [vars(episode) for episode in played if not episode.agrees],
        "wall_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=sorted(NEAR_FAILURES))
    parser.add_argument("--episodes", type=int, default=100, help="successes, and near-failures")
    parser.add_argument("--seed", type=int, default=10_000, help="of the first episode")
    options = parser.parse_args()
    task, failures = load_task(options.task), NEAR_FAILURES[options.task]
    world = make_world(task, LIMITS)
    began, played = time.perf_counter(), []
    for i in range(options.episodes):
        failure = failures[i % len(failures)]
        for kind, make in ((SUCCESS, no_mistake), (failure.__name__, failure)):
            seed = options.seed + i
            mistake = make(np.random.default_rng(seed))
            played.append(play(task, world, seed, kind, mistake))
            print(played[-1], flush=True)
    world.close()
    result = report(task, played, time.perf_counter() - began)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"classifier_{task.name}_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"agreement {result['agreement']:.1%} of {len(played)}, false successes "
        f"{result['false_successes']:.1%}; written to {path}"
    )


if __name__ == "__main__":
    main()
