# SPDX-License-Identifier: Apache-2.0
"""What flows through the graph, as plain NumPy: the ROS-free twin of the messages in msg/.

Units are SI, frames REP 103; the action is a normalised 7-vector: linear xyz and angular xyz of the
tool centre point in base-frame axes, then the gripper's opening velocity, each in [-1, 1] of the
robot's limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

ACTION_DIM = 7
GRIPPER = 6
"""Which number of an action is the gripper's."""
STATE_DIM = 10

FloatArray = NDArray[np.float32]
ImageArray = NDArray[np.uint8]


class Source(IntEnum):
    """Who gave the action of a step; the values are those of msg/Step."""

    POLICY = 0
    HUMAN = 1
    HOLD = 2


class CandidateKind(IntEnum):
    """How a candidate is made; the values are those of msg/Candidates."""

    BASE = 0
    EDITED = 1
    GRIPPER = 2


_EXPLORED = np.uint64(1 << 62)


def chunk_id(number: int, *, explored: bool) -> int:
    """Id of a run's n-th chunk. An explored one, drawn at random, has bit 62 set: the id is what
    steps carry of their chunk, in messages and recordings as well."""
    return number | int(_EXPLORED) if explored else number


def is_explored(ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(T,) whether the chunks of these ids were explored."""
    explored: NDArray[np.bool_] = (ids.astype(np.uint64) & _EXPLORED) != 0
    return explored


@dataclass(frozen=True)
class Proprio:
    """Measured robot state.

    position: (3,) tool centre point in the base frame [m]; quaternion: (4,) x, y, z, w;
    linear, angular: (3,) tool velocity in base axes [m/s, rad/s]; gripper_width: opening [m];
    joints: (n,) joint positions [rad].
    """

    position: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    gripper_width: float
    linear: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    angular: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    joints: NDArray[np.float64] = field(default_factory=lambda: np.zeros(7))

    def vector(self) -> FloatArray:
        """(STATE_DIM,) float32: position, first two rotation matrix columns, gripper width.

        Two columns and not a quaternion, because a gripper that points down sits where a
        quaternion's sign flips.
        """
        x, y, z, w = self.quaternion
        first = (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w))
        second = (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w))
        return np.array([*self.position, *first, *second, self.gripper_width], dtype=np.float32)


@dataclass(frozen=True)
class Observation:
    """One synchronised snapshot.

    Attributes:
        number: Grows by one a tick.
        time: Of the snapshot [s].
        views: Name of each camera's view -> its image (h, w, 3) uint8 RGB, in the robot's order.
        proprio: The robot's state.
        instruction: What the policy is told, in words.
        steps_left: Until the episode times out, 0 after its last step; None: not known, as in
            recordings from before there was such a field.
    """

    number: int
    time: float
    views: Mapping[str, ImageArray]
    proprio: Proprio
    instruction: str
    steps_left: int | None = None


@dataclass(frozen=True)
class ActionChunk:
    """H actions from one observation.

    id: see `chunk_id`; actions: (H, 7) normalised; q: critic's value or NaN; kind: of the candidate
    it was.
    """

    id: int
    observation: int
    actions: FloatArray
    q: float = float("nan")
    kind: CandidateKind = CandidateKind.BASE


@dataclass(frozen=True)
class Candidates:
    """What the policy chose from (msg/Candidates; paper, eq. 2).

    actions: (K, C, 7) normalised, base chunks first, then their edits in their order, then gripper
    decisions; q: (K,), NaN where there is no critic; kind: (K,) of CandidateKind; chosen: index of
    the executed one; explored: it was drawn at random (not in the message: the chunk's id says it);
    member_spread: (K,) standard deviation of Q among the critic's members, (0,) where unknown.
    """

    observation: int
    actions: FloatArray
    q: FloatArray
    kind: NDArray[np.uint8]
    chosen: int
    explored: bool = False
    member_spread: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def chosen_kind(self) -> CandidateKind:
        """Kind of the executed one."""
        return CandidateKind(int(self.kind[self.chosen]))

    @property
    def chosen_q(self) -> float:
        """Q of the executed one; NaN where there is no critic."""
        return float(self.q[self.chosen])

    @property
    def q_spread(self) -> float:
        """Greatest minus least Q; NaN where there is no critic."""
        return float(self.q.max() - self.q.min())

    @property
    def edit_size(self) -> float | None:
        """Mean over steps and axes of |chosen - its base|, normalised; None where the chosen one
        is no edit, or not every base has one, so that nothing says which is whose."""
        bases = np.flatnonzero(self.kind == CandidateKind.BASE)
        edits = np.flatnonzero(self.kind == CandidateKind.EDITED)
        if self.chosen_kind is not CandidateKind.EDITED or len(bases) != len(edits):
            return None
        if self.actions.size == 0:
            return None
        base = bases[np.flatnonzero(edits == self.chosen)[0]]
        return float(np.abs(self.actions[self.chosen] - self.actions[base]).mean())


@dataclass(frozen=True)
class Step:
    """Provenance of one control step (msg/Step).

    proposed, executed: (7,) float32 normalised; robot: its name in the run, empty: the run's own.
    """

    observation: int
    episode: int
    chunk: int
    index: int
    source: Source
    proposed: FloatArray
    executed: FloatArray
    cause: str = ""
    robot: str = ""


@dataclass(frozen=True)
class Verdict:
    """A reward classifier's word on one observation; the reward of the action before it.

    human_reset: what the operator has to set right in the scene before the next episode (appendix
    B: too few candies, say); empty: nothing.
    """

    value: float
    success: bool
    reason: str
    human_reset: str = ""
