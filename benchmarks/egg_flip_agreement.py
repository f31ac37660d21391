# SPDX-License-Identifier: Apache-2.0
"""How often egg_flip's classifier agrees with the simulation's ground truth.

    ./expo-ft python benchmarks/egg_flip_agreement.py --episodes 100

Plays so many successes, and as many near-failures of seven kinds in turn, and writes what both said
to benchmarks/results/classifier_egg_flip_<date>.json. An episode agrees where the classifier says
success while it is true, or never says so and it isn't true at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.data.rotation import compose, rotation_of
from expo_ft_ros.data.types import Observation
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.egg_flip.scene import (
    BLADE,
    EGG,
    PAN_AT,
    PAN_RADIUS,
    RADIUS,
    THICKNESS,
    WALL_SLOPE,
)
from expo_ft_ros.tasks.egg_flip.sight import EggSight
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.experts import IDLE, Mode, OperatorView, make_expert
from expo_ft_ros.tasks.scenes import make_world

LIMITS = load_robot("sim").limits
RESULTS = Path(__file__).parent / "results"
NEAR_FAILURE_STEPS = 100  # time for all that goes wrong [ticks]
_RAISED = 0.205  # the tool's height at which the blade is [m]
SUCCESS = "success"

Mistake = Callable[[World, EggSight], bool]
"""Meddles with the world after a look at it; False: the spatula is held still."""


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


def pose(world: World) -> tuple[Vector, Vector]:
    """The egg's place (3,) and quaternion (4,) x, y, z, w."""
    body = world.data.body(EGG)
    return body.xpos.copy(), np.roll(body.xquat, -1)


def put(world: World, place: Vector, quaternion: Vector) -> None:
    """Puts the egg there, at rest."""
    joint = world.model.joint(EGG)
    start, speed = joint.qposadr[0], joint.dofadr[0]
    world.data.qpos[start : start + 7] = [*place, *np.roll(quaternion, 1)]
    world.data.qvel[speed : speed + 6] = 0.0
    mujoco.mj_forward(world.model, world.data)


def over(quaternion: Vector) -> Vector:
    """(4,) the other side up."""
    return compose(quaternion, rotation_of(np.array([np.pi, 0.0, 0.0])))


def _hang(world: World, hangs: bool) -> None:
    """Whether the egg stays in the air where it is."""
    world.model.body_gravcomp[world.model.body(EGG).id] = float(hangs)


def no_mistake(rng: np.random.Generator) -> Mistake:
    return lambda world, sight: True


def turned_back(rng: np.random.Generator) -> Mistake:
    """Lets the egg fall back each time that it has been lifted."""
    start: list[Vector] = []

    def meddle(world: World, sight: EggSight) -> bool:
        place, _ = pose(world)
        start.append(_level(world) if not start else start[0])
        if sight.up < -0.2:
            put(world, np.array([*place[:2] * 0.7 + PAN_AT[:2] * 0.3, THICKNESS / 2]), start[0])
        return True

    return meddle


def out(rng: np.random.Generator) -> Mistake:
    """Throws the egg out of the pan as it turns over; it lies on the stove, flipped."""
    angle = rng.uniform(-np.pi, np.pi)
    away = PAN_RADIUS + RADIUS + rng.uniform(0.02, 0.05)

    def meddle(world: World, sight: EggSight) -> bool:
        if sight.in_pan and sight.up < -0.2:
            beside = away * np.array([np.cos(angle), np.sin(angle), 0.0])
            place = PAN_AT + beside + [0.0, 0.0, THICKNESS / 2]
            put(world, place, _level(world))
        return True

    return meddle


def _level(world: World) -> Vector:
    """(4,) the egg's orientation, made level."""
    matrix = world.data.body(EGG).xmat.reshape(3, 3)
    turned = rotation_of(np.array([np.pi * (matrix[2, 2] < 0), 0.0, 0.0]))
    return turned


