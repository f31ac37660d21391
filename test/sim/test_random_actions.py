# SPDX-License-Identifier: Apache-2.0
"""Every task's scene stands random actions, and steps faster than the arm would need it to."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import known_tasks, load_task
from expo_ft_ros.tasks.scenes import make_world
from support.driving import inside

LIMITS = load_robot("sim").limits
TABLE_LOW, TABLE_HIGH = np.array([-0.2, -0.7]), np.array([1.1, 0.7])
EPISODES, STEPS = 4, 60


@pytest.mark.slow
@pytest.mark.parametrize("name", known_tasks())
def test_random_actions_leave_every_thing_finite_and_on_the_table(name: str) -> None:
    """benchmarks/random_episodes.py plays a thousand."""
    task = load_task(name)
    world = make_world(task, LIMITS)
    for seed in range(EPISODES):
        world.reset(seed)
        assert not world.success()
        rng = np.random.default_rng(seed)
        for step in range(STEPS):
            if step % 6 == 0:
                action = rng.uniform(-1.2, 1.2, 7).clip(-1.0, 1.0)
            world.step(inside(task, world, action))
            assert np.isfinite(world.data.qpos).all()
            assert np.isfinite(world.data.qvel).all()
            for thing, (position, _) in world.objects().items():
                over = np.all((position[:2] > TABLE_LOW) & (position[:2] < TABLE_HIGH))
                assert not over or position[2] > -0.004, thing
