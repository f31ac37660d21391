# SPDX-License-Identifier: Apache-2.0
"""The keyboard's driver in a real terminal: what is typed there, over DDS, to the takeover."""

from __future__ import annotations

import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Quaternion, TransformStamped
from rosgraph_msgs.msg import Clock

from expo_ft_ros.devices.keyboard import KeyboardConfig
from expo_ft_ros.ros.messages import stamp_of
from support.keyboard_seat import AT_REST, COMMAND, Seat

CONFIG = KeyboardConfig.load()
LOCAL_MODES = 3
BROKEN = """
from expo_ft_ros.devices.keyboard import Keyboard
from expo_ft_ros.nodes.keyboard import main
def press(self, data, now):
    if data:
        raise RuntimeError("broken")
Keyboard.press = press
main()
"""


def quaternion_msg(axes: np.ndarray) -> Quaternion:
    """Of a matrix whose columns are a frame's axes."""
    w = 0.5 * np.sqrt(1 + np.trace(axes))
    x, y, z = (axes[2, 1] - axes[1, 2], axes[0, 2] - axes[2, 0], axes[1, 0] - axes[0, 1])
    return Quaternion(x=x / (4 * w), y=y / (4 * w), z=z / (4 * w), w=w)


@pytest.fixture
def sit(graph) -> Iterator[Callable[..., Seat]]:
    seats: list[Seat] = []

    def make(*given: Any, **options: Any) -> Seat:
        seats.append(Seat(graph, *given, **options))
        return seats[-1]

    yield make
    for seat in seats:
        seat.end()


@pytest.fixture
def teleop(graph) -> list[Any]:
    """The commands of a teleop that listens to the keyboard."""
    got: list[Any] = graph.probe.gather("teleop/command")
    graph.probe.publisher("episode/state")
    graph.start("teleop", device="keyboard", device_needed=True)
    graph.probe.until(lambda: len(got) > 2, "a heartbeat")
    return got


def test_keys_take_over_and_let_go(graph, sit, teleop):
    probe, got = graph.probe, teleop
    ready = probe.gather("nodes/ready")
    assert not got[-1].connected
    seat = sit(own=True)
    seat.at_rest()
    probe.until(lambda: got[-1].connected, "the keyboard")
    probe.until(lambda: {"teleop", "keyboard"} <= {m.data for m in ready}, "both are ready")
    assert not got[-1].engaged

    def holds_without_a_gap() -> bool:
        """Whether it was one takeover: a machine that halts somebody lets go of the key."""
        mark = len(got)
        seat.hold("w", lambda: np.allclose(got[-1].action, [CONFIG.fast, 0, 0, 0, 0, 0, 0]))
        assert got[-1].engaged
        # Where the keyboard was halted with a key down, it is lost until somebody knows.
        known = lambda: probe.call("teleop/acknowledge")  # noqa: E731
        probe.repeat(known, lambda: not got[-1].engaged, "the end of the takeover", every=3.0)
        taken = [m.engaged for m in got[mark:]]
        assert all(m.action[0] >= 0 and not np.any(m.action[1:]) for m in got[mark:])
        return taken[taken.index(True) :].index(False) == sum(taken)

    assert any(holds_without_a_gap() for _ in range(10)), "one takeover, without a gap"
    # For a moment each, which a machine that halts the teleop node takes away.
    closes = lambda: got[-1].engaged and got[-1].action[6] == -1  # noqa: E731
    probe.repeat(lambda: seat.type("c"), closes, "the gripper", every=2.0)
    probe.repeat(lambda: seat.type("L"), lambda: got[-1].action[5] < 0, "the turn", every=2.0)
    seat.reads(" YOU DRIVE: ")
    seat.type(" ")
    probe.until(lambda: not np.any(got[-1].action[:6]), "the arm to stand")
    seat.reads("any key takes over", last=True)
    shown = seat.shown()
    assert shown.count("gripper opens, closes") == 1
    assert shown.index("no graph listens yet") < shown.index("any key takes over")
    seat.type("\x1b[A\x1b[Bjackal, größe\n")
    mark = len(seat.joys)
    probe.until(lambda: len(seat.joys) > mark + CONFIG.rate, "a second of readings")
    assert all((list(m.axes), list(m.buttons)) == AT_REST for m in seat.joys[mark:])