def leaning(rng: np.random.Generator) -> Mistake:
    """The egg sticks to the wall that it was turned over at."""
    angle = rng.uniform(-np.pi, np.pi)
    stuck: list[tuple[Vector, Vector]] = []

    def meddle(world: World, sight: EggSight) -> bool:
        if not stuck and sight.up < -0.2:
            yolk_out = world.data.body(EGG).xmat[8] < 0
            out = np.array([np.cos(angle), np.sin(angle), 0.0])
            across = np.array([np.sin(angle), -np.cos(angle), 0.0])
            tilt = rotation_of(across * (np.pi / 2 - WALL_SLOPE))
            place = PAN_AT + out * (PAN_RADIUS + 0.008) + [0.0, 0.0, 0.042]
            turned = rotation_of(np.array([np.pi * yolk_out, 0.0, 0.0]))
            stuck.append((place, compose(tilt, turned)))
        if stuck:
            put(world, *stuck[0])
        _hang(world, bool(stuck))
        return True

    return meddle


def beside(rng: np.random.Generator) -> Mistake:
    """Goes through all of it while the egg stays where it is."""
    start: list[tuple[Vector, Vector]] = []

    def meddle(world: World, sight: EggSight) -> bool:
        start.append(pose(world))
        put(world, *start[0])
        return True

    return meddle


def held(rng: np.random.Generator) -> Mistake:
    """Holds the flipped egg on the blade above the pan."""
    holds: list[Vector] = []

    def meddle(world: World, sight: EggSight) -> bool:
        if sight.flipped and sight.tool[2] > _RAISED and not holds:
            holds.append(_level(world))
        if holds:
            put(world, sight.tip + PAN_AT + [0.0, 0.0, 0.04], holds[0])
        _hang(world, bool(holds))
        return not holds

    return meddle


def hidden(rng: np.random.Generator) -> Mistake:
    """Stops with the raised blade between the camera and the egg, which was never turned."""
    holds: list[Vector] = []
    aside = rng.normal(0.0, 0.02, 2)

    def meddle(world: World, sight: EggSight) -> bool:
        place, _ = pose(world)
        if sight.step > 30 and sight.tool[2] > _RAISED and not holds:
            eye, blade = world.camera_mount("side").position, world.data.body(BLADE).xpos
            middle = blade + (sight.tip + PAN_AT - blade) / 2
            behind = (eye + (middle - eye) * eye[2] / (eye[2] - middle[2]) - PAN_AT)[:2] + aside
            behind *= min(1.0, (PAN_RADIUS - RADIUS) / float(np.hypot(*behind)))
            holds.append(np.array([*(PAN_AT[:2] + behind), THICKNESS / 2]))
            put(world, holds[0], _level(world))
        elif sight.up < 0.9:
            put(world, np.array([*place[:2], THICKNESS / 2]), _level(world))
        return not holds

    return meddle


def twice(rng: np.random.Generator) -> Mistake:
    """Turns the egg over and, before the blade is up, back."""
    turned: list[int] = []

    def meddle(world: World, sight: EggSight) -> bool:
        if sight.flipped and sight.lies:
            place, quaternion = pose(world)
            put(world, place, over(quaternion))
            turned.append(sight.step)
        return True

    return meddle


NEAR_FAILURES = (turned_back, out, leaning, beside, held, hidden, twice)


def play(task: TaskConfig, world: World, seed: int, kind: str, mistake: Mistake) -> Played:
    """Plays one episode as the cell does: the operator's command reaches the robot a tick late."""
    classifier = make_classifier(task)
    safety = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace)
    world.reset(seed)
    _hang(world, False)
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
        view = OperatorView(proprio, world.objects(), step, Mode.DEMONSTRATE)
        upcoming = operator.act(view) if mistake(world, EggSight(view)) else IDLE
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
        "task": "egg_flip",
        "machine": machine(),
        "agreement": float(np.mean([episode.agrees for episode in played])),
        "kinds": kinds,
        "disagreements": [vars(episode) for episode in played if not episode.agrees],
        "wall_seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=100, help="successes, and near-failures")
    parser.add_argument("--seed", type=int, default=10_000, help="of the first episode")
    options = parser.parse_args()
    task = load_task("egg_flip")
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
    path = RESULTS / f"classifier_egg_flip_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"agreement {result['agreement']:.1%} of {len(played)}; written to {path}")


if __name__ == "__main__":
    main()
