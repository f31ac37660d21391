# SPDX-License-Identifier: Apache-2.0
"""Cube Pick, nearly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks.cube_pick.expert import CubeSight
from expo_ft_ros.tasks.experts import Expert, OperatorCommand, OperatorView
from near_failures import Mistake, believing, right_until, shifted
from near_failures import beside as offset_beside

STEPS = 80
_UP, _DOWN = np.array([0.0, 0.0, 0.5, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, -0.3, 0.0, 0.0, 0.0])


def beside(rng: np.random.Generator) -> Mistake:
    """Closes beside the cube and goes up with nothing."""
    offset, closed = offset_beside(rng, 0.07, 0.10), 0

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal closed
        command = believing(view, shifted(view.objects, "cube", offset), expert)
        closed += command.gripper == "close"
        return OperatorCommand(_UP, "close", True) if closed > 8 else command

    return act


def low(rng: np.random.Generator) -> Mistake:
    """Has the cube, and doesn't lift it far enough."""
    enough = rng.uniform(0.03, 0.05)

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        command, sight = expert.act(view), CubeSight(view)
        lifted = sight.held and sight.cube[2] > enough
        return replace(command, twist=np.zeros(6)) if lifted else command

    return act


def dropped(rng: np.random.Generator) -> Mistake:
    """Lifts the cube, opens the gripper, and goes on up."""
    at = rng.uniform(0.03, 0.05)

    def lifted(view: OperatorView) -> bool:
        sight = CubeSight(view)
        return sight.held and bool(sight.cube[2] > at)

    return right_until(lifted, OperatorCommand(_UP, "open", True))


def in_the_air(rng: np.random.Generator) -> Mistake:
    """Closes halfway in the air above the cube, and stays there."""
    width = rng.uniform(0.033, 0.042)

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        closing = view.proprio.gripper_width > width
        return OperatorCommand(np.zeros(6), "close" if closing else None, True)

    return act


def knocked(rng: np.random.Generator) -> Mistake:
    """Goes down on the cube with closed fingers, and up again."""

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        sight = CubeSight(view)
        if view.step < 40:
            to_cube = (4.0 * (sight.cube - sight.tool)[:2]).clip(-0.6, 0.6)
            down = _DOWN if sight.misplaced() < 0.015 else np.zeros(6)
            return OperatorCommand(np.r_[to_cube, down[2], 0, 0, 0], "close", True)
        return OperatorCommand(_UP, "close", True)

    return act


NEAR_FAILURES = (beside, low, dropped, in_the_air, knocked)
