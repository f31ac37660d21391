# SPDX-License-Identifier: Apache-2.0
"""A stop names its cause, outlives the process, and nothing is recorded that was not executed."""

import signal
import time

import numpy as np
import pytest
from expo_ft_ros.msg import Proprio
from std_msgs.msg import String

from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.stop_latch import StopLatch
from expo_ft_ros.ros.messages import header_of
from support.arbitration_world import World


def told(world, words):
    return any(words in status.message for m in world.health for status in m.status)


def test_a_stop_outlives_the_process(graph):
    world = World(graph, lockstep=True)
    world.begin()
    world.tick()
    assert world.probe.call("estop", data=True).success
    world.node.send(signal.SIGKILL)
    world.node.wait()
    world.episodes.clear()
    world.twists.clear()
    again = graph.start("arbitration", lockstep=True, use_sim_time=False)
    world.probe.until(lambda: world.state and world.state.state == "stopped", "the stop again")
    assert world.state.cause == "estop"
    world.plan(1)
    world.show()
    world.probe.spin(0.5)
    assert world.state.state == "stopped"
    assert not any(twist.twist.linear.x for twist in world.twists)
    world.probe.until(lambda: told(world, "stopped: estop"), "its cause")
    assert world.probe.call("estop", data=False).success
    world.probe.until(lambda: world.state.state == "running", "the episode")
    again.send(signal.SIGKILL)
    again.wait()
    world.episodes.clear()
    graph.start("arbitration", lockstep=True, use_sim_time=False)
    world.probe.until(lambda: world.state, "a state")
    assert world.state.state != "stopped", "released is released"


def test_a_robot_that_has_stopped_itself_is_released_by_the_operator_once_it_has_recovered(graph):
    world = World(graph, lockstep=True)
    fault = world.probe.publisher("robot/fault")
    world.begin()
    world.tick()
    fault.publish(String(data="cartesian reflex"))
    world.probe.until(lambda: world.state.state == "stopped", "the stop")
    assert world.state.cause == "protective stop: cartesian reflex"
    assert world.state.discarded
    world.probe.until(lambda: told(world, "protective stop: cartesian reflex"), "its cause")
    refused = world.probe.call("estop", data=False)
    assert not refused.success
    assert "cartesian reflex (recover it first)" in refused.message
    fault.publish(String(data=""))
    world.probe.spin(0.3)
    assert world.state.state == "stopped", "nobody has said so"
    # The end of the fault and the call go by other ways.
    released = lambda: world.probe.call("estop", data=False).success  # noqa: E731
    world.probe.until(released, "the release")
    world.probe.until(lambda: world.state.state == "ended", "the end")


def test_a_fault_of_somebody_else_stops_too_and_can_be_released(graph):
    """An adapter started anew while its killed predecessor is still listed; or a bag."""
    world = World(graph, lockstep=True)
    known = world.probe.publisher("robot/fault")
    known.publish(String(data=""))
    world.begin()
    world.tick()
    stranger = world.probe.publisher("robot/fault")
    world.probe.matched()
    stranger.publish(String(data="cartesian reflex"))
    world.probe.until(lambda: world.state.state == "stopped", "the stop")
    assert world.state.cause == "protective stop: cartesian reflex"
    assert world.probe.call("estop", data=False).success
    world.probe.until(lambda: world.state.state == "ended", "the end")


def test_a_stop_of_before_is_still_told_once_everybody_is_there(graph):
    """That a node is ready is no reason to say that all is well."""
    StopLatch(graph.folder).latch("estop")
    world = World(graph, lockstep=True)
    world.probe.until(lambda: told(world, "stopped: estop"), "its cause")
    world.probe.spin(1.0)
    said = [s.message for m in world.health for s in m.status if s.name == "arbitration"]
    assert "ready" not in said[said.index("stopped: estop") :]


