# SPDX-License-Identifier: Apache-2.0
"""Trials on given scenes, without anybody's help: one set of weights, several selection rules.

A trial's noise depends on the scene and the step alone. The VLA's first chunk at an observation is
therefore the same for each rule and each arm, where a chunk's numbers are a multiple of 16 (H * 7;
torch's normal draws on a CPU come in blocks of that).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.experiment.branching import BranchCell
from expo_ft_ros.experiment.choice_agent import AgentSource, make_agent

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


@dataclass(frozen=True)
class Trials:
    """What came of trials, in the order of their scenes.

    success: by the classifier; truth: by the simulation's ground truth; steps: until the end.
    """

    success: tuple[bool, ...]
    truth: tuple[bool, ...]
    steps: tuple[int, ...]

    def returns(self, gamma: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(n,) discounted to the start; 0 where there was no success."""
        discounted = np.power(gamma, np.array(self.steps) - 1.0)
        return np.where(self.success, discounted, 0.0)

    def first(self, count: int) -> Trials:
        """Those of the first scenes."""
        return Trials(self.success[:count], self.truth[:count], self.steps[:count])

    def as_json(self) -> dict[str, Any]:
        """Short: a digit a trial."""
        return {
            "success": "".join(str(int(good)) for good in self.success),
            "truth": "".join(str(int(good)) for good in self.truth),
            "steps": list(self.steps),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Trials:
        """What `as_json` gave."""
        return cls(
            tuple(digit == "1" for digit in saved["success"]),
            tuple(digit == "1" for digit in saved["truth"]),
            tuple(int(count) for count in saved["steps"]),
        )


def play_trials(source: AgentSource, scenes: Sequence[int], rule: SelectionRule) -> Trials:
    """Plays each scene once.

    Args:
        source: Of the weights.
        scenes: Seeds.
        rule: By which a chunk is selected.

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
    finally:
        cell.close()
    success, truth, steps = zip(*played, strict=True) if played else ((), (), ())
    return Trials(success, truth, steps)


def _noise(scene: int, step: int) -> int:
    return int(np.random.SeedSequence((scene, step)).generate_state(1)[0])
