# SPDX-License-Identifier: Apache-2.0
"""Candidates that are made of base chunks: edit policy, its temperature (paper, eq. 4), and gripper
decisions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config


class EditConfig(Config):
    """What a preset says under `edit`. [P] is the paper."""

    hidden: int = Field(256, ge=8, description="width of the three layers")
    knots: int = Field(
        0,
        ge=0,
        description="places along the C steps at which an edit has numbers of its own, linear "
        "between them: independent numbers a step cancel out and move the arm nowhere; 0: each "
        "step is one ([P])",
    )
    position_scale: float = Field(
        1.0, ge=0, le=10, description="of beta, for the three linear axes; 0 leaves them unedited"
    )
    rotation_scale: float = Field(
        1.0, ge=0, le=10, description="of beta, for the three rotations; 0 leaves them unedited"
    )
    gripper_scale: float = Field(
        1.0,
        ge=0,
        le=10,
        description="of beta, for the gripper, which +-0.2 can't turn round; 0 leaves it unedited",
    )
    zero_start: bool = Field(
        False,
        description="the last layer begins at zero: the first mode is the base chunk itself",
    )
    initial_std: float = Field(
        1.0,
        ge=0.01,
        le=7,
        description="standard deviation before the tanh at the start: with 1 the first edits fill "
        "+-beta, with 0.1 they keep to a tenth of it",
    )
    alpha: float = Field(ge=1e-8, description="initial temperature: [P] 1.0")
    alpha_learning_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Adam of the temperature, which at 3e-4 and a step an update call moves by a "
        "tenth in a whole run; 0: it stays; null: learning_rate ([P])",
    )
    shifted_target: bool = Field(
        description="target entropy -d/2 + the sum of the d numbers' log(bound), which a density "
        "within these bounds can reach; [P] -d/2, which it can't"
    )
    gripper_decisions: int = Field(
        0,
        ge=0,
        description="base chunks that are candidates once more with the gripper opening throughout "
        "the C steps, and once more with it closing, where the task's gripper is free: letting go "
        "and trying again is what a policy lacks that has never seen it, and what no edit within "
        "+-beta gives it. Apart from `edits`; 0: none ([P])",
    )
    agreed_decisions: bool = Field(
        False,
        description="when acting, a gripper decision is worth what the best base chunk is and the "
        "least that any member says it gains over that one: the arm acts otherwise than the policy "
        "would only where all members agree. The target goes on choosing by the minimum. false: a "
        "decision is valued as base chunks are",
    )
    steps_per_update: int = Field(
        1, ge=1, description="edit and temperature steps an update call: [P] 1"
    )
    trained_on: Literal["executed", "vla", "both"] = Field(
        "executed",
        description="chunks that the edit policy learns to edit: the replayed, executed ones "
        "([P]), the VLA's base chunks at the same observations, which are what it edits when it "
        "acts, or half of each",
    )
    evaluation: Literal["mode", "sample"] = Field(
        "mode",
        description="edits of an evaluation: the edit policy's mode ([P]), or samples as in "
        "training, which is what the critic has learned to value",
    )
    pessimistic_edit_gain: bool = Field(
        False,
        description="an edit is worth what its base chunk is and the least that any member asked "
        "says it gains (the drawn ones; with value.acting_value mean all, when acting): a mean "
        "gain that members disagree on is no reason to edit. Gripper decisions have "
        "agreed_decisions. [P] edits are valued by themselves",
    )

    @model_validator(mode="after")
    def _edits_something(self) -> EditConfig:
        if not (self.position_scale or self.rotation_scale or self.gripper_scale):
            raise ValueError(
                "position_scale, rotation_scale and gripper_scale are all 0: nothing is left to "
                "edit (edits: false leaves edits out)"
            )
        return self
