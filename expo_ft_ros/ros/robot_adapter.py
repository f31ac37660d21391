# SPDX-License-Identifier: Apache-2.0
"""The node between the graph's commands and a robot's controller: what every adapter does alike.

A robot's own adapter is a subclass, here or in a package of its own. `RobotAdapter` takes commands,
checks them, watches that they keep coming, and tells the robot's state; `PoseAdapter` is one for a
controller that follows a tool pose. Heartbeat, readiness and lifecycle are `GraphNode`'s.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from numpy.typing import NDArray
from rclpy.duration import Duration
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.thread_priority import TICK_PRIORITY
from expo_ft_ros.data.types import ACTION_DIM, Proprio
from expo_ft_ros.recording.messages import (
    BadMessage,
    is_zero,
    nanoseconds,
    reject_future_stamp,
    require_frame,
    twist_array,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.gripper import GripperGoal, GripperGoals
from expo_ft_ros.robots.twist_follower import Target, TwistFollower
from expo_ft_ros.robots.watchdog import CommandWatchdog, StateWatch
from expo_ft_ros.ros.frames import FramePublisher, transform
from expo_ft_ros.ros.graph_node import ERROR, OK, WARN, GraphNode, NodeParameters
from expo_ft_ros.ros.messages import header_of, pose_of, to_array, twist_of

TWIST, GRIPPER = "twist", "gripper"
"""Kinds of command."""

_UNIT = 0.01
"""How far a measured quaternion's length may be from 1."""

_LAST_WORD = 0.2
"""The last messages are waited for so long before the node ends [s]."""

_MOST_CYCLES = 2.0
"""Cycles that one which comes late stands for, at most."""


@dataclass(frozen=True)
class AdapterParameters(NodeParameters):
    """Parameters of every adapter; what belongs to the robot is in its file."""


P = TypeVar("P", bound=AdapterParameters)


