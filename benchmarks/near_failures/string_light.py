# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route I and II, nearly."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.tasks.experts import OperatorCommand, OperatorView
from expo_ft_ros.tasks.string_light.board import NAILS
from expo_ft_ros.tasks.string_light.hanging import BulbSight
from near_failures import Kind, Mistake, mistaking, right_until

STEPS = 115
_STILL = OperatorCommand(active=True)
_LET_GO = OperatorCommand(np.zeros(6), "open", True)
_THROW = OperatorCommand(np.array([0.0, 0.0, 0.3, 0.0, 0.0, 0.0]), "open", True)


def kinds(sight_of: type[BulbSight]) -> tuple[Kind, ...]:
    """Those of the bulb and the nail of a view."""

    def at(offset: tuple[float, float, float]) -> Mistake:
        return mistaking(sight_of.NAIL, offset)

    def beside(rng: np.random.Generator) -> Mistake:
        """Takes the bulb past the nail, on either side or under it, and lets go there."""
        y, z = ((1.0, 0.0), (-1.0, 0.0), (0.0, -1.0))[rng.integers(3)]
        far = rng.uniform(0.014, 0.035)
        return at((0.0, y * far, z * far))

    def over(rng: np.random.Generator) -> Mistake:
        """Lets go over the nail."""
        return at((0.0, 0.0, rng.uniform(0.028, 0.055)))

    def short(rng: np.random.Generator) -> Mistake:
        """Lets go before the eyelet is over the nail."""
        before = rng.uniform(0.003, 0.015)

        def near(view: OperatorView) -> bool:
            sight = sight_of(view)
            return sight.held and sight.entered > -before

        return right_until(near, _LET_GO)

    def kept(rng: np.random.Generator) -> Mistake:
        """Hangs it and doesn't let go."""

        def hangs(view: OperatorView) -> bool:
            sight = sight_of(view)
            return sight.inside and sight.lowered

        return right_until(hangs, _STILL)

    def thrown(rng: np.random.Generator) -> Mistake:
        """Lets go on the way, going up: for a moment the bulb is high and the gripper open."""
        before = rng.uniform(0.04, 0.07)

        def on_the_way(view: OperatorView) -> bool:
            sight = sight_of(view)
            return sight.held and sight.aside < 0.02 and sight.entered > -before

        return right_until(on_the_way, _THROW)

    def between(rng: np.random.Generator) -> Mistake:
        """Takes it between the nails, at their height, and lets go there."""
        sides = {NAILS[0]: -0.07, NAILS[1]: 0.07}
        return at((0.0, sides[sight_of.NAIL], 0.0))

    return beside, over, short, kept, thrown, between
