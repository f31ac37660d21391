# SPDX-License-Identifier: Apache-2.0
"""Drives a World in tests as the control loop would: one tick late, inside the workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import Observation
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.experts import IDLE, Expert, Mode, OperatorView, make_expert
from expo_ft_ros.tasks.reward import Classifier

LIMITS = load_robot("sim").limits

Policy = Callable[[World, int], NDArray[np.float64]]
Done = Callable[[World], bool]
_NO_IMAGE = np.zeros((1, 1, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Outcome:
    """success: by ground truth at the end; steps, human: ticks, and those of the operator."""

    success: bool
    steps: int
    human: int


def observe(world: World, number: int = 0, images: bool = False) -> Observation:
    """Returns an observation, with or without images."""
    seen = world.images() if images else {"side": _NO_IMAGE, "wrist": _NO_IMAGE}
    return Observation(number, world.time, seen, world.proprio(), "")


def lifted(world: World) -> bool:
    """Cube Pick is done."""
    return world.success() and bool(world.proprio().position[2] > 0.12)


def seeded_expert(task: TaskConfig, seed: int, rate: float = 1.0) -> Expert:
    """The task's expert at the start of an episode."""
    operator = make_expert(task, LIMITS, np.random.default_rng(0), rate)
    operator.reset(seed)
    return operator


def expert_policy(
    task: TaskConfig, seed: int, name: str = "", shift: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> Policy:
    """A policy that does what the expert would, were the object of that name shifted [m]."""
    operator = seeded_expert(task, seed)

    def act(world: World, step: int) -> NDArray[np.float64]:
        objects = dict(world.objects())
        if name:
            position, quaternion = objects[name]
            objects[name] = (position + np.array(shift), quaternion)
        seen = OperatorView(world.proprio(), objects, step, Mode.DEMONSTRATE)
        return operator.act(seen).action().astype(np.float64)

    return act


def frozen(world: World, step: int) -> NDArray[np.float64]:
    """A policy that stands still."""
    return np.zeros(7)


def view(world: World, step: int, mode: Mode) -> OperatorView:
    """Returns what an operator sees now."""
    return OperatorView(world.proprio(), world.objects(), step, mode)


def inside(task: TaskConfig, world: World, action: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the SI action with what would leave the workspace cut off."""
    si = action * LIMITS.scale()
    ahead = world.proprio().position + si[:3] / task.control_hz
    low, high = np.array(task.workspace.low), np.array(task.workspace.high)
    leaves = ((ahead < low) & (si[:3] < 0)) | ((ahead > high) & (si[:3] > 0))
    si[:3] = np.where(leaves, 0.0, si[:3])
    return si


def episode(
    task: TaskConfig,
    world: World,
    operator: Expert,
    mode: Mode,
    policy: Policy | None = None,
    classifier: Classifier | None = None,
    done: Done = lifted,
    images: bool = False,
) -> Outcome:
    """Runs to success (by the classifier if there is one) or max_steps from the world as it is.

    images: whether the classifier sees any.
    """
    command, human = IDLE, 0
    if classifier is not None:
        classifier.reset(observe(world, images=images))
    for step in range(task.max_steps):
        upcoming = operator.act(view(world, step, mode))
        proposed = policy(world, step) if policy is not None else np.zeros(7)
        action = command.action() if command.active else proposed
        human += command.active
        world.step(inside(task, world, np.asarray(action, dtype=np.float64)))
        command = upcoming
        if classifier(observe(world, images=images)).success if classifier else done(world):
            return Outcome(world.success(), step + 1, human)
    return Outcome(False, task.max_steps, human)
