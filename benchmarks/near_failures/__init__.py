# SPDX-License-Identifier: Apache-2.0
"""How an operator nearly does each task: a file a task, found by its name.

A file has NEAR_FAILURES, functions that make one mistake of a kind from a random generator, and
STEPS, ticks within which all that can go wrong has. A mistake may also meddle with the things
themselves (World.place, world.data): the next reset sets them anew, but not the model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from expo_ft_ros.sim.scene import ObjectPose
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks.experts import Expert, OperatorCommand, OperatorView

Objects = Mapping[str, ObjectPose]
Mistake = Callable[[World, OperatorView, Expert], OperatorCommand]
"""What the operator does on seeing a view, given the expert that would do it right."""
Kind = Callable[[np.random.Generator], Mistake]


@dataclass(frozen=True)
class NearFailures:
    """Those of a task. steps: that each is played for, at most."""

    kinds: tuple[Kind, ...]
    steps: int


def near_failures(task: str) -> NearFailures:
    """Those of a task, from its file; raises SystemExit where there is none."""
    try:
        found = importlib.import_module(f"{__name__}.{task}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{task}":
            raise
        raise SystemExit(f"no near-failures of {task} (write {__path__[0]}/{task}.py)") from None
    return NearFailures(found.NEAR_FAILURES, found.STEPS)


def shifted(objects: Objects, name: str, offset: tuple[float, float, float]) -> Objects:
    """The objects, with the one of that name somewhere else."""
    position, quaternion = objects[name]
    return {**objects, name: (position + np.array(offset), quaternion)}


def believing(view: OperatorView, objects: Objects, expert: Expert) -> OperatorCommand:
    """What the expert does if these are the objects that it sees."""
    return expert.act(replace(view, objects=objects))


def mistaking(name: str, offset: tuple[float, float, float]) -> Mistake:
    """Takes the object of that name to be somewhere else."""
    return lambda world, view, expert: believing(view, shifted(view.objects, name, offset), expert)


def right(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
    """No mistake."""
    return expert.act(view)


def right_until(happens: Callable[[OperatorView], bool], command: OperatorCommand) -> Mistake:
    """No mistake until something happens; from then on one command."""
    has_happened = False

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal has_happened
        has_happened = has_happened or happens(view)
        return command if has_happened else expert.act(view)

    return act


def beside(rng: np.random.Generator, least: float, most: float) -> tuple[float, float, float]:
    """An offset in any level direction, of a length between the two [m]."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(least, most)
    return float(length * np.cos(angle)), float(length * np.sin(angle)), 0.0
