# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Insert, nearly."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.tasks.experts import OperatorCommand, OperatorView
from expo_ft_ros.tasks.string_light_insert.expert import PlugSight
from expo_ft_ros.tasks.string_light_insert.scene import SOCKET
from near_failures import Mistake, mistaking, right_until

STEPS = 115
_STILL = OperatorCommand(active=True)
_LET_GO = OperatorCommand(np.zeros(6), "open", True)


def _at(offset: tuple[float, float, float]) -> Mistake:
    return mistaking(SOCKET, offset)


def beside(rng: np.random.Generator) -> Mistake:
    """Pushes the plug against the socket's face, or past it."""
    return _at((0.0, float(rng.choice([-1, 1]) * rng.uniform(0.010, 0.035)), 0.0))


def over(rng: np.random.Generator) -> Mistake:
    """Pushes it against the face over the hole, or over the socket."""
    return _at((0.0, 0.0, rng.uniform(0.010, 0.045)))


def short(rng: np.random.Generator) -> Mistake:
    """Stops in the hole, before the contact or while the prong presses it."""
    depth = rng.uniform(0.008, 0.0185)

    def inside(view: OperatorView) -> bool:
        sight = PlugSight(view)
        return sight.inside and sight.entered > depth

    return right_until(inside, _STILL)


def dropped(rng: np.random.Generator) -> Mistake:
    """Lets go before the socket."""
    before = rng.uniform(0.010, 0.05)

    def near(view: OperatorView) -> bool:
        sight = PlugSight(view)
        return sight.held and sight.entered > -before

    return right_until(near, _LET_GO)


def at_the_bulbs(rng: np.random.Generator) -> Mistake:
    """Holds plug and hand over the bulbs."""
    return _at((rng.uniform(-0.08, -0.02), -0.20, rng.uniform(0.03, 0.07)))


NEAR_FAILURES = (beside, over, short, dropped, at_the_bulbs)
