# SPDX-License-Identifier: Apache-2.0
"""Every task file is valid, and a bad one is refused with its place."""

from __future__ import annotations

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.tasks import TaskConfig, known_tasks, load_task


@pytest.mark.parametrize("name", known_tasks())
def test_every_shipped_task_loads(name):
    task = load_task(name)
    assert task.name == name
    assert task.period == pytest.approx(1 / task.control_hz)


def test_every_field_is_described():
    for name, field in TaskConfig.model_fields.items():
        assert field.description, name


def test_cube_pick_is_the_paper_s():
    task = load_task("cube_pick")
    assert (task.edit_scale, task.execute_steps, task.updates_per_episode) == (0.2, 8, 3)
    assert (task.env_steps, task.demonstrations, task.eval_trials) == (8000, 10, 30)
    assert task.instruction == "pick up the cube"
    assert task.control_hz == 10
    assert task.code("reward") == "cube_pick"


def test_candy_scoop_is_the_paper_s():
    task = load_task("candy_scoop")
    assert (task.edit_scale, task.execute_steps, task.updates_per_episode) == (0.2, 8, 6)
    assert (task.env_steps, task.demonstrations, task.eval_trials) == (12000, 20, 30)
    assert task.control_hz == 10


@pytest.mark.parametrize(
    ("name", "demonstrations", "execute_steps", "updates", "env_steps"),
    [("flower_insert", 25, 4, 1, 8000), ("pool_shot", 30, 8, 1, 10000)],
)
def test_precise_tasks_are_the_paper_s(name, demonstrations, execute_steps, updates, env_steps):
    task = load_task(name)
    assert (task.edit_scale, task.gripper_is_free, task.eval_trials) == (0.05, False, 30)
    assert (task.demonstrations, task.execute_steps) == (demonstrations, execute_steps)
    assert (task.updates_per_episode, task.env_steps) == (updates, env_steps)


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no task 'cube_pik' \(did you mean cube_pick\?.*known:"):
        load_task("cube_pik")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("edit_scale", "1.5", "less than or equal to 1"),
        ("execute_steps", "0", "greater than or equal to 1"),
        ("workspace.low", "[0.9, 0, 0]", "must be less than high"),
        ("limits.linear_velocity", "0.1", "no such field"),
        ("name", "Cube Pick", "string should match"),
        ("name", "other", "not the file's name"),
        ("colour", "red", "no such field"),
    ],
)
def test_a_value_out_of_range_is_refused(field, value, says):
    with pytest.raises(ConfigError, match=says):
        load_task("cube_pick", {field: value})
