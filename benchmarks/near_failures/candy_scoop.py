# SPDX-License-Identifier: Apache-2.0
"""Candy Scoop, nearly."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.sim.world import World
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
from expo_ft_ros.tasks.experts import IDLE, Expert, OperatorCommand, OperatorView
from near_failures import Mistake, Objects, believing, mistaking, shifted

STEPS = 115


def all_scooped(objects: Objects, scene: CandySight) -> Objects:
    """Every candy where the bowl is."""
    bowl = scene.tool + scene.axes @ np.array([0.0, 0.04, -0.07])
    return {k: (bowl, v[1]) if k.startswith(CANDY) else v for k, v in objects.items()}


def beside(rng: np.random.Generator) -> Mistake:
    """Pours on the table, on one of three sides of the target."""
    sides = ((0.0, -0.10, 0.0), (0.11, 0.0, 0.0), (-0.11, 0.0, 0.0))
    offset = sides[rng.integers(len(sides))]
    return mistaking(TARGET, offset)


def empty(rng: np.random.Generator) -> Mistake:
    """Digs above the candies, then goes through all the rest with nothing in the scoop."""

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        scooped = all_scooped(view.objects, CandySight(view))
        return believing(view, shifted(scooped, BIN, (0.0, 0.0, 0.07)), expert)

    return act


def few(rng: np.random.Generator) -> Mistake:
    """Loses all but one to three candies back into the bin on the way."""
    keep, lost = int(rng.integers(1, 4)), False

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal lost
        scene = CandySight(view)
        if scene.raised and scene.held >= ENOUGH and scene.lip[1] > 0.03 and not lost:
            lost = True
            names = [f"{CANDY}_{i}" for i in range(CANDIES)]
            places = np.array([view.objects[name][0] for name in names])
            held = in_bowl(places, scene.tool, scene.axes)
            for i in np.flatnonzero(held)[keep:]:
                across = rng.uniform(-0.7, 0.7, 2) * BIN_HALF
                place = BIN_AT + np.array([*across, 0.05 + 0.024 * (i % 5)])
                world.place(names[i], place, view.objects[names[i]][1])
        return believing(view, all_scooped(view.objects, scene) if lost else view.objects, expert)

    return act


def unpoured(rng: np.random.Generator) -> Mistake:
    """Holds the full scoop over the target and never pours."""

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        scene = CandySight(view)
        return IDLE if scene.held >= ENOUGH and scene.over_target else expert.act(view)

    return act


def in_front(rng: np.random.Generator) -> Mistake:
    """Holds the full scoop between the side camera and the target, which its candies cover."""

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        scene = CandySight(view)
        if scene.lip[0] > 0.545 and scene.lip[1] > 0.07:
            return IDLE
        return believing(view, shifted(view.objects, TARGET, (0.09, -0.02, -0.02)), expert)

    return act


NEAR_FAILURES = (beside, empty, few, unpoured, in_front)
