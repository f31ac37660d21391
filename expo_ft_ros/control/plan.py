# SPDX-License-Identifier: Apache-2.0
"""What is to be done next, as the session says it: a stage, and in it an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["collect", "imitation", "eval_before", "rl", "eval_after", "shadow", "done"]
PolicyMode = Literal["none", "sample", "mode"]
Operator = Literal["scripted", "spacemouse", "gamepad", "keyboard", "leader", "none"]
OperatorMode = Literal["none", "demonstrate", "correct"]

STAGES: tuple[Stage, ...] = ("collect", "imitation", "eval_before", "rl", "eval_after")
LEARNED_STAGES: tuple[Stage, ...] = ("collect", "rl")
"""Stages whose episodes go into replay."""
EVALUATIONS: tuple[Stage, ...] = ("eval_before", "eval_after")
"""Stages whose episodes measure the policy."""
SHADOW: Stage = "shadow"
"""The stage of a policy's run with motion off: nothing is learned from its episodes, and none of
them counts."""
DONE: Stage = "done"
"""The stage of a run that has come to its end."""
MOTION_OFF = "motion off: the arm is commanded to stand"
"""What everybody calls it who tells of it."""


@dataclass(frozen=True)
class Plan:
    """What the session wants now (msg/SessionPlan). episode is 0 in a stage without episodes;
    redone: the demonstration that it takes the place of, 0 for none."""

    stage: Stage
    episode: int
    seed: int
    max_steps: int
    policy: PolicyMode
    operator: OperatorMode
    learn: bool
    redone: int = 0
