"""The simulated robot cell on the topics of a real one, in lock-step or in real time.

Lock-step: a control period passes when both commands stamped with the present time have come, and
where an operator takes part, his word that he has answered it. Real time: physics runs by the wall
clock, and the arm stands when no command comes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from expo_ft_ros.control.lockstep import RESEND_AFTER
from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.msg import SimState
from expo_ft_ros.recording.messages import (
    NANOSECONDS,
    BadMessage,
    is_zero,
    nanoseconds,
    reject_future_stamp,
    twist_array,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import OK, WARN, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import (
    BASE_FRAME,
    array_to_image,
    header_of,
    pose_of,
    stamp_of,
    to_array,
    twist_of,
)
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.sim.franka import FINGERS, JOINTS
from expo_ft_ros.sim.world import CAMERAS
from expo_ft_ros.srv import ResetScene
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.scenes import make_world

_CHECK_PERIOD = 0.1
# Zero is no stamp at all to many tools.
_START_NS = NANOSECONDS
# Physics runs in pieces of a control period, so that a command acts 20 ms after it came.
_PIECES = 5
_WAITED_FOR = ("twist", "gripper", "operator")


@dataclass(frozen=True)
class SimParameters(NodeParameters):
    """Parameters of the sim node."""

    seed: int = parameter(0, "Seed of the scene before the first reset.", low=0, high=2**31)
    render_size: int = parameter(224, "Side of the square camera images [px].", low=16, high=1024)
    wait_for_operator: bool = parameter(False, "Lock-step: time also waits for sim/operator_ready.")
    command_timeout: float = parameter(
        0.2, "Real time: without a command for so long the arm stands [s].", low=0.05, high=2.0
    )


class SimNode(GraphNode[SimParameters]):
    """Owns the world and, in lock-step, the time."""

    NAME = "sim"
    PARAMETERS = SimParameters

    def _setup(self) -> None:
        task = load_task(self.parameters.task)
        robot = load_robot(self.parameters.robot)
        self._period_ns = round(NANOSECONDS / task.control_hz)
        self._world = make_world(
            task, robot.limits, self.parameters.render_size, self.parameters.seed
        )
        self._world.images()
        self._resets = 1
        # Which episode's scene of which seed was reset last, and the time of its first frame [ns].
        self._reset_for, self._valid_from = (0, 0), 0
        self._time_ns = _START_NS
        self._command = np.zeros(ACTION_DIM)
        self._arrived: dict[str, int] = {}
        self._outbox: list[tuple[Any, Any]] = []
        self._since = self._commanded = time.monotonic()
        self._piece = 0
        self._clock_out = self.publisher("/clock")
        self._image_out = {v: self.publisher(f"{v}_camera/image_raw") for v in CAMERAS}
        self._joints_out = self.publisher("joint_states")
        self._pose_out = self.publisher("robot/tcp_pose")
        self._twist_out = self.publisher("robot/tcp_twist")
        self._state_out = self.publisher("sim/state")
        self.subscription("robot/twist_cmd", self._on_twist)
        self.subscription("robot/gripper_cmd", self._on_gripper)
        self.service("sim/reset", self._on_reset)
        if self.parameters.lockstep:
            if self.parameters.wait_for_operator:
                self.subscription("sim/operator_ready", self._on_operator)
            self.wall_timer(_CHECK_PERIOD, self._resend)
        else:
            self.wall_timer(1e-9 * self._period_ns / _PIECES, self._run_a_piece)

    def _start(self) -> None:
        if self.parameters.lockstep:
            self._show()

    def _teardown(self) -> None:
        if hasattr(self, "_world"):
            self._world.close()

    # -- commands -------------------------------------------------------------------------------
    def _on_twist(self, message: TwistStamped) -> None:
        twist = twist_array(message.twist)
        if not np.isfinite(twist).all():
            raise BadMessage(f"a velocity is not finite: {twist.tolist()}")
        if self._is_news("twist", message.header, still=is_zero(message)):
            self._command[:6] = twist
            self._note("twist", message.header)
            self._commanded = time.monotonic()

    def _on_gripper(self, message: JointState) -> None:
        if len(message.velocity) != 1 or not math.isfinite(message.velocity[0]):
            raise BadMessage(f"velocities {list(message.velocity)}, wants one finite number [m/s]")
        if self._is_news("gripper", message.header, still=is_zero(message)):
            self._command[6] = message.velocity[0]
            self._note("gripper", message.header)

    def _on_operator(self, message: Header) -> None:
        self._note("operator", Header(stamp=message.stamp))

    def _is_news(self, kind: str, header: Header, *, still: bool) -> bool:
        """In lock-step the first command of a time holds: a later one, as of a pause, would not be
        what was recorded, nor does one of a time that is over. In real time an older one than the
        newest came late, but for a zero, which always holds."""
        stamp, before = nanoseconds(header.stamp), self._arrived.get(kind, 0)
        if self.parameters.lockstep:
            return before < stamp == self._time_ns
        now = self._wall_ns()
        reject_future_stamp(stamp, now)
        stamp = min(stamp, now)
        if before > now:
            before = 0  # The clock was set back.
        self._arrived[kind] = max(before, stamp)
        return stamp >= before or still

    def _note(self, kind: str, header: Header) -> None:
        if not self.parameters.lockstep:
            return
        self._arrived[kind] = nanoseconds(header.stamp)
        here = self._arrived
        if here.get("twist") != self._time_ns or here.get("gripper") != self._time_ns:
            return
        if self.parameters.wait_for_operator and here.get("operator", 0) < self._time_ns:
            return
        self._world.step(self._command, 1e-9 * self._period_ns)
        self._time_ns += self._period_ns
        self._show()

    # -- reset ----------------------------------------------------------------------------------
    def _on_reset(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        wanted = (int(request.episode), int(request.seed))
        # Who got no answer in time asks again; by then the episode may be on.
        if wanted[0] == 0 or self._reset_for != wanted:
            self._reset(wanted[1])
            self._reset_for, self._valid_from = wanted, self._time_ns
        response.success = True
        response.valid_from = stamp_of(self._valid_from)
        return response

    def _reset(self, seed: int) -> None:
        self._world.reset(seed)
        self._command[:] = 0.0
        self._resets += 1
        if self.parameters.lockstep:
            self._time_ns += self._period_ns
            self._show()
        else:
            self._time_ns = self._wall_ns()

    # -- real time ------------------------------------------------------------------------------
    def _wall_ns(self) -> int:
        # Not the node's clock: with use_sim_time that would be the one we publish.
        return time.time_ns()

    def _run_a_piece(self) -> None:
        if time.monotonic() - self._commanded > self.parameters.command_timeout:
            self._command[:] = 0.0
            self.report(WARN, "no command: the arm stands")
        else:
            self.report(OK, "ready")
        self._world.step(self._command, 1e-9 * self._period_ns / _PIECES)
        self._time_ns = self._wall_ns()
        self._piece = (self._piece + 1) % _PIECES
        self._show(everything=self._piece == 0)

    # -- what sensors would give ----------------------------------------------------------------
    def _show(self, *, everything: bool = True) -> None:
        """Publishes the present state; what others work on while we render goes first."""
        self._outbox.clear()
        header = header_of(self._time_ns, BASE_FRAME)
        self._send(self._clock_out, Clock(clock=header.stamp))
        self._send_robot(header)
        if everything:
            self._send(self._state_out, self._truth(header))
            for view, image in self._world.images().items():
                camera = header_of(self._time_ns, f"{view}_camera")
                self._send(self._image_out[view], array_to_image(image, camera))
        if self.parameters.lockstep:
            self._since = time.monotonic()

    def _send(self, publisher: Any, message: Any) -> None:
        publisher.publish(message)
        if self.parameters.lockstep:
            self._outbox.append((publisher, message))

    def _resend(self) -> None:
        if time.monotonic() - self._since < RESEND_AFTER:
            return
        self._since = time.monotonic()
        missing = [k for k in _WAITED_FOR if self._arrived.get(k, 0) < self._time_ns]
        self.report(OK, "time stands", waiting_for=", ".join(missing), time=self._time_ns * 1e-9)
        for publisher, message in self._outbox:
            publisher.publish(message)

    def _send_robot(self, header: Header) -> None:
        proprio = self._world.proprio()
        fingers = [proprio.gripper_width / 2] * 2
        joints = JointState(header=header, name=[*JOINTS, *FINGERS])
        joints.position = to_array([*proprio.joints, *fingers], "d")
        self._send(self._joints_out, joints)
        twist = TwistStamped(header=header, twist=twist_of(proprio.linear, proprio.angular))
        self._send(self._twist_out, twist)
        pose = PoseStamped(header=header, pose=pose_of(proprio.position, proprio.quaternion))
        self._send(self._pose_out, pose)

    def _truth(self, header: Header) -> SimState:
        objects = self._world.objects()
        return SimState(
            header=header,
            resets=self._resets,
            names=list(objects),
            poses=[pose_of(position, quaternion) for position, quaternion in objects.values()],
            success=bool(self._world.success()),
        )


def main() -> None:
    """Runs the sim node."""
    run_nodes(SimNode)


if __name__ == "__main__":
    main()
