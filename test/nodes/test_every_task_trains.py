# SPDX-License-Identifier: Apache-2.0
"""A training of 300 online steps runs to its end with each task.

All of them take a quarter of an hour, so that a day has two, in turn: in four days each was there.
EXPO_FT_TRAINED_TASKS=candy_scoop,egg_flip names others, `all` names all.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from expo_ft_ros.tasks import known_tasks
from support.tiny_training import run

STEPS = 300
AT_A_TIME = 2


def in_turn(names: list[str], day: int) -> list[str]:
    """Two of the names, others on the day after."""
    return [names[(AT_A_TIME * day + place) % len(names)] for place in range(AT_A_TIME)]


def trained() -> list[str]:
    wanted = os.environ.get("EXPO_FT_TRAINED_TASKS", "")
    if wanted == "all":
        return known_tasks()
    if wanted:
        names = [name.strip() for name in wanted.split(",")]
        unknown = set(names) - set(known_tasks())
        if unknown:
            raise ValueError(f"EXPO_FT_TRAINED_TASKS: no such task: {', '.join(sorted(unknown))}")
        return names
    return in_turn(known_tasks(), datetime.now(UTC).date().toordinal())


def test_in_turn_each_has_its_day():
    names = known_tasks()
    days = range(len(names) // AT_A_TIME)
    assert sorted(name for day in days for name in in_turn(names, 738_000 + day)) == sorted(names)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", known_tasks())
def test_a_training_runs_to_its_end(name, graph):
    if name not in trained():
        pytest.skip("another day it is its turn")
    folder = graph.folder
    done = run(folder, graph.domain, "sync", task=name, longest=None, demos=2, steps=STEPS)
    assert done.code == 0, f"{done.cause}\n{done.tail}"
    assert not done.warnings
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["task"] == name
    assert summary["env_steps"] >= STEPS
    assert summary["eval_before"]["trials"] == summary["eval_after"]["trials"] == 1
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert sum(line["success"] for line in lines if line["stage"] == "collect") == 2