def test_keys_are_in_the_frame_of_the_view_that_is_named(graph, sit):
    probe = graph.probe
    got, health = probe.gather("teleop/command"), probe.gather("/diagnostics")
    probe.publisher("episode/state")
    mounts = probe.publisher("camera/side/mount")
    graph.start("teleop", module="support.teleop_of_side", device="keyboard", device_needed=True)
    probe.until(lambda: len(got) > 2, "a heartbeat")
    seat = sit(own=True)
    seat.at_rest()
    probe.until(lambda: got[-1].connected, "the keyboard")
    seat.reads("nobody can push, frame side of config/teleop_keyboard.yaml: no fixed frame")
    seat.reads("as the picture of side shows it")
    seat.type("W")
    probe.spin(1.0)
    assert not got[-1].engaged, "nobody knows yet where that would lead"
    # From the far side of the table, level: it looks along -x of the base.
    mount = TransformStamped(child_frame_id="side_camera_optical_frame")
    mount.header.frame_id = "base"
    axes = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    mount.transform.rotation = quaternion_msg(axes)
    mounts.publish(mount)
    seat.reads("any key takes over", last=True)
    for key, axis, sign in (("W", 0, -1), ("A", 1, -1), ("R", 2, 1)):
        probe.repeat(
            lambda key=key: seat.type(key),
            lambda axis=axis, sign=sign: np.isclose(got[-1].action[axis], sign * CONFIG.slow),
            key,
            every=2.0,
        )
        probe.until(lambda: not np.any(got[-1].action[:6]), "the key to be let go")
    assert any("frame side" in each.message for m in health for each in m.status)


def test_a_graph_that_listens_to_something_else_is_said(graph, sit):
    """`./expo-ft train`, whose operator is scripted, and a keyboard beside it."""
    graph.probe.publisher("episode/state")
    graph.start("teleop", device="spacenav")
    seat = sit(own=True)
    seat.reads("listens to spacenav, not to this terminal: start it with operator:=keyboard")
    assert "takes over" not in seat.shown().partition("no graph listens yet")[2]


@pytest.mark.realtime
def test_it_speaks_at_rest_as_often_as_it_says(graph, sit):
    seat = sit(own=True)
    graph.probe.until(lambda: len(seat.joys) > 2 * CONFIG.rate, "two seconds of readings")
    stamps = [m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in seat.joys]
    assert np.median(np.diff(stamps)) == pytest.approx(1 / CONFIG.rate, rel=0.25)


def lost_while_driving(probe, sit, got, lose: Callable[[Seat], Any]) -> Seat:
    """The seat of a keyboard that was lost in a takeover, which is not over. Where the machine has
    let go of the key before, another one is tried."""
    for _ in range(4):
        seat = sit(own=True)
        seat.at_rest()
        probe.until(lambda: got[-1].connected, "the keyboard")
        seat.hold("w", lambda: got[-1].action[0] > 0.9 * CONFIG.fast)
        lose(seat)
        probe.until(lambda: not got[-1].connected, "the loss")
        if got[-1].engaged:
            return seat
        assert seat.process.wait(60.0) == 0
    raise AssertionError("nobody knows that it was lost while it drove")


def test_a_terminal_that_is_closed_is_a_lost_device(graph, sit, teleop):
    probe, got = graph.probe, teleop
    seat = lost_while_driving(probe, sit, got, Seat.shut)
    assert seat.process.wait(60.0) == 0
    seat.at_rest()
    mark = len(got)
    probe.spin(1.0)
    assert all(m.engaged and not np.any(m.action) for m in got[mark:]), "the policy may not go on"
    seat = sit(own=True)
    seat.at_rest()
    probe.spin(0.5)
    assert got[-1].engaged, "nor when a driver is back"
    assert probe.call("teleop/acknowledge").success
    probe.until(lambda: not got[-1].engaged, "the policy's turn")


def test_ctrl_c_while_driving_is_a_lost_device(graph, sit, teleop):
    probe, got = graph.probe, teleop
    seat = lost_while_driving(probe, sit, got, lambda seat: seat.type("\x03"))
    seat.at_rest()
    assert seat.process.wait(60.0) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(sit, number):
    seat = sit(own=False)
    seat.at_rest()
    assert not seat.modes()[LOCAL_MODES] & (termios.ECHO | termios.ICANON)
    seat.process.send_signal(number)
    assert seat.process.wait(60.0) == 0
    assert seat.modes() == seat.untouched
    assert "Traceback" not in seat.shown()


def test_a_failure_leaves_the_terminal_as_it_was(sit):
    seat = sit(("-c", BROKEN), own=False)
    seat.at_rest()
    assert seat.modes() != seat.untouched
    seat.type("w")
    assert seat.process.wait(60.0) == 1
    assert seat.modes() == seat.untouched
    assert "RuntimeError: broken" in seat.shown()


def test_a_graph_in_lockstep_hears_it(graph, sit):
    probe = graph.probe
    clock = probe.publisher("/clock")
    probe.publisher("episode/state")
    got = probe.gather("teleop/command")
    graph.start("teleop", device="keyboard", device_needed=True, lockstep=True)
    sit(own=True).at_rest()
    probe.ready("teleop")
    probe.matched()
    for tick in range(1, 300):
        clock.publish(Clock(clock=stamp_of(tick * 100_000_000)))
        probe.until(lambda tick=tick: len(got) >= tick, "the answer")
        if got[-1].connected:
            return
        probe.spin(0.1)
    raise AssertionError("the keyboard was not heard")


def test_without_a_terminal_it_says_what_to_do(graph):
    command = [sys.executable, *COMMAND]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "run ./expo-ft keyboard in a terminal of its own" in done.stderr
    node = graph.start("keyboard")  # As under a runner: no terminal either.
    assert node.wait() == 1
    assert "run ./expo-ft keyboard in a terminal of its own" in node.log.read_text()
