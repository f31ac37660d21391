# SPDX-License-Identifier: Apache-2.0
"""The guide of `./expo-ft bringup`: it talks in the terminal, drives as a device on `joy`, and
measures by what the adapter says.

It publishes no command of its own: teleop, arbitration and adapter are between it and the arm. Its
end, or its silence, is a lost device.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped, TwistStamped
from rclpy.duration import Duration
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, Image, JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from expo_ft_ros.control.thread_priority import DEVICE_PRIORITY
from expo_ft_ros.doctor.guide.answers import ClosedInputError, Lines, Talk
from expo_ft_ros.doctor.guide.motions import Cell
from expo_ft_ros.doctor.guide.script import guide, steps_of
from expo_ft_ros.doctor.guide.seen import Asked, Episode, Executed, Pose, Seen
from expo_ft_ros.experiment.brought_up import COPY_FILE, Status, entry_of, keep_check
from expo_ft_ros.monitor.calibration import Calibrations
from expo_ft_ros.msg import EpisodeState, Step
from expo_ft_ros.recording.messages import (
    image_to_array,
    joint_positions,
    pose_arrays,
    require_frame,
    seconds,
    step_from_msg,
    twist_array,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.calibration import lens_of, placed_of
from expo_ft_ros.ros.frames import HAS_TF
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import header_of
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.tasks import load_task

_RATE = 50.0  # of its readings, also at rest [Hz]
# The end of a publisher may overtake its last message; a listener that hangs must not keep it.
_LAST_WORD = Duration(seconds=0.2)
_NOBODY_ANSWERS = 1
_BUTTONS = ("close", "open")


@dataclass(frozen=True)
class BringupParameters(NodeParameters):
    """Parameters of the bringup node."""

    record: str = parameter("", "File that keeps what has passed; pictures lie beside it.")
    target: str = parameter("", "What the record calls the robot.")
    checks: tuple[str, ...] = parameter((), "Checks to go through, in their order.")
    demos: str = parameter("", "Run or dataset whose pictures are compared with; empty: none.")


class BringupNode(GraphNode[BringupParameters]):
    """Thin over `doctor.guide`: fills what it sees, obeys what it asks for."""

    NAME = "bringup"
    URGENT = DEVICE_PRIORITY
    PARAMETERS = BringupParameters

    def _setup(self) -> None:
        wanted = self.parameters
        if not wanted.record or not wanted.target:
            raise ValueError("record or target is empty: what has passed can't be kept")
        task, self._robot = load_task(wanted.task), load_robot(wanted.robot)
        self._seen, self._asked = Seen(), Asked()
        talk = Talk(Lines(sys.stdin.fileno()), _write)
        estop = self.resolve_service_name("estop")
        self._cell = Cell(self._seen, self._asked, talk, self._robot, task.workspace, estop)
        before = None
        if wanted.demos:
            from expo_ft_ros.doctor.guide.pictures import first_frames

            before = first_frames(wanted.demos, self._robot, task)
        pictures = Path(wanted.record).with_suffix("")
        steps = steps_of(wanted.checks, pictures, before)
        self._course: Generator[None, None, None] | None = guide(self._cell, steps, self._keep)
        self._calibrations = Calibrations(self._robot.views, self._robot.frames)
        self._out = self.publisher("joy", needed=1)
        self._scene = self.client("/reset_episode", needed=True)
        self._listen()
        self.wall_timer(1 / _RATE, self._go_on)

    def _listen(self) -> None:
        self.subscription("robot/tcp_pose", self._on_pose)
        self.subscription("robot/tcp_twist", self._on_twist)
        self.subscription("joint_states", self._on_joints)
        self.subscription("robot/fault", self._on_fault, needed=False)
        self.subscription("step", self._on_step)
        self.subscription("episode/state", self._on_episode)
        for name in self._robot.view_names:
            self.subscription(f"camera/{name}/image_raw", lambda m, v=name: self._on_image(v, m))
            info = f"camera/{name}/camera_info"
            self.subscription(info, lambda m, v=name: self._on_info(v, m), needed=False)
            self.subscription(f"camera/{name}/mount", self._on_mount, needed=False)
        if HAS_TF:
            self.subscription("/tf_static", self._on_frames, needed=False)

    def _teardown(self) -> None:
        course, self._course = getattr(self, "_course", None), None
        if course is not None:
            course.close()

    def _safety_action(self) -> None:
        self._asked.let_go()
        self._say()
        self._out.wait_for_all_acked(_LAST_WORD)

    # -- the guide ------------------------------------------------------------------------------
    def _go_on(self) -> None:
        """A tick: what it asks for goes out whatever becomes of it."""
        self._seen.now = 1e-9 * self.now_ns()
        if self._course is not None:
            try:
                next(self._course)
            except StopIteration:
                self._course = None
                self.stop(0)
            except ClosedInputError:
                self._course = None
                self._cell.talk.say("\nStandard input is closed: nobody can answer.")
                self.stop(_NOBODY_ANSWERS)
        if self._asked.scene_is_set:
            self._asked.scene_is_set = False
            answer = self._scene.call_async(Trigger.Request())
            self.when_done(answer, self._on_answer)
        self._say()

    def _on_answer(self, answer: Future[Trigger.Response]) -> None:
        response = answer.result()
        self._seen.answer = response.message if response is not None else "no answer"

    def _say(self) -> None:
        asked = self._asked
        held = [int(asked.gripper == name) for name in _BUTTONS]
        buttons = [*held, int(asked.drives)]
        axes = [float(value) for value in asked.action] if asked.drives else [0.0] * 6
        self._out.publish(Joy(header=header_of(self.now_ns()), axes=axes, buttons=buttons))

    def _keep(self, check: str, status: Status, text: str, numbers: Mapping[str, object]) -> None:
        entry = entry_of(status, text, numbers, self._robot)
        files = [Path(self.parameters.record)]
        if self.parameters.run_dir:
            files.append(Path(self.parameters.run_dir) / COPY_FILE)
        for file in files:
            keep_check(file, self.parameters.target, check, entry)

    # -- what is seen ---------------------------------------------------------------------------
    def _on_pose(self, message: PoseStamped) -> None:
        require_frame(message, self._robot.frames.base)
        position, quaternion = pose_arrays(message.pose)
        self._seen.poses.append(Pose(seconds(message.header.stamp), position, quaternion))

    def _on_twist(self, message: TwistStamped) -> None:
        require_frame(message, self._robot.frames.base)
        self._seen.twists.append((seconds(message.header.stamp), twist_array(message.twist)))

    def _on_joints(self, message: JointState) -> None:
        fingers = joint_positions(message, self._robot.fingers, "joint_states")
        self._seen.width = float(sum(fingers))

    def _on_fault(self, message: String) -> None:
        self._seen.fault = message.data

    def _on_step(self, message: Step) -> None:
        step, stamp = step_from_msg(message), seconds(message.header.stamp)
        velocity = np.asarray(step.executed, np.float64) * self._robot.limits.scale()
        self._seen.steps.append(Executed(stamp, velocity, step.cause))

    def _on_episode(self, message: EpisodeState) -> None:
        before, said = self._seen.episode, message
        # Of the change: what follows has a stamp of its own.
        stamp = before.stamp if before.state == said.state else seconds(said.header.stamp)
        self._seen.episode = Episode(said.state, stamp, said.cause, said.asked, said.paused)

    def _on_image(self, view: str, message: Image) -> None:
        self._seen.images[view] = image_to_array(message)

    def _on_info(self, view: str, message: CameraInfo) -> None:
        self._calibrations.take_lens(view, lens_of(message))
        self._seen.cameras = dict(self._calibrations.cameras())

    def _on_mount(self, message: TransformStamped) -> None:
        placed = placed_of(message.transform)
        self._calibrations.take_fixed(message.header.frame_id, message.child_frame_id, placed)
        self._seen.cameras = dict(self._calibrations.cameras())

    def _on_frames(self, message: Any) -> None:
        for each in message.transforms:
            self._on_mount(each)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    """Runs the bringup node."""
    run_nodes(BringupNode)


if __name__ == "__main__":
    main()
