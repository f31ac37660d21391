# SPDX-License-Identifier: Apache-2.0
"""What is said of the processes of arm and hand that can't say it themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from expo_ft_ros.fci import health
from expo_ft_ros.fci.health import ArmHealth, Confirmations, HandHealth, Now
from expo_ft_ros.fci.messages import ArmState, HandState, Phase
from expo_ft_ros.robots import load_robot

ROBOT = load_robot("franka_fci")
TIMEOUT = ROBOT.following.state_timeout
LIMITS = ROBOT.limits
MOTION = LIMITS.gripper_max_width / LIMITS.gripper_velocity
NONE = Confirmations()


def at(seconds: float) -> Now:
    """Seconds after the processes were started."""
    return Now(100.0 + seconds, round(1e9 * (1e9 + seconds)))


def arm(seconds: float, phase: Phase = Phase.RUNNING, recovered: int = 0) -> ArmState:
    """Its state, told at that time."""
    zeros = (0.0,) * 7
    text = "reflex" if phase is Phase.FAULT else ""
    return ArmState(
        at(seconds).wall_ns, zeros, (0.0,) * 16, zeros[:6], phase, recovered, 0, 0, 0.0, 0, text
    )


def hand(seconds: float, phase: Phase = Phase.RUNNING, recovered: int = 0) -> HandState:
    """Its state; since then it has been in a motion, or has told nothing."""
    now = at(seconds)
    return HandState(now.wall_ns, 0.08, now.steady, 0, phase, recovered, "jammed")


def of_arm() -> ArmHealth:
    return ArmHealth(TIMEOUT, at(0).steady)


def of_hand() -> HandHealth:
    return HandHealth(LIMITS, at(0).steady)


@pytest.mark.parametrize(
    ("state", "seconds", "words"),
    [
        (None, 19.0, ""),
        (None, 21.0, "tells nothing for 20 s"),
        (arm(0, Phase.STARTING), 19.0, ""),
        (arm(0, Phase.STARTING), 21.0, "s ago"),
        (arm(5), 5.0 + 0.9 * TIMEOUT, ""),
        (arm(5), 5.0 + 1.1 * TIMEOUT, "s ago"),
        (arm(5, Phase.FAULT), 500.0, ""),
    ],
)
def test_an_arm_s_process_that_is_late_is_named(state, seconds, words):
    said = of_arm().trouble("", state, NONE, at(seconds))
    assert words in said
    assert bool(words) == said.startswith("the arm: ")


@pytest.mark.parametrize(
    ("state", "seconds", "words"),
    [
        (None, 19.0, ""),
        (None, 21.0, "tells nothing for 20.0 s"),
        (hand(0, Phase.STARTING), 19.0, ""),
        (hand(0, Phase.STARTING), 21.0, "20.0 s"),
        (hand(5), 5.0 + MOTION + 2.9, ""),
        (hand(5), 5.0 + MOTION + 3.1, f"{MOTION + 3:.1f} s"),
        (hand(5, Phase.FAULT), 500.0, ""),
    ],
)
def test_a_hand_s_process_that_is_late_is_named(state, seconds, words):
    said = of_hand().trouble("", state, NONE, at(seconds))
    assert words in said
    assert bool(words) == said.startswith("the hand: ")


@pytest.mark.parametrize(("made", "state"), [(of_arm, arm), (of_hand, hand)])
def test_death_comes_first_and_an_unanswered_confirmation_is_a_fault_of_its_own(made, state):
    assert "was killed" in made().trouble("it was killed", state(0), NONE, at(0))
    confirmed = NONE.more(at(10).steady)
    waits = state(0, Phase.FAULT)
    assert made().trouble("", waits, confirmed, at(29)) == ""
    assert "answers no recovery" in made().trouble("", waits, confirmed, at(31))
    # It has answered: what it reports now is another fault, and may be confirmed in its turn.
    answered = replace(waits, recovered=1)
    assert made().trouble("", answered, confirmed, at(31)) == ""
    assert health.is_reported(answered, confirmed)
    assert not health.is_reported(waits, confirmed)
    assert not health.is_reported(state(0), confirmed)
    assert not health.is_reported(None, confirmed)


def test_a_process_that_has_told_nothing_of_late_is_replaced():
    assert health.hangs(None, at(0))
    assert health.hangs(arm(0), at(1.1))
    assert not health.hangs(arm(0), at(0.9))


def test_a_fault_is_told_in_the_process_s_own_words():
    assert health.fault_of("arm", arm(0, Phase.FAULT)) == "the arm: reflex"
    assert health.fault_of("arm", arm(0)) == health.fault_of("arm", None) == ""
    assert health.is_running(arm(0))
    assert not health.is_running(arm(0, Phase.STARTING))
    assert not health.is_running(None)
