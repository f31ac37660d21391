# SPDX-License-Identifier: Apache-2.0
"""What every node does: waits for the others, stops cleanly, dies with its parent, fails closed."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from expo_ft_ros.bringup.process import child_environment
from expo_ft_ros.control.thread_priority import SHORT_SLICE, SINCE, may_set_fifo_priority
from expo_ft_ros.ros.parameters import describe
from support.processes import is_alive
from support.threads import scheduling_of

PARENT = """
import os, subprocess, sys
env = dict(os.environ, EXPO_FT_PARENT_PID=str(os.getpid()))
child = subprocess.Popen([sys.executable, "-m", "expo_ft_ros.nodes.proprio"], env=env,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_ready_is_said_once_the_others_are_there(graph):
    said = graph.probe.gather("nodes/ready")
    graph.start("proprio")
    graph.probe.until(lambda: graph.probe.node.get_publishers_info_by_topic("/proprio"), "proprio")
    graph.probe.spin(0.5)
    assert not said
    for name in ("joint_states", "robot/tcp_pose", "robot/tcp_twist"):
        graph.probe.publisher(name)
    graph.probe.gather("proprio")
    graph.probe.until(lambda: said, "its word")
    assert said[0].data == "proprio"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_cleanly(graph, number):
    node = graph.start("proprio")
    # Its word, not its being seen: a process that was there before may be seen for a while.
    alive = graph.probe.gather("nodes/heartbeat")
    graph.probe.until(lambda: alive, "its sign of life")
    # Again and again, until the interpreter itself is gone.
    while node.process.poll() is None:
        node.send(number)
        graph.probe.spin(0.001)
    assert node.wait(5.0) == 0
    assert "Traceback" not in node.log.read_text()


def test_a_node_does_not_outlive_its_parent(graph):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**child_environment(), "ROS_DOMAIN_ID": str(graph.domain)},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    graph.probe.until(lambda: graph.probe.node.get_publishers_info_by_topic("/proprio"), "proprio")
    parent.kill()
    parent.wait()
    graph.probe.until(lambda: not is_alive(child), "its end", timeout=5.0)
    for stream in (parent.stdin, parent.stdout):
        assert stream is not None
        stream.close()


def test_a_node_whose_parent_is_gone_already_refuses(graph):
    environment = {**child_environment(), "EXPO_FT_PARENT_PID": str(os.getpid() + 1)}
    done = subprocess.run(
        [sys.executable, "-m", "expo_ft_ros.nodes.proprio"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "is gone" in done.stderr


def test_every_parameter_of_every_node_is_described():
    from expo_ft_ros.nodes.arbitration import ArbitrationNode
    from expo_ft_ros.nodes.camera import CameraNode
    from expo_ft_ros.nodes.keyboard import KeyboardNode
    from expo_ft_ros.nodes.learner import LearnerNode
    from expo_ft_ros.nodes.operator import OperatorNode
    from expo_ft_ros.nodes.policy import PolicyNode
    from expo_ft_ros.nodes.proprio import ProprioNode
    from expo_ft_ros.nodes.recorder import RecorderNode
    from expo_ft_ros.nodes.reward import RewardNode
    from expo_ft_ros.nodes.session import SessionNode
    from expo_ft_ros.nodes.sim import SimNode
    from expo_ft_ros.nodes.spacemouse import SpaceMouseNode
    from expo_ft_ros.nodes.teleop import TeleopNode

    nodes = (
        ArbitrationNode,
        CameraNode,
        KeyboardNode,
        LearnerNode,
        OperatorNode,
        PolicyNode,
        ProprioNode,
        RecorderNode,
        RewardNode,
        SessionNode,
        SimNode,
        SpaceMouseNode,
        TeleopNode,
    )
    for node in nodes:
        for name, _, descriptor in describe(node.PARAMETERS):
            assert len(descriptor.description) > 10, f"{node.NAME}.{name}"


@pytest.mark.parametrize(("name", "urgent"), [("teleop", True), ("proprio", False)])
def test_who_is_urgent_is_woken_early_its_middleware_included(graph, name, urgent):
    node = graph.start(name)
    health = graph.probe.gather("/diagnostics")
    graph.probe.until(lambda: health, "its health")
    dds = [t for t in scheduling_of(node.process.pid) if t.thread.startswith("dds.")]
    kernel = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if kernel < SINCE:
        pytest.skip("this kernel keeps no slices")
    assert dds
    assert {thread.slice_ns == SHORT_SLICE for thread in dds} == {urgent}


@pytest.mark.parametrize("lockstep", [False, True])
def test_in_real_time_the_executor_of_who_is_urgent_comes_first_and_the_middleware_does_not(
    graph, lockstep
):
    node = graph.start("teleop", lockstep=lockstep)
    # Its executor runs once it answers.
    graph.probe.call("teleop/acknowledge")
    threads = Path(f"/proc/{node.process.pid}/task")
    first = {t.name for t in threads.iterdir() if os.sched_getscheduler(int(t.name))}
    dds = {t.name for t in threads.iterdir() if (t / "comm").read_text().startswith("dds.")}
    assert dds
    assert not first & dds
    assert (str(node.process.pid) in first) == (may_set_fifo_priority() and not lockstep)


def test_the_operators_way_to_the_tick_is_urgent():
    from expo_ft_ros.nodes.arbitration import ArbitrationNode
    from expo_ft_ros.nodes.camera import CameraNode
    from expo_ft_ros.nodes.keyboard import KeyboardNode
    from expo_ft_ros.nodes.spacemouse import SpaceMouseNode
    from expo_ft_ros.nodes.teleop import TeleopNode

    urgent = (ArbitrationNode, TeleopNode, SpaceMouseNode, KeyboardNode)
    assert all(node.URGENT for node in urgent)
    assert not CameraNode.URGENT