class RobotAdapter(GraphNode[P]):
    """Takes commands and tells the state; a subclass connects the two with a robot.

    It calls `super()._setup()` first; then `robot` is the robot's configuration, and what is to be
    done now is `due_command`. `show_state` and `report_fault` tell how the robot is, and `stand` is
    called before it ends.
    """

    NAME = "robot"

    def _setup(self) -> None:
        self.robot = load_robot(self.parameters.robot)
        if self.get_name() != self.robot.node:
            raise ConfigError(
                f"robot {self.robot.name}: node: {self.robot.node!r} is not this node's name, "
                f"{self.get_name()!r} (write it there, or start it with -r __node:="
                f"{self.robot.node})"
            )
        self._command = np.zeros(ACTION_DIM)
        self._stamps: dict[str, int] = {}
        self._watchdog = CommandWatchdog(self.robot.following.command_timeout)
        self._was_commanded = False
        self._fault = ""
        self.frames = FramePublisher(self)
        self._joints_out = self.publisher("joint_states")
        self._pose_out = self.publisher("robot/tcp_pose")
        self._twist_out = self.publisher("robot/tcp_twist")
        self._fault_out = self.publisher("robot/fault")
        self.subscription("robot/twist_cmd", self._on_twist)
        self.subscription("robot/gripper_cmd", self._on_gripper)

    def _start(self) -> None:
        self._fault_out.publish(String(data=self._fault))

    def _safety_action(self) -> None:
        self._command[:] = 0.0
        self.stand()
        # The node goes at once: what it has just published is to arrive before that.
        until = time.monotonic() + _LAST_WORD
        for publisher in self.publishers:
            left = max(0.0, until - time.monotonic())
            publisher.wait_for_all_acked(Duration(seconds=left))

    def stand(self) -> None:
        """Stops the robot at once. Called before this node ends or is deactivated, for whatever
        reason but a SIGKILL; no command is obeyed, and no timer runs, after it. What it publishes
        is waited for, where its publisher is reliable. Must not block for more than 0.1 s."""
        raise NotImplementedError

    # -- commands -------------------------------------------------------------------------------
    def due_command(self) -> NDArray[np.float64]:
        """(7,) what the robot shall do now: velocity of the tool in base axes [m/s, rad/s] and of
        the gripper's opening [m/s]. Zeros where no command has come in time, and in a fault."""
        if self._fault:
            self._command[:] = 0.0
        elif self._watchdog.expired(time.monotonic()):
            self._command[:] = 0.0
            self.report(WARN, "no command: the arm stands")
        else:
            note = self.status_note()
            self.report(WARN if note else OK, note or "ready")
        return self._command.copy()

    def status_note(self) -> str:
        """What the operator should know while the arm follows commands; "" for nothing."""
        return ""

    @property
    def must_stand(self) -> bool:
        """Whether no command has come in time, or the robot has stopped itself."""
        return bool(self._fault) or self._watchdog.expired(time.monotonic())

    def _on_twist(self, message: TwistStamped) -> None:
        twist = twist_array(message.twist)
        if not np.isfinite(twist).all():
            raise BadMessage(f"a velocity is not finite: {twist.tolist()}")
        if twist.any():  # A zero is one in any frame; who sends it may not know the robot.
            require_frame(message, self.robot.frames.base)
        if self._is_news(TWIST, message.header, still=is_zero(message)):
            self._command[:6] = twist
            self._was_commanded |= bool(twist.any())
            self._watchdog.command(time.monotonic())
            self._commanded(TWIST, nanoseconds(message.header.stamp))

    def _on_gripper(self, message: JointState) -> None:
        if len(message.velocity) != 1 or not math.isfinite(message.velocity[0]):
            raise BadMessage(f"velocities {list(message.velocity)}, wants one finite number [m/s]")
        if self._is_news(GRIPPER, message.header, still=is_zero(message)):
            self._command[6] = message.velocity[0]
            self._was_commanded |= message.velocity[0] != 0.0
            self._commanded(GRIPPER, nanoseconds(message.header.stamp))

    def _commanded(self, kind: str, stamp_ns: int) -> None:
        """A command was taken; for an adapter whose time waits for it."""

    def _is_news(self, kind: str, header: Header, *, still: bool) -> bool:
        """Whether a command counts: one that is older than the newest came late, but for a zero,
        which always holds.

        Raises:
            BadMessage: for a motion older than `following.command_timeout`, whose sender may be
                gone: as after a stall, in which it waited.
        """
        stamp, before, now = nanoseconds(header.stamp), self._stamps.get(kind, 0), time.time_ns()
        reject_future_stamp(stamp, now)
        stamp = min(stamp, now)
        age, most = 1e-9 * (now - stamp), self.robot.following.command_timeout
        if age > most and not still:
            raise BadMessage(
                f"stamped {age:.2f} s ago, wants at most {most:g} s (its sender or this node is "
                "late, or the sender's clock is behind this machine's: synchronise them)"
            )
        if before > now:
            before = 0  # The clock was set back.
        self._stamps[kind] = max(before, stamp)
        return stamp >= before or still

    # -- what the robot tells -------------------------------------------------------------------
    def show_state(self, state: Proprio, stamp_ns: int) -> None:
        """Publishes joints, twist and pose of one moment, and the tool's frame.

        Args:
            state: As measured; joints in the order of the robot's file.
            stamp_ns: When it was measured [ns].

        Raises:
            BadMessage: for a number that is not finite, a quaternion that isn't of length 1, or
                another number of joints; nothing is published then, and the graph holds the arm.
        """
        fingers = [state.gripper_width / len(self.robot.fingers)] * len(self.robot.fingers)
        positions = [*state.joints, *fingers]
        names = [*self.robot.joints, *self.robot.fingers]
        if len(positions) != len(names):
            raise BadMessage(f"{len(state.joints)} joints, but {len(self.robot.joints)} have names")
        if not np.isfinite([*state.vector(), *state.linear, *state.angular, *positions]).all():
            raise BadMessage("the robot's measured state is not finite")
        length = float(np.linalg.norm(state.quaternion))
        if abs(length - 1.0) > _UNIT:
            raise BadMessage(
                f"the robot's measured orientation {state.quaternion.tolist()} has the length "
                f"{length:.3f}, wants 1 (x, y, z, w; its driver may not be ready)"
            )
        header = header_of(stamp_ns, self.robot.frames.base)
        joints = JointState(header=header, name=names)
        joints.position = to_array(positions, "d")
        self.send(self._joints_out, joints)
        twist = TwistStamped(header=header, twist=twist_of(state.linear, state.angular))
        self.send(self._twist_out, twist)
        pose = PoseStamped(header=header, pose=pose_of(state.position, state.quaternion))
        self.send(self._pose_out, pose)
        self.frames.show(transform(header, self.robot.frames.tool, pose.pose))

    def report_fault(self, cause: str) -> None:
        """Tells why the robot has stopped itself, once for each cause; it latches in the graph like
        an emergency stop. cause: "" once it has recovered."""
        if cause == self._fault:
            return
        self._fault = cause
        self._fault_out.publish(String(data=cause))
        self.report(ERROR if cause else OK, f"fault: {cause}" if cause else "ready")

    def send(self, publisher: Any, message: Any) -> None:
        """Publishes a message of the robot's state."""
        publisher.publish(message)


