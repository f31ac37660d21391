# SPDX-License-Identifier: Apache-2.0
"""Who acts at this tick: where the operator's correction is spliced into a chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expo_ft_ros.control.chunk_executor import Proposal
from expo_ft_ros.data.types import ACTION_DIM, GRIPPER, FloatArray, Source
from expo_ft_ros.devices.gripper_latch import GripperLatch
from expo_ft_ros.devices.teleop import TeleopState

NOT_TAKEN_OVER = "operator has not taken over"
DEVICE_LOST = "teleop device lost while engaged: push it again, or call teleop/acknowledge"


@dataclass(frozen=True)
class ArbitrationResult:
    """Who acts and with what, before the safety filter. action: (7,) float32 normalised.

    chunk, index: the slot that was due, also when the operator's action takes its place.
    """

    source: Source
    action: FloatArray
    chunk: int
    index: int
    cause: str = ""


class Arbiter:
    """Decides by rank: a reason to hold, a lost device, the operator, the policy, nobody.

    takeover_gripper: |gripper action| that counts as closing or opening. `latch`: the gripper
    action of the operator who hasn't chosen one.
    """

    def __init__(self, takeover_gripper: float = 0.5) -> None:
        self.latch = GripperLatch(takeover_gripper)

    def decide(
        self,
        proposal: Proposal,
        teleop: TeleopState,
        hold_cause: str = "",
        operator_alone: bool = False,
    ) -> ArbitrationResult:
        """Who acts now.

        hold_cause: a reason why nobody may; operator_alone: no policy drives in this stage.
        """
        if hold_cause:
            return self._hold(proposal, hold_cause)
        if teleop.engaged and not teleop.connected:
            return self._hold(proposal, DEVICE_LOST)
        if teleop.engaged:
            action = np.array(teleop.action, dtype=np.float32)
            if action[GRIPPER] == 0:
                action[GRIPPER] = self.latch.value
            return ArbitrationResult(Source.HUMAN, action, proposal.chunk, proposal.index)
        if operator_alone:
            return self._hold(proposal, NOT_TAKEN_OVER)
        return ArbitrationResult(
            proposal.source, proposal.action, proposal.chunk, proposal.index, proposal.cause
        )

    @staticmethod
    def _hold(proposal: Proposal, cause: str) -> ArbitrationResult:
        zero = np.zeros(ACTION_DIM, np.float32)
        return ArbitrationResult(Source.HOLD, zero, proposal.chunk, proposal.index, cause)
