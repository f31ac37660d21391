# SPDX-License-Identifier: Apache-2.0
"""The simulated robot cell on the topics of a real one, in lock-step or in real time.

Lock-step: a control period passes when both commands stamped with the present time have come, and
where an operator takes part, its word that it has answered. Real time: physics runs by the wall
clock, and the arm stands when no command comes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header

from expo_ft_ros.control.lockstep import RESEND_AFTER
from expo_ft_ros.data.perturbations import PERTURBATIONS, parse_perturbations
from expo_ft_ros.msg import SimState
from expo_ft_ros.recording.messages import NANOSECONDS, nanoseconds
from expo_ft_ros.ros.camera_info import pinhole_info
from expo_ft_ros.ros.frames import transform
from expo_ft_ros.ros.graph_node import OK, parameter
from expo_ft_ros.ros.messages import array_to_image, header_of, pose_of, stamp_of
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_adapter import GRIPPER, TWIST, AdapterParameters, RobotAdapter
from expo_ft_ros.srv import ResetScene
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.scenes import make_world

_CHECK_PERIOD = 0.1
# Zero is no stamp at all to many tools.
_START_NS = NANOSECONDS
# Physics runs in pieces of a control period, so that a command acts 20 ms after it came.
_PIECES = 5
OPERATOR = "operator"


@dataclass(frozen=True)
class SimParameters(AdapterParameters):
    """Parameters of the sim node."""

    seed: int = parameter(0, "Seed of the scene before the first reset.", low=0, high=2**31)
    render_size: int = parameter(224, "Side of the square camera images [px].", low=16, high=1024)
    wait_for_operator: bool = parameter(False, "Lock-step: time also waits for sim/operator_ready.")
    perturb: str = parameter(
        "", f"What disturbs each scene, with commas between: {', '.join(PERTURBATIONS)}."
    )


class SimNode(RobotAdapter[SimParameters]):
    """Owns the world and, in lock-step, the time."""

    NAME = "sim"
    PARAMETERS = SimParameters

    def _setup(self) -> None:
        super()._setup()
        task = load_task(self.parameters.task)
        self._period_ns = round(NANOSECONDS / task.control_hz)
        self._views = {view.name: view for view in self.robot.views}
        self._world = make_world(
            task,
            self.robot.limits,
            self.parameters.render_size,
            self.parameters.seed,
            self.robot.view_names,
            parse_perturbations(self.parameters.perturb),
        )
        self._world.images()
        self._resets = 1
        # Which episode's scene of which seed was reset last, and the time of its first frame [ns].
        self._reset_for, self._valid_from = (0, 0), 0
        self._time_ns = _START_NS
        self._outbox: list[tuple[Any, Any]] = []
        self._since = time.monotonic()
        self._piece = 0
        self._clock_out = self.publisher("/clock")
        self._image_out = {
            view.name: self.publisher(f"{view.name}_camera/image_raw", remapped=view.topic)
            for view in self.robot.views
        }
        self._info_out = {
            view.name: self.publisher(f"{view.name}_camera/camera_info", remapped=view.info_topic)
            for view in self.robot.views
        }
        self._focal_lengths = {
            view: self._world.camera_mount(view).focal_length for view in self._views
        }
        self._mount_out = {view: self.publisher(f"camera/{view}/mount") for view in self._views}
        self._state_out = self.publisher("sim/state")
        self.service("sim/reset", self._on_reset)
        if self.parameters.lockstep:
            if self.parameters.wait_for_operator:
                self.subscription("sim/operator_ready", self._on_operator)
            self.wall_timer(_CHECK_PERIOD, self._resend)
        else:
            self.wall_timer(1e-9 * self._period_ns / _PIECES, self._run_a_piece)

    def _start(self) -> None:
        super()._start()
        self._show_cameras()
        if self.parameters.lockstep:
            self._show()

    def stand(self) -> None:
        """See RobotAdapter: the world stands still with its node."""

    def _teardown(self) -> None:
        if hasattr(self, "_world"):
            self._world.close()

    # -- commands -------------------------------------------------------------------------------
    def _on_operator(self, message: Header) -> None:
        self._answered(OPERATOR, nanoseconds(message.stamp))

    def _is_news(self, kind: str, header: Header, *, still: bool) -> bool:
        """In lock-step the first command of a time holds: a later one, as of a pause, would not be
        what was recorded, nor does one of a time that is over."""
        if self.parameters.lockstep:
            return self._stamps.get(kind, 0) < nanoseconds(header.stamp) == self._time_ns
        return super()._is_news(kind, header, still=still)

    def _commanded(self, kind: str, stamp_ns: int) -> None:
        if self.parameters.lockstep:
            self._answered(kind, stamp_ns)

    def _answered(self, kind: str, stamp_ns: int) -> None:
        """Lock-step: goes on once everybody has answered the present time."""
        self._stamps[kind] = stamp_ns
        here = self._stamps
        if here.get(TWIST) != self._time_ns or here.get(GRIPPER) != self._time_ns:
            return
        if self.parameters.wait_for_operator and here.get(OPERATOR, 0) < self._time_ns:
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
        self._world.step(self.due_command(), 1e-9 * self._period_ns / _PIECES)
        self._time_ns = self._wall_ns()
        self._piece = (self._piece + 1) % _PIECES
        self._show(everything=self._piece == 0)

    # -- what sensors would give ----------------------------------------------------------------
    def _show(self, *, everything: bool = True) -> None:
        """Publishes the present state; what others work on while we render goes first."""
        self._outbox.clear()
        header = header_of(self._time_ns, self.robot.frames.base)
        self.send(self._clock_out, Clock(clock=header.stamp))
        self.show_state(self._world.proprio(), self._time_ns)
        if everything:
            self.send(self._state_out, self._truth(header))
            for view, image in self._world.images().items():
                camera = header_of(self._time_ns, self._views[view].frame)
                self.send(self._image_out[view], array_to_image(image, camera))
                info = pinhole_info(camera, len(image), self._focal_lengths[view])
                self._info_out[view].publish(info)
        if self.parameters.lockstep:
            self._since = time.monotonic()

    def _show_cameras(self) -> None:
        """Publishes where the cameras are, which stays so."""
        frames = self.robot.frames
        fixed = []
        for view in self.robot.views:
            mount = self._world.camera_mount(view.name)
            header = header_of(self._time_ns, frames.tool if mount.on_tool else frames.base)
            fixed.append(transform(header, view.frame, pose_of(mount.position, mount.quaternion)))
            self._mount_out[view.name].publish(fixed[-1])
        self.frames.fix(fixed)

    def send(self, publisher: Any, message: Any) -> None:
        """Publishes a message of the present time, which lock-step may have to send again."""
        super().send(publisher, message)
        if self.parameters.lockstep:
            self._outbox.append((publisher, message))

    def _resend(self) -> None:
        if time.monotonic() - self._since < RESEND_AFTER:
            return
        self._since = time.monotonic()
        missing = [k for k in (TWIST, GRIPPER, OPERATOR) if self._stamps.get(k, 0) < self._time_ns]
        self.report(OK, "time stands", waiting_for=", ".join(missing), time=self._time_ns * 1e-9)
        for publisher, message in self._outbox:
            publisher.publish(message)

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