@pytest.mark.realtime
def test_what_a_pause_cuts_short_is_recorded_as_that(graph):
    world = World(graph, lockstep=False)
    world.probe.node.create_timer(0.05, world.show)
    world.begin(max_steps=10_000)
    world.probe.until(lambda: len(world.steps) > 12, "steps")
    paused = False
    while not paused:
        # Where the call comes right at a tick, or while the arm stands, nothing was cut short.
        assert world.probe.call("episode/pause").success
        world.probe.until(lambda: world.state.state == "paused", "the pause")
        world.probe.until(lambda: told(world, "paused"), "the word")
        world.probe.spin(0.3)
        last = [s for s in world.steps if s.observation == world.steps[-1].observation]
        paused = len(last) == 2
        assert world.probe.call("episode/resume").success
        world.probe.spin(0.5)
    whole, cut = last
    assert "cut short after" in cut.cause
    share = np.linalg.norm(cut.executed) / np.linalg.norm(whole.executed)
    assert 0 <= share < 1
    np.testing.assert_allclose(cut.executed, share * whole.executed, atol=1e-6)
    np.testing.assert_array_equal(cut.proposed, whole.proposed)


@pytest.mark.realtime
def test_a_device_that_hangs_stops_the_arm_before_the_next_tick(graph):
    world = World(graph, lockstep=False)
    world.human = [0.5, 0, 0, 0, 0, 0, 0]
    world.probe.node.create_timer(0.02, world.show)
    world.begin(max_steps=10_000)
    cut = False
    while not cut:
        # Where the loss comes right at a tick nothing was cut short.
        world.connected = True
        world.probe.until(lambda: world.steps and world.steps[-1].executed[0] > 0, "a push")
        world.connected = False
        world.probe.until(lambda: world.steps[-1].source == Source.HOLD, "the stop")
        cut = any("cut short" in step.cause for step in world.steps[-3:])
    world.probe.until(lambda: not world.twists[-1].twist.linear.x, "the zero")


def test_the_operator_overrules_the_classifier_before_the_episode_is_committed(graph):
    world = World(graph, lockstep=True, decision_time=30.0)
    world.begin()
    world.tick()
    world.tick()
    world.success = True
    world.show()
    world.probe.until(lambda: world.state.state == "deciding", "the classifier's word")
    assert world.state.success
    assert world.probe.call("episode/mark_failure").success
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert (world.state.success, world.state.terminated) == (False, True)
    world.success = False
    world.begin(episode=2, max_steps=2)
    world.tick()
    world.tick()
    world.show()
    world.probe.until(lambda: world.state.state == "deciding", "the timeout")
    assert world.probe.call("/reset_episode").success
    world.probe.until(lambda: world.state.state == "ended", "its confirmation")
    assert (world.state.success, world.state.truncated) == (False, True)


def test_without_anybody_who_might_the_classifier_decides(graph):
    world = World(graph, lockstep=True, decision_time=0.5)
    world.begin()
    world.tick()
    world.success = True
    since = time.monotonic()
    world.show()
    world.probe.until(lambda: world.state.state == "deciding", "the classifier's word")
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert time.monotonic() - since > 0.5


def test_a_stamp_of_tomorrow_takes_no_input_away(graph):
    world = World(graph, lockstep=False)
    world.probe.node.create_timer(0.05, world.show)
    world.begin(max_steps=10_000)
    world.probe.until(lambda: len(world.steps) > 3, "steps")
    state = Proprio(header=header_of(time.time_ns() + 10**13, "base"), joint_positions=[0.0] * 7)
    state.pose.orientation.w = 1.0
    world.out["proprio"].publish(state)
    words = "ahead of the clock"
    world.probe.until(lambda: words in world.node.log.read_text(), "its word")
    count = len(world.steps)
    by_policy = lambda: sum(s.source == Source.POLICY for s in world.steps[count:])  # noqa: E731
    world.probe.until(lambda: by_policy() > 5, "going on")
    assert by_policy() == len(world.steps[count:]) or not world.is_punctual


@pytest.mark.parametrize("name", ["camera/side/image_raw", "proprio"])
def test_a_sensor_of_which_nothing_ever_came_is_named(graph, name):
    """Where the operator resets the scene the episode begins without anybody's frame."""
    world = World(graph, lockstep=False, scene_reset="operator")
    world.out[name] = _Nobody()
    world.probe.node.create_timer(0.05, world.show)
    world.plan(1)
    world.probe.until(lambda: world.state and world.state.state == "resetting", "the reset")
    assert world.probe.call("/reset_episode").success
    world.probe.until(lambda: world.state.state == "running", "the episode")
    short = {"camera/side/image_raw": "camera/side"}.get(name, name)
    world.probe.until(lambda: told(world, f"never came: {short}"), "the cause")
    assert not world.steps


class _Nobody:
    def publish(self, message):
        """Nothing is sent."""
