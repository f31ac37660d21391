# SPDX-License-Identifier: Apache-2.0
"""The policy's node where the policy is on a server: one that is dead stops the arm, with its
cause."""

import numpy as np
import pytest

from expo_ft_ros.data.types import Source
from support.arbitration_world import World
from support.console_run import free_port
from support.policy_servers import GENTLE, answering, serving

MODULE = "expo_ft_ros.nodes.policy_client"


def meet(graph, address, *, lockstep):
    """Arbitration, and the client of the server that is there."""
    node = graph.start(
        "policy", module=MODULE, address=address, lockstep=lockstep, use_sim_time=False
    )
    return node, World(graph, lockstep=lockstep, policy=False)


@pytest.mark.realtime
def test_a_dead_server_holds_the_arm_with_its_cause_until_it_is_back(graph):
    port = free_port()
    with serving(port=port) as server:
        address = server.address
        _, world = meet(graph, address, lockstep=False)
        probe = world.probe
        probe.node.create_timer(0.05, world.show)
        world.begin(max_steps=10_000)

        def drives():
            return world.steps and world.steps[-1].source == Source.POLICY

        probe.until(lambda: drives() and len(world.steps) > 12, "driving")
        np.testing.assert_allclose(world.steps[-1].proposed, GENTLE[0], atol=1e-6)
    cause = f"policy server {address}: the connection is closed: code 1012"
    # Where this process is halted, its cameras are stale as well.
    probe.until(lambda: cause in world.steps[-1].cause, "the cause")
    assert world.steps[-1].source == Source.HOLD
    assert "start the server again" in world.steps[-1].cause
    probe.until(lambda: world.twists[-1].twist.linear.x == 0.0, "the zero")
    probe.until(
        lambda: any(
            s.name == "policy" and s.message.startswith(cause)
            for m in world.health
            for s in m.status
        ),
        "the policy's own word",
    )
    count = len(world.steps)
    probe.spin(1.0)
    assert {step.source for step in world.steps[count:]} <= {Source.HOLD}
    with serving(port=port):
        probe.until(drives, "going on")
        assert world.steps[-1].chunk > 0


def test_in_lock_step_the_world_waits_for_the_server_and_says_so(graph):
    port = free_port()
    with serving(port=port) as server:
        _, world = meet(graph, server.address, lockstep=True)
        world.begin()
        for _ in range(8):
            world.tick()
    count = len(world.executed)
    world.show()
    world.probe.until(
        lambda: any(
            s.name == "arbitration" and "connection is closed" in s.message
            for m in world.health
            for s in m.status
        ),
        "the cause",
    )
    assert len(world.executed) == count
    with serving(port=port):
        world.probe.until(lambda: len(world.executed) > count, "the next step")
    assert world.steps[-1].source == Source.POLICY


def test_what_cannot_be_executed_ends_the_node(graph):
    answers = [GENTLE, np.full_like(GENTLE, np.nan)]
    with serving(lambda _: {"actions": answers.pop(0)}) as server:
        node, world = meet(graph, server.address, lockstep=True)
        world.begin()
        assert node.wait() == 1
    assert "number 0 is nan" in node.log.read_text()
    assert not world.steps


def test_a_server_of_another_width_refuses_to_be_configured(graph):
    with serving(answering(np.zeros((16, 8)))) as server:
        node = graph.start("policy", module=MODULE, address=server.address)
        assert node.wait() == 1
    text = node.log.read_text()
    assert server.address in text
    assert "shape (16, 8), wanted is (H, 7)" in text
