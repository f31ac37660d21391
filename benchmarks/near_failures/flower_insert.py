# SPDX-License-Identifier: Apache-2.0
"""Flower Insert, nearly."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks.experts import IDLE, Expert, OperatorCommand, OperatorView
from expo_ft_ros.tasks.flower_insert.scene import BOTTLE, DEPTH, MOUTH_HEIGHT, STEM_LENGTH
from expo_ft_ros.tasks.flower_insert.sight import FlowerSight
from near_failures import Mistake, believing, mistaking, shifted
from near_failures import beside as offset_beside

STEPS = 70
_LOWEST = MOUTH_HEIGHT + STEM_LENGTH - DEPTH - 0.006  # of the tool, as deep as it goes [m]


def beside(rng: np.random.Generator) -> Mistake:
    """Pushes the stem down beside the neck, as deep as it would be inside, and then to the neck."""
    offset, down = offset_beside(rng, 0.019, 0.035), False

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal down
        sight = FlowerSight(view)
        down = down or sight.depth > 0.004
        if not down:
            return believing(view, shifted(view.objects, BOTTLE, offset), expert)
        twist = np.zeros(6)
        twist[:2] = (4.0 * (sight.mouth - sight.tool)[:2]).clip(-0.2, 0.2)
        twist[2] = np.clip(10.0 * (_LOWEST - sight.tool[2]), -0.3, 0.0)
        return OperatorCommand(twist, "close", True)

    return act


def far_beside(rng: np.random.Generator) -> Mistake:
    """Goes down well beside the bottle."""
    return mistaking(BOTTLE, offset_beside(rng, 0.045, 0.08))


def shallow(rng: np.random.Generator) -> Mistake:
    """Stops before the flower is in all the way."""
    enough = DEPTH - rng.uniform(0.008, 0.04)

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        sight = FlowerSight(view)
        return IDLE if sight.secured and sight.depth > enough else expert.act(view)

    return act


def on_the_rim(rng: np.random.Generator) -> Mistake:
    """Pushes the stem's end onto the rim, and on."""
    offset, down = offset_beside(rng, 0.0085, 0.0125), False

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal down
        sight = FlowerSight(view)
        command = believing(view, shifted(view.objects, BOTTLE, offset), expert)
        down = down or (command.twist[2] < -0.2 and abs(sight.depth) < 0.006)
        if not down:
            return command
        twist = np.zeros(6)
        twist[2] = np.clip(10.0 * (_LOWEST - sight.tool[2]), -0.3, 0.0)
        return OperatorCommand(twist, "close", True)

    return act


def above(rng: np.random.Generator) -> Mistake:
    """Holds the stem over the mouth."""
    return mistaking(BOTTLE, (0.0, 0.0, 0.08 + rng.uniform(0.0, 0.03)))


NEAR_FAILURES = (beside, far_beside, shallow, on_the_rim, above)
