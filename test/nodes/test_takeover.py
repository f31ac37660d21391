# SPDX-License-Identifier: Apache-2.0
"""A demonstration by a human: the test is the session, and the hand on the device."""

from __future__ import annotations

import pytest
from expo_ft_ros.msg import SessionPlan
from geometry_msgs.msg import Twist

from expo_ft_ros.data.types import Source

NODES = ("sim", "camera", "proprio", "teleop", "reward", "arbitration")


@pytest.mark.slow
@pytest.mark.parametrize("lockstep", [True, pytest.param(False, marks=pytest.mark.realtime)])
def test_an_episode_waits_for_the_takeover_and_no_step_counts_until_then(graph, lockstep):
    probe = graph.probe
    steps, states = probe.gather("step"), probe.gather("episode/state")
    times, observed = probe.gather("proprio"), probe.gather("observation")
    plans, device = probe.publisher("session/plan"), probe.publisher("spacenav/twist")
    parameters = {
        "arbitration": {"begins_with_takeover": True},
        "sim": {"wait_for_operator": lockstep},
    }
    pushed = Twist()
    if lockstep:
        answered = probe.publisher("sim/operator_ready")
        probe.on("proprio", lambda now: (device.publish(pushed), answered.publish(now.header)))
    else:
        probe.node.create_timer(0.02, lambda: device.publish(pushed))
    for name in NODES:
        graph.start(name, lockstep=lockstep, **parameters.get(name, {}))
    probe.ready(*NODES)
    probe.matched()
    plan = SessionPlan(
        stage="collect", episode=1, seed=3, max_steps=10, policy="none", operator_mode="demonstrate"
    )
    plans.publish(plan)
    probe.until(lambda: states and states[-1].state == "running", "the episode")
    begun = len(times)
    probe.until(lambda: len(times) > begun + 3 * plan.max_steps, "time to pass")
    assert states[-1].state == "running"
    assert steps == observed == []

    pushed.linear.z = 0.5
    probe.until(lambda: states[-1].state == "ended", "the end of the demonstration")
    probe.until(lambda: steps, "the first step")
    # In real time a machine that halts a camera has the arm stand first.
    assert steps[0].source == Source.HUMAN or "stale" in steps[0].cause
    assert states[-1].cause == "timeout"
    assert states[-1].first_observation == steps[0].observation
    assert not states[-1].discarded
