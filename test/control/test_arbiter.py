# SPDX-License-Identifier: Apache-2.0
"""Who acts, in which slot, and what the gripper does at a takeover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.control.arbiter import Arbiter
from expo_ft_ros.control.chunk_executor import Proposal
from expo_ft_ros.data.types import Source
from expo_ft_ros.devices.teleop import TeleopState

POLICY = Proposal(np.full(7, 0.3, np.float32), chunk=5, index=3, source=Source.POLICY)


def pushing(gripper: float = 0.0, connected: bool = True, engaged: bool = True) -> TeleopState:
    return TeleopState(connected, engaged, np.array([-0.5] * 6 + [gripper], np.float32))


def executed(gripper: float) -> np.ndarray:
    return np.array([0.0] * 6 + [gripper], np.float32)


def test_the_policy_acts_when_nobody_else_does():
    choice = Arbiter().decide(POLICY, TeleopState.idle())
    assert choice.source is Source.POLICY
    assert (choice.chunk, choice.index) == (5, 3)
    assert np.array_equal(choice.action, POLICY.action)


def test_a_correction_takes_the_slot_that_was_due():
    choice = Arbiter().decide(POLICY, pushing())
    assert choice.source is Source.HUMAN
    assert (choice.chunk, choice.index) == (5, 3)
    assert np.allclose(choice.action[:6], -0.5)


def test_the_operator_can_act_without_any_chunk():
    choice = Arbiter().decide(Proposal.hold("late chunk"), pushing())
    assert choice.source is Source.HUMAN
    assert choice.index == -1
    assert choice.cause == ""


def test_a_device_lost_while_engaged_never_means_that_the_policy_may_go_on():
    choice = Arbiter().decide(POLICY, pushing(connected=False))
    assert choice.source is Source.HOLD
    assert not choice.action.any()
    assert "lost" in choice.cause


@pytest.mark.parametrize("teleop", [TeleopState.idle(), pushing(), pushing(connected=False)])
@pytest.mark.parametrize("alone", [True, False])
def test_a_stale_input_holds_everybody(teleop, alone):
    choice = Arbiter().decide(POLICY, teleop, "proprio stale 0.31 s > 0.15 s", alone)
    assert choice.source is Source.HOLD
    assert choice.cause == "proprio stale 0.31 s > 0.15 s"


def test_nobody_drives_a_demonstration_but_the_operator():
    arbiter = Arbiter()
    choice = arbiter.decide(POLICY, TeleopState.idle(), operator_alone=True)
    assert choice.source is Source.HOLD
    assert "operator" in choice.cause
    assert arbiter.decide(POLICY, pushing(), operator_alone=True).source is Source.HUMAN


@pytest.mark.parametrize(
    ("history", "latch"),
    [
        ([], 0),
        ([-1.0], -1),
        ([-0.8, -0.1], -1),
        ([-1.0, 0.1], 0),
        ([-1.0, 1.0], 1),
        ([0.3], 0),
        ([1.0, 0.0], 1),
    ],
)
def test_a_takeover_neither_drops_nor_grips_by_surprise(history, latch):
    arbiter = Arbiter(0.5)
    for gripper in history:
        arbiter.latch.executed(gripper)
    assert arbiter.decide(POLICY, pushing()).action[6] == latch


def test_the_operators_own_choice_wins_and_stays():
    arbiter = Arbiter()
    arbiter.latch.executed(1.0)
    choice = arbiter.decide(POLICY, pushing(gripper=-1.0))
    assert choice.action[6] == -1
    arbiter.latch.executed(float(choice.action[6]))
    assert arbiter.decide(POLICY, pushing()).action[6] == -1


def test_a_hold_leaves_the_latch_and_a_new_episode_clears_it():
    arbiter = Arbiter()
    arbiter.latch.executed(-1.0)
    arbiter.latch.executed(0.0)
    assert arbiter.latch.value == -1
    arbiter.latch.reset()
    assert arbiter.latch.value == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["idle", "engaged", "lost", "stale"]), max_size=60))
def test_the_operators_presence_never_changes_what_the_policy_proposes_elsewhere(who):
    """The action objects of the proposals are untouched by any interleaving."""
    arbiter = Arbiter()
    proposals = [
        Proposal(np.full(7, i / 100, np.float32), 1, i, Source.POLICY) for i in range(len(who))
    ]
    for i, (proposal, name) in enumerate(zip(proposals, who, strict=True)):
        teleop = {"engaged": pushing(), "lost": pushing(connected=False)}.get(
            name, TeleopState.idle()
        )
        choice = arbiter.decide(proposal, teleop, "stale" if name == "stale" else "")
        arbiter.latch.executed(float(choice.action[6]))
        assert (choice.chunk, choice.index) == (1, i)
        assert np.array_equal(proposal.action, np.full(7, i / 100, np.float32))
        if name == "idle":
            assert np.array_equal(choice.action, proposal.action)
