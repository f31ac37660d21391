# SPDX-License-Identifier: Apache-2.0
"""Pool Shot, nearly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks.experts import Expert, OperatorCommand, OperatorView
from expo_ft_ros.tasks.pool_shot.scene import BLACK
from expo_ft_ros.tasks.pool_shot.sight import PoolSight
from near_failures import Mistake, mistaking

STEPS = 70


def with_power(power: float) -> Mistake:
    """Strikes at another speed, of full scale."""

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        command, sight = expert.act(view), PoolSight(view)
        gap, _ = sight.off_line(sight.aim())
        forward = command.active and command.twist[:2] @ sight.aim() > 0.3 and gap < 0.04
        if not forward:
            return command
        twist = command.twist.copy()
        twist[:2] = power * sight.aim()
        return replace(command, twist=twist)

    return act


def too_soft(rng: np.random.Generator) -> Mistake:
    """The black ball stops before the pocket."""
    return with_power(rng.uniform(0.16, 0.30))


def too_hard(rng: np.random.Generator) -> Mistake:
    """The white ball goes on, often into a pocket."""
    return with_power(rng.uniform(0.85, 1.0))


def misjudged(rng: np.random.Generator) -> Mistake:
    """Takes the black ball to lie elsewhere on its line: it goes past the pocket."""
    return mistaking(BLACK, (0.0, float(rng.choice([-1, 1]) * rng.uniform(0.006, 0.016)), 0.0))


def past(rng: np.random.Generator) -> Mistake:
    """The white ball misses the black one."""
    return mistaking(BLACK, (0.0, float(rng.choice([-1, 1]) * rng.uniform(0.035, 0.05)), 0.0))


def at_the_black(rng: np.random.Generator) -> Mistake:
    """Goes around the white ball and strikes the black one itself."""
    side, power = float(rng.choice([-1, 1])), rng.uniform(0.5, 0.9)
    around, phase = 0.045 * side, 0

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal phase
        sight = PoolSight(view)
        black = sight.position(BLACK)
        goals = (
            np.array([sight.tip[0], around]),
            np.array([black[0] - 0.035, around]),
            black[:2] - np.array([0.034, 0.0]),
            black[:2] + np.array([0.03, 0.0]),
        )
        to_goal = goals[phase] - sight.tip[:2]
        if np.linalg.norm(to_goal) < 0.006 and phase < len(goals) - 1:
            phase += 1
        twist = np.zeros(6)
        last = phase == len(goals) - 1
        twist[:2] = [power, 0.0] if last else (8.0 * to_goal).clip(-0.4, 0.4)
        if last and sight.tip[0] > 0.535:
            twist[:2] = 0.0
        return OperatorCommand(twist, "close", True)

    return act


NEAR_FAILURES = (too_soft, too_hard, misjudged, past, at_the_black)
