# SPDX-License-Identifier: Apache-2.0
"""An operator drives a task's whole episode, as in the cell, but for the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.experts import IDLE, Mode, OperatorCommand, OperatorView

LIMITS = load_robot("sim").limits


def drive(
    task: TaskConfig, world: World, operator: Callable[[OperatorView], OperatorCommand], steps: int
) -> Iterator[OperatorView]:
    """Yields what is seen before each of so many steps, and then takes it.

    What the operator does on seeing it reaches the robot on the next step, through the safety
    filter.
    """
    safety, command = SafetyFilter(SafetyConfig.load(), LIMITS, task.workspace), IDLE
    for step in range(steps):
        view = OperatorView(world.proprio(), world.objects(), step, Mode.DEMONSTRATE)
        yield view
        upcoming = operator(view)
        action = safety.filter(command.action(), view.proprio, task.period).action
        world.step(action * LIMITS.scale(), task.period)
        command = upcoming
