# SPDX-License-Identifier: Apache-2.0
"""Trials on given scenes, without anybody's help: one set of weights, several selection rules.

A trial's noise depends on the scene and the step alone. The VLA's first chunk at an observation is
therefore the same for each rule and each arm, where a chunk's numbers are a multiple of 16 (H * 7;
torch's normal draws on a CPU come in blocks of that).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.experiment.branching import BranchCell
from expo_ft_ros.experiment.choice_agent import AgentSource, make_agent
from expo_ft_ros.experiment.paired_trials import Trials

SelectionRule = Literal["agent", "choice", "random", "vla"]
"""agent: as it was trained; choice: the critic's, among base chunks alone; random: any of the
agent's candidates; vla: the VLA's first chunk."""
SELECTION_RULES: tuple[SelectionRule, ...] = get_args(SelectionRule)

BASE_CHUNKS_ONLY = {
    "edits": "false",
    "edit.gripper_decisions": "0",
    "explore_share": "0",
    "explore_share_warmup": "0",
}
"""Changes that leave all candidates out but the VLA's own chunks."""

_CHANGES: dict[SelectionRule, dict[str, str]] = {
    "agent": {},
    "choice": BASE_CHUNKS_ONLY,
    "random": {"choose_by": "random"},
    "vla": {},
}


def play_trials(
    source: AgentSource,
    scenes: Sequence[int],
    rule: SelectionRule,
    told: Callable[[Trials], None] = lambda trials: None,
) -> Trials:
    """Plays each scene once.

    Args:
        source: Of the weights.
        scenes: Seeds.
        rule: By which a chunk is selected.
        told: Called after each with what came of those so far.

    Returns:
        What came of it, in the order of the scenes.

    Raises:
        ConfigError: when the weights aren't of their configuration.
    """
    agent = make_agent(replace(source, changes={**source.changes, **_CHANGES[rule]}))
    mode = "base_policy" if rule == "vla" else "mode"
    cell = BranchCell(source.task, source.robot)
    played: list[tuple[bool, bool, int]] = []
    try:
        for scene in scenes:
            cell.begin(Plan("eval_after", 1, scene, source.task.max_steps, "mode", "none", False))
            while not cell.over:
                agent.begin_evaluation(_noise(scene, cell.steps))
                cell.execute(agent.act(cell.observation(), mode).actions)
            played.append((cell.success, cell.truth, cell.steps))
            told(_trials(played))
    finally:
        cell.close()
    return _trials(played)


def _trials(played: Sequence[tuple[bool, bool, int]]) -> Trials:
    success, truth, steps = zip(*played, strict=True) if played else ((), (), ())
    return Trials(success, truth, steps)


def _noise(scene: int, step: int) -> int:
    return int(np.random.SeedSequence((scene, step)).generate_state(1)[0])