class PoseAdapter(RobotAdapter[P]):
    """For a controller that follows a tool pose and a gripper that opens and closes.

    Each cycle, `state_rate` times a second: reads the state, tells it, and sends the next target.
    A subclass fills `read_state`, `send_target` and `send_gripper`. While the robot must stand the
    same target is sent again each cycle, without a velocity. While its state isn't known no target
    is sent (`hold_blindly`), and the next one begins where the arm is then. Nothing at all is sent
    before the first command that moves: a robot whose graph has motion off is left alone, and a
    target of a pose that means another tool or frame than the controller's would move the arm.
    """

    URGENT = TICK_PRIORITY
    _follower: TwistFollower | None = None

    def _setup(self) -> None:
        super()._setup()
        self._follower = None
        self._state_watch = StateWatch(self.robot.following.state_timeout)
        self._told_ns = 0
        self._grips = GripperGoals(self.robot.limits.gripper_velocity)
        self._stands, self._lost = True, True
        self._cycle_at = time.monotonic()
        self.wall_timer(1.0 / self.robot.state_rate, self._cycle)

    def read_state(self) -> tuple[Proprio, int] | None:
        """The newest measured state, and when it was measured by this machine's clock [ns, as
        time.time_ns]; None where there is none. Must not block.

        The time is the robot's or its driver's stamp, not that of the reading: a driver that hangs
        is known by it.
        """
        raise NotImplementedError

    def send_target(self, target: Target) -> None:
        """Gives the controller its next tool pose. Must not block."""
        raise NotImplementedError

    def send_gripper(self, goal: GripperGoal) -> None:
        """Gives the gripper a goal, which replaces the one before. Must not block."""
        raise NotImplementedError

    def blocked_reason(self, state: Proprio) -> str:
        """Why the controller can't follow now; "" while it can. Must not block.

        The arm then stands, and the target stays where the arm is.

        Args:
            state: As just measured.
        """
        return ""

    @property
    def is_silent(self) -> bool:
        """Whether no target is to be sent now, not even one that stands: where another program
        sends targets, ours would fight with them."""
        return False

    def hold_blindly(self) -> None:
        """Called each cycle in which the robot's state isn't known. Must not block.

        Nothing by default: a controller that follows poses keeps the last, and an old one sent
        again would pull at an arm that has been guided meanwhile. One that goes on with a velocity
        is to be told to stop.
        """

    def stop_gripper(self) -> None:
        """Stops a gripper that is on its way, as the robot begins to stand. Must not block.

        Where a subclass doesn't fill it, a goal that was given is finished.
        """

    def stand(self) -> None:
        """See RobotAdapter: the last target once more, without a velocity; none where the state
        isn't known."""
        if not self._stands:
            self._stands = True
            self._grips.update(0.0)
            self.stop_gripper()
        if self._follower is not None:
            self._follower.freeze()
        if not self._was_commanded:
            return
        if self._lost:
            self.hold_blindly()
        elif self._follower is not None and not self.is_silent:
            self.send_target(self._follower.target)

    def _cycle(self) -> None:
        now, before = time.monotonic(), self._cycle_at
        self._cycle_at = now
        try:
            state = self._measured(now)
        except BadMessage as error:
            self.report(ERROR, str(error))
            self._lost = True
            self.stand()
            return
        if self._follower is None:
            self._follower = TwistFollower(self.robot, state.position, state.quaternion)
        elif self._lost:
            self._follower.reset(state.position, state.quaternion)
        self._lost = False
        reason = self.blocked_reason(state)
        if reason:
            self.report(ERROR, reason)
            self._follower.reset(state.position, state.quaternion)
            self.stand()
            return
        command = self.due_command()
        moved = self._stands and self._follower.is_left_behind(state.position, state.quaternion)
        if self._fault or moved:
            # It has stopped itself, or somebody has guided it by hand: nothing pulls at it.
            self._follower.reset(state.position, state.quaternion)
        if self.must_stand:
            self.stand()
            return
        if not self._was_commanded:
            self._follower.reset(state.position, state.quaternion)
            return
        self._stands = False
        most = _MOST_CYCLES / self.robot.state_rate
        dt = min(max(now - before, 1e-6), most)
        self.send_target(self._follower.advance(command[:6], state.position, state.quaternion, dt))
        goal = self._grips.update(command[6])
        if goal is not None:
            self.send_gripper(goal)

    def _measured(self, now: float) -> Proprio:
        """The state of now, which is told where it is a new one; raises BadMessage for none."""
        sample = self.read_state()
        if sample is None:
            raise BadMessage("the robot tells no state: the arm stands")
        state, stamp_ns = sample
        clock_ns = time.time_ns()
        reject_future_stamp(stamp_ns, clock_ns)
        cause = self._state_watch.check(stamp_ns, clock_ns, now)
        if cause:
            raise BadMessage(f"the robot's newest state {cause}: the arm stands")
        if stamp_ns != self._told_ns:
            self.show_state(state, stamp_ns)
            self._told_ns = stamp_ns
        return state
