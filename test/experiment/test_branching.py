# SPDX-License-Identifier: Apache-2.0
"""A cell that is restored goes on bit for bit, and plays as the rollout does; with real MuJoCo."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import Candidates, FloatArray, Observation
from expo_ft_ros.experiment.branching import BranchCell
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task
from support.choices import only

ROBOT = load_robot(DEFAULT_ROBOT)


def plan(task: str, steps: int, episode: int = 1) -> Plan:
    return Plan("eval_after", episode, 600_003, steps, "mode", "none", False)


def chunks(seed: int) -> list[FloatArray]:
    """Far from each other, so that filter and gripper are at work."""
    rng = np.random.default_rng(seed)
    return list(rng.uniform(-1, 1, (20, 16, 7)).astype(np.float32))


def played(cell: BranchCell, given: list[FloatArray]) -> list[np.ndarray]:
    """All that is seen and done up to the episode's end."""
    seen = []
    for chunk in given:
        if cell.over:
            break
        shown = cell.observation()
        seen += [shown.views["side"], shown.views["wrist"], shown.proprio.vector()]
        seen += [shown.proprio.linear, shown.proprio.joints, np.array([shown.number, shown.time])]
        seen += [step.executed for step in cell.execute(chunk)]
    return [*seen, np.array([cell.steps, cell.success, cell.truth])]


@pytest.mark.parametrize("name", ["cube_pick", "candy_scoop"])
def test_a_restored_cell_goes_on_bit_for_bit(name):
    """Also another cell, and after another future was tried."""
    task = load_task(name)
    cell, other = BranchCell(task, ROBOT), BranchCell(task, ROBOT)
    cell.begin(plan(name, 30))
    other.begin(plan(name, 30))
    given = chunks(1)
    for chunk in given[:2]:
        cell.execute(chunk)
    state = cell.state()
    first = played(cell, given[2:])
    cell.restore(state)
    played(cell, chunks(2))
    cell.restore(state)
    again = played(cell, given[2:])
    other.restore(state)
    elsewhere = played(other, given[2:])
    assert first[-1][0] == 30
    for a, b, c in zip(first, again, elsewhere, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    cell.close()
    other.close()


def test_another_chunk_has_another_outcome():
    task = load_task("cube_pick")
    cell = BranchCell(task, ROBOT)
    cell.begin(plan("cube_pick", 16))
    state = cell.state()
    ends = []
    for gripper in (1.0, -1.0):
        cell.restore(state)
        cell.execute(np.tile(np.float32([0, 0, 0, 0, 0, 0, gripper]), (8, 1)))
        ends.append(cell.observation().proprio.gripper_width)
    assert ends[0] > 0.07
    assert ends[1] < 0.01
    cell.close()


def test_it_plays_as_the_rollout_does():
    task = load_task("cube_pick")
    cell = BranchCell(task, ROBOT)
    rollout = InProcessRollout(task, image_size=32, seed=0, rate=1.0, share=1.0)
    given = iter(chunks(3))
    shown = []

    def policy(observation: Observation) -> tuple[FloatArray, Candidates]:
        shown.append(observation.views["side"])
        chunk = next(given)
        return chunk, only(observation.number, chunk)

    expected = rollout.play(plan("cube_pick", 29), policy)
    cell.begin(plan("cube_pick", 29))
    steps = []
    for chunk, image in zip(chunks(3), shown, strict=False):
        if cell.over:
            break
        np.testing.assert_array_equal(cell.observation().views["side"], image)
        assert cell.observation().steps_left == 29 - len(steps)
        steps += cell.execute(chunk)
    assert len(steps) == len(expected.steps) == 29
    for mine, other in zip(steps, expected.steps, strict=True):
        np.testing.assert_array_equal(mine.executed, other.executed)
        assert mine.cause == other.cause
    assert cell.success == expected.ended.success
    cell.close()
    rollout.close()


def test_images_are_drawn_only_where_somebody_looks_and_not_too_late():
    task = load_task("cube_pick")
    cell = BranchCell(task, ROBOT)
    cell.begin(plan("cube_pick", 16))
    shown = cell.observation()
    cell.execute(chunks(4)[0])
    assert cell.seconds.images == 0
    with pytest.raises(RuntimeError, match="after the world had gone on"):
        shown.views["side"]
    assert cell.observation().views["side"].shape == (224, 224, 3)
    assert cell.seconds.images > 0
    cell.execute(chunks(4)[0])
    with pytest.raises(RuntimeError, match="the episode is over"):
        cell.execute(chunks(4)[0])
    cell.close()
