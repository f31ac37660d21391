# SPDX-License-Identifier: Apache-2.0
"""How Q is learned: what it sees, what its targets are bounded by, what keeps it from overfitting.

How large it is belongs to the size, `CriticConfig`. The defaults are the paper's.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import STATE_DIM

ReturnBound = Literal["none", "success", "unmended", "unhelped"]


class ValueConfig(Config):
    """The critic's inputs, targets and regularisation."""

    members: int = Field(10, ge=1, description="Q networks of the ensemble: [P] 10 (C.1)")
    chunk_embedding: int = Field(
        0,
        ge=0,
        description="width of a layer that the chunk passes before the members, which share it: "
        "Dense, LayerNorm, tanh, as image and state have; 0: the members see the chunk itself "
        "([P]), where 56 numbers beside 320 features are hardly heard: Q then tells states apart, "
        "not chunks",
    )
    time_left: bool = Field(
        False,
        description="the critic's state, and so the edit policy's, has one more number: the share "
        "of the task's max_steps that is left. Where a timeout is an end (bootstrap_on_truncation: "
        "false) the same observation is worth less the later it comes, which Q can't know "
        "otherwise; the VLA doesn't see it. Demonstrations of a dataset count from their first "
        "frame. [P] false",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of each layer's numbers that a gradient step of the critic leaves out, "
        "before LayerNorm (DroQ: 0.01); targets and choices use all of them. Against overfitting: "
        "a critic fitted to recorded episodes was best after a quarter of its steps",
    )
    weight_decay: float = Field(
        0.0, ge=0, description="AdamW's, of the critic's matrices; 0: Adam ([P]). As dropout"
    )
    target_bounds: bool = Field(
        False,
        description="targets are clamped to what rewards of 0 and one final 1 can return, [0, 1]: "
        "the minimum over members goes as low as -0.8 without",
    )
    return_bound: ReturnBound = Field(
        "none",
        description="targets are at least the discounted return that a successful episode got "
        "from there, which a reward otherwise takes ten backups to tell. success: of any; "
        "unmended: where nobody took over from the policy later on, demonstrations count; "
        "unhelped: where no human drove after the window. A bound only where what follows is "
        "determined by what Q sees: where outcomes are random, Q rises towards the best that was "
        "seen (watch value_error). [P] none",
    )
    before_takeover: Literal["as_is", "terminal"] = Field(
        "as_is",
        description="windows in which an operator takes over from the policy. terminal: they end "
        "there, worth nothing more, since what follows is the operator's merit, and show Q the "
        "last action before it repeated, not what the policy had proposed from there; as_is: the "
        "value of what the operator then did is theirs ([P])",
    )
    success_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of each batch from successful episodes, demonstrations among them; the "
        "rest is from everywhere. 0: all of it ([P]); failures last longer, and without help more "
        "than half of such a batch are their ends. A draw by the outcome: where outcomes are "
        "random, Q rises above what is to be expected. Not for hil_serl, which has "
        "baseline.demonstration_share, once it has demonstrations and online steps",
    )
    acting_value: Literal["minimum", "mean"] = Field(
        "minimum",
        description="what a candidate is worth when acting: the minimum over the drawn members, as "
        "in the target ([P]), or the mean over all, which is less noisy. The target goes on "
        "choosing by the minimum; hil_serl and dsrl choose among nothing",
    )

    @property
    def state_dim(self) -> int:
        """Numbers of the critic's state."""
        return STATE_DIM + self.time_left
