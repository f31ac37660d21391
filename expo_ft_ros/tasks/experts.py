"""Scripted operators by name. A new task adds its file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks.candy_scoop.expert import CandyScoopOperator
from expo_ft_ros.tasks.cube_pick.expert import CubePickOperator
from expo_ft_ros.tasks.expert import (
    IDLE,
    Mode,
    Operator,
    OperatorCommand,
    OperatorView,
    RandomIntervention,
)

if TYPE_CHECKING:
    from expo_ft_ros.tasks import TaskConfig

__all__ = [
    "IDLE",
    "OPERATORS",
    "Mode",
    "Operator",
    "OperatorCommand",
    "OperatorView",
    "make_operator",
]

OPERATORS: dict[str, Callable[[TaskConfig, RobotLimits, np.random.Generator, float], Operator]] = {
    "candy_scoop": CandyScoopOperator,
    "cube_pick": CubePickOperator,
}


def make_operator(
    task: TaskConfig,
    limits: RobotLimits,
    rng: np.random.Generator,
    rate: float = 1.0,
    share: float = 1.0,
) -> Operator:
    """Returns the operator of a task.

    limits: what an action of 1 means; rate: how readily he steps in while he corrects, 0 to 1;
    share: of the episodes in which he corrects at all. Raises ValueError with the known
    names for an unknown one.
    """
    if task.operator not in OPERATORS:
        raise ValueError(
            f"unknown operator {task.operator!r}; known: {', '.join(sorted(OPERATORS))}"
        )
    return RandomIntervention(OPERATORS[task.operator](task, limits, rng, rate), rng, share)
