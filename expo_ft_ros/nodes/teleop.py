# SPDX-License-Identifier: Apache-2.0
"""What the operator asks for: the topics of an input device through the teleop mapper.

In real time a command goes out on every input and some ten times a second. In lock-step there
is exactly one for each time of the simulation, so that a run doesn't depend on who was faster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped, Twist
from numpy.typing import NDArray
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.control.thread_priority import DEVICE_PRIORITY
from expo_ft_ros.data.types import GRIPPER
from expo_ft_ros.devices.gripper_latch import GripperLatch
from expo_ft_ros.devices.teleop import (
    CONFIG_FILES,
    DEVICE,
    FRAME,
    REDO,
    Takeover,
    TeleopConfig,
    TeleopMapper,
    TeleopState,
)
from expo_ft_ros.devices.view_frame import BASE, axes_of_picture, require_frame
from expo_ft_ros.monitor.calibration import Calibrations, Lens
from expo_ft_ros.msg import EpisodeState, Step, TeleopCommand
from expo_ft_ros.recording.messages import BadMessage, nanoseconds, twist_array
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.calibration import placed_of
from expo_ft_ros.ros.frames import HAS_TF
from expo_ft_ros.ros.graph_node import ERROR, OK, WARN, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import header_of, teleop_to_msg
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.tasks import load_task

_HEARTBEAT, _LOOK = 0.1, 0.02  # [s] told, and looked whether the device hangs
_TWIST = 6
_UNREST = (
    "the device was never seen at rest: let go of it; if that doesn't help, an axis of config/{} "
    "rests elsewhere (ros2 topic echo /joy)"
)


@dataclass(frozen=True)
class TeleopParameters(NodeParameters):
    """Parameters of the teleop node."""

    device: str = parameter(
        "spacenav",
        "Input device: spacenav (a SpaceMouse), joy (a gamepad), keyboard or leader (on joy, too).",
    )
    device_needed: bool = parameter(
        False, "The run begins only when the device's driver publishes."
    )


class TeleopNode(GraphNode[TeleopParameters]):
    """Thin over `devices.teleop.TeleopMapper`."""

    NAME = "teleop"
    URGENT = DEVICE_PRIORITY
    PARAMETERS = TeleopParameters

    def _setup(self) -> None:
        if self.parameters.device not in CONFIG_FILES:
            raise ValueError(
                f"device is {self.parameters.device!r}, known are {', '.join(CONFIG_FILES)}"
            )
        self._file = CONFIG_FILES[self.parameters.device]
        self._config = TeleopConfig.load(device=self.parameters.device)
        if self.parameters.device == "spacenav" and self._config.readings > _TWIST:
            raise ValueError(
                f"axes {self._config.axes} of {CONFIG_FILES['spacenav']}: a SpaceMouse gives "
                f"readings 0 to {_TWIST - 1}"
            )
        self._latch = GripperLatch(SafetyConfig.load().takeover_gripper)
        period = load_task(self.parameters.task).period
        self._mapper = TeleopMapper(self._config, period, self._latch)
        self._frame_flaw = ""
        if self._config.frame != BASE:
            self._find_frame()
        self._buttons: list[int] = []
        self._sent: TeleopCommand | None = None
        self._sent_at = 0.0
        self._time_ns = 0
        self._out = self.publisher("teleop/command", needed=1)
        # The operator may come later: neither is needed.
        if self.parameters.device == "spacenav":
            name = "spacenav/twist"
            self._device = self.subscription(name, self._on_twist, needed=False, timed=True)
            self.subscription("spacenav/joy", self._on_joy, needed=False, timed=True)
        else:
            self._device = self.subscription("joy", self._on_axes, needed=False, timed=True)
        self.subscription("episode/state", self._on_episode)
        self.subscription("step", self._on_step, needed=False)
        self.service("teleop/acknowledge", self._on_acknowledge)
        self._redo, self._redo_said = self.client("episode/redo"), ""
        if self.parameters.lockstep:
            self.subscription("/clock", self._on_clock)
        else:
            self.wall_timer(_LOOK, self._beat)

    def _find_frame(self) -> None:
        """Listens for where the view's camera is; until it is known nobody can push."""
        robot, view = load_robot(self.parameters.robot), self._config.frame
        require_frame(view, robot, self._file)
        self._calibrations = Calibrations(robot.views, robot.frames)
        # Where it is counts here, not how it sees.
        lens = Lens(np.eye(3), (1, 1), np.zeros(0))
        self._calibrations.take_lens(view, lens)
        self._on_frame(None)
        self.subscription(f"camera/{view}/mount", self._on_frame, needed=False)
        if HAS_TF:
            self.subscription("/tf_static", self._on_frames, needed=False)

    def _on_frames(self, message: Any) -> None:
        for each in message.transforms:
            self._on_frame(each)

    def _on_frame(self, message: TransformStamped | None) -> None:
        view = self._config.frame
        if message is not None:
            placed, parent = placed_of(message.transform), message.header.frame_id
            self._calibrations.take_fixed(parent, message.child_frame_id, placed)
        camera = self._calibrations.cameras().get(view)
        self._mapper.axes = None
        if camera is None:
            self._frame_flaw = self._calibrations.missing()[view]
        elif camera.on_tool:
            self._frame_flaw = "its camera moves with the tool"
        else:
            try:
                self._mapper.axes, self._frame_flaw = axes_of_picture(camera.quaternion), ""
            except ValueError as error:
                self._frame_flaw = str(error)

    def _is_ready(self) -> bool:
        return not self.parameters.device_needed or self._device.get_publisher_count() > 0

    def _on_twist(self, message: Twist, sent_ns: int) -> None:
        self._input(self._update(twist_array(message), None), sent_ns)

    def _on_joy(self, message: Joy, sent_ns: int) -> None:
        """spacenav_node repeats the buttons a thousand times a second: only a change is news."""
        buttons = list(message.buttons)
        self._require_buttons(len(buttons))
        state = self._update(None, buttons)
        if buttons != self._buttons or self._is_news(state):
            self._buttons = buttons
            self._input(state, sent_ns)

    def _on_axes(self, message: Joy, sent_ns: int) -> None:
        axes = np.array(message.axes)
        if len(axes) < self._config.readings:
            raise BadMessage(f"{len(axes)} axes, axes of {self._file} need {self._config.readings}")
        self._require_buttons(len(message.buttons))
        self._input(self._update(axes, list(message.buttons)), sent_ns)

    def _require_buttons(self, count: int) -> None:
        """A button that isn't there would leave the gripper dead without a word."""
        name, number = self._config.last_button
        if count <= number:
            raise BadMessage(
                f"{count} buttons, {name} {number} of {self._file} needs {number + 1} (name "
                "buttons that the device has)"
            )

    def _on_step(self, message: Step) -> None:
        self._latch.executed(float(message.executed[GRIPPER]))

    def _on_acknowledge(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success = self._mapper.acknowledge()
        if response.success:
            # At once: in lock-step time may stand until it is known.
            self._publish(self._update(None, None))
            response.message = "the policy may go on; nobody can correct until the device is back"
        else:
            response.message = "no device was lost while somebody drove"
        return response

    def _on_episode(self, message: EpisodeState) -> None:
        """A takeover ends with its episode, unless the device was lost in it.

        Nothing of the hand is carried over: a hand that still pushes says so at once.
        """
        over = message.state in (EpisodeState.ENDED, EpisodeState.RESETTING)
        if over:
            self._latch.reset()
        if not over or self._mapper.takeover is Takeover.LOST:
            return
        self._mapper = self._mapper.fresh()

    def _on_clock(self, message: Clock) -> None:
        time_ns = nanoseconds(message.clock)
        if self._sent is None or time_ns > self._time_ns:
            self._time_ns = time_ns
            self._publish(self._update(None, None))
        else:
            self._out.publish(self._sent)

    def _beat(self) -> None:
        """A driver that has gone away is a lost device; one that is silent is not."""
        heard = self._sent is not None and self._sent.connected
        lost = heard and self._device.get_publisher_count() == 0
        state = self._update(None, None, lost=lost)
        if self._is_news(state) or self.wall_time() - self._sent_at >= _HEARTBEAT - _LOOK / 2:
            self._publish(state)

    def _is_news(self, state: TeleopState) -> bool:
        sent = self._sent
        return sent is None or (state.connected, state.engaged) != (sent.connected, sent.engaged)

    def _update(
        self,
        twist: NDArray[np.float64] | None,
        buttons: Sequence[int] | None,
        *,
        lost: bool = False,
    ) -> TeleopState:
        try:
            # Of a clock that nobody sets back.
            now = 1e-9 * self._time_ns if self.parameters.lockstep else self.wall_time()
            state = self._mapper.update(twist, buttons, now, lost)
        except ValueError as error:
            raise BadMessage(str(error)) from error
        if self._mapper.pop_redo():
            self._ask_redo()
        return state

    def _ask_redo(self) -> None:
        if self._redo.service_is_ready():
            self.when_done(self._redo.call_async(Trigger.Request()), self._on_redo_answer)
        else:
            self._say_redo("nobody offers episode/redo")

    def _on_redo_answer(self, answer: Future[Trigger.Response]) -> None:
        response = answer.result()
        if response is not None:
            self._say_redo(("" if response.success else "refused: ") + response.message)

    def _say_redo(self, words: str) -> None:
        """In the log and, for the driver that has a screen, on /diagnostics."""
        self.get_logger().info(f"redo: {words}")
        self._redo_said = f"{time.strftime('%H:%M:%S')} redo: {words}"
        self._report()
        self.health.publish()

    def _now(self) -> int:
        return self._time_ns if self.parameters.lockstep else self.now_ns()

    def _input(self, state: TeleopState, sent_ns: int) -> None:
        if not self.parameters.lockstep:
            self._publish(state, sent_ns)

    def _publish(self, state: TeleopState, reading_ns: int = 0) -> None:
        self._sent = teleop_to_msg(state, header_of(self._now(), "base"), reading_ns)
        self._sent_at = self.wall_time()
        self._out.publish(self._sent)
        self._report()

    def _report(self) -> None:
        told: dict[str, object] = {DEVICE: self.parameters.device, FRAME: self._config.frame}
        if self._redo_said:
            told[REDO] = self._redo_said
        if self._frame_flaw:
            told_of = f"frame {self._config.frame} of config/{self._file}: {self._frame_flaw}"
            self.report(WARN, f"nobody can push, {told_of} (frame: base needs none)", **told)
        elif self._mapper.waits_for_rest:
            self.report(WARN, _UNREST.format(self._file), **told)
        elif self._mapper.takeover is Takeover.LOST:
            self.report(ERROR, DEVICE_LOST, **told)
        elif self._mapper.lost:
            self.report(WARN, "the device is gone: nobody can correct", **told)
        else:
            connected = self._sent is not None and self._sent.connected
            self.report(OK, self._mapper.takeover.value, connected=connected, **told)


def main() -> None:
    """Runs the teleop node."""
    run_nodes(TeleopNode)


if __name__ == "__main__":
    main()
