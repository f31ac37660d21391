# SPDX-License-Identifier: Apache-2.0
"""What the processes of arm and hand can't tell by themselves: that one is dead, hangs, or leaves a
confirmation unanswered."""

from __future__ import annotations

from dataclasses import dataclass

from expo_ft_ros.fci.messages import ArmState, HandState, Phase
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.robots.watchdog import StateWatch

START = 20.0
"""Time that a process has to tell its first state, and to answer a confirmation [s]."""

HANG = 1.0
"""An arm's process that has been silent for so long is replaced when a human recovers it [s]."""

_QUIET = 3.0  # beyond the time of a motion, after which the hand's process hangs [s]


@dataclass(frozen=True)
class Confirmations:
    """That a human has seen a fault and its cause.

    Attributes:
        count: How many there were.
        at: When the newest came [s, time.monotonic].
    """

    count: int = 0
    at: float = 0.0

    def more(self, now: float) -> Confirmations:
        """One more, now [s]."""
        return Confirmations(self.count + 1, now)


@dataclass(frozen=True)
class Now:
    """One moment by both clocks.

    Attributes:
        steady: [s, time.monotonic].
        wall_ns: That states are stamped by [ns, time.time_ns].
    """

    steady: float
    wall_ns: int


class ArmHealth:
    """Of one process of the arm."""

    def __init__(self, state_timeout: float, now: float) -> None:
        """It has just been started.

        Args:
            state_timeout: Greatest age of a state [s].
            now: [s, time.monotonic].
        """
        self._since = now
        self._running, self._starting = StateWatch(state_timeout), StateWatch(START)

    def trouble(
        self, death: str, state: ArmState | None, confirmed: Confirmations, now: Now
    ) -> str:
        """What is wrong, in words that name the arm; "" for nothing.

        Args:
            death: How the process has ended; "" while it lives.
            state: Its newest, if there is one.
            confirmed: By humans, so far.
            now: At which moment.
        """
        if death:
            return f"the arm: {death}"
        if state is None:
            late = now.steady - self._since > START
            return f"the arm: its process tells nothing for {START:g} s" if late else ""
        if state.phase is Phase.FAULT:
            return _unanswered("arm", state, confirmed, now)
        watch = self._starting if state.phase is Phase.STARTING else self._running
        stale = watch.check(state.stamp_ns, now.wall_ns, now.steady)
        return f"the arm: the state of its process {stale}" if stale else ""


class HandHealth:
    """Of one process of the hand."""

    def __init__(self, limits: RobotLimits, now: float) -> None:
        """It has just been started. limits: of the robot; now: [s, time.monotonic]."""
        self._since = now
        self._most = _QUIET + limits.gripper_max_width / limits.gripper_velocity

    def trouble(
        self, death: str, state: HandState | None, confirmed: Confirmations, now: Now
    ) -> str:
        """As of `ArmHealth`."""
        if death:
            return f"the hand: {death}"
        if state is not None and state.phase is Phase.FAULT:
            return _unanswered("hand", state, confirmed, now)
        begins = state is None or state.phase is Phase.STARTING
        since, most = self._since if state is None else state.since, START if begins else self._most
        late = now.steady - since > most
        return f"the hand: its process tells nothing for {most:.1f} s" if late else ""


def fault_of(what: str, state: ArmState | HandState | None) -> str:
    """The fault that a process is in; "" for none. what: arm or hand."""
    return f"the {what}: {state.text}" if state is not None and state.phase is Phase.FAULT else ""


def is_reported(state: ArmState | HandState | None, confirmed: Confirmations) -> bool:
    """Whether a fault was reported since the last confirmation, so that there can be one."""
    if state is None or state.phase is not Phase.FAULT:
        return False
    return state.recovered >= confirmed.count


def is_running(state: ArmState | HandState | None) -> bool:
    """Whether a process does what it is told."""
    return state is not None and state.phase is Phase.RUNNING


def hangs(state: ArmState | None, now: Now) -> bool:
    """Whether an arm's process is to be replaced: it has told nothing, or nothing of late."""
    return state is None or 1e-9 * (now.wall_ns - state.stamp_ns) > HANG


def _unanswered(what: str, state: ArmState | HandState, confirmed: Confirmations, now: Now) -> str:
    """Of a process in a fault: whether it hangs since that was confirmed."""
    late = state.recovered < confirmed.count and now.steady - confirmed.at > START
    return f"the {what}: its process answers no recovery for {START:g} s" if late else ""
