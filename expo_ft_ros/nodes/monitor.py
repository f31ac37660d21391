# SPDX-License-Identifier: Apache-2.0
"""What the operator sees: markers, overlays and plots for rviz, and the console in the browser.

Nobody waits for it: it listens, and its end is no reason to stop. The console's buttons are calls
of the graph's services, as anybody could make them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped, TwistStamped
from rclpy.client import Client
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from expo_ft_ros.control.episode_machine import SceneReset
from expo_ft_ros.control.plan import MOTION_OFF, Operator
from expo_ft_ros.data.types import GRIPPER, Source
from expo_ft_ros.devices.drivers import DRIVERS
from expo_ft_ros.experiment.operator_word import words_of
from expo_ft_ros.experiment.progress import format_result, read_summary, status_rows, time_left
from expo_ft_ros.monitor.address import CONSOLE_PORT, console_address, console_token
from expo_ft_ros.monitor.calibration import Calibrations
from expo_ft_ros.monitor.console import Console
from expo_ft_ros.monitor.controls import NotDone
from expo_ft_ros.monitor.playback import Recordings
from expo_ft_ros.monitor.plot import QPlot
from expo_ft_ros.monitor.training import Training
from expo_ft_ros.monitor.view import Diagnostic, Level, SessionView, View
from expo_ft_ros.monitor.watch import Watch
from expo_ft_ros.msg import (
    Candidates,
    EpisodeState,
    LearnerStatus,
    Observation,
    Proprio,
    Reward,
    SessionStatus,
    SimState,
    Step,
    TeleopCommand,
)
from expo_ft_ros.recording.messages import (
    candidates_from_msg,
    image_to_array,
    nanoseconds,
    observation_from_msg,
    pose_arrays,
    proprio_from_msg,
    step_from_msg,
    twist_array,
    verdict_from_msg,
)
from expo_ft_ros.report.told_training import ToldTraining
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros import markers
from expo_ft_ros.ros.arm_markers import ArmMarkers
from expo_ft_ros.ros.calibration import lens_of, placed_of
from expo_ft_ros.ros.frames import HAS_TF
from expo_ft_ros.ros.graph_node import GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.health import statuses_of_graph
from expo_ft_ros.ros.messages import array_to_image, header_of
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.session_messages import episode_from_msg
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier

SHOW_PERIOD = 0.2
_PLOT_EVERY = 5  # of them
_ANSWER_WITHIN = 2.0  # [s]
_MODEL = "robot_description"  # what publishes it has rviz show the robot's own model


@dataclass(frozen=True)
class MonitorParameters(NodeParameters):
    """Parameters of the monitor node."""

    operator: str = parameter("scripted", f"Who helps: {', '.join(get_args(Operator))}.")
    scene_reset: str = parameter("", "Who resets the scene, as of arbitration; empty: unknown.")
    learns: bool = parameter(True, "Whether the run has a learner; a demo and an eval have none.")
    console: bool = parameter(False, "Serve the console in the browser.")
    console_host: str = parameter(
        "127.0.0.1", "Address that the console listens on; another one only with a token."
    )
    console_port: int = parameter(CONSOLE_PORT, "Port of the console.", low=0, high=65535)


class MonitorNode(GraphNode[MonitorParameters]):
    """Thin over `monitor.watch.Watch`, `ros.markers` and `monitor.console.Console`."""

    NAME = "monitor"
    PARAMETERS = MonitorParameters

    def _setup(self) -> None:
        self._task = load_task(self.parameters.task)
        self._classifier = make_classifier(self._task)
        robot = load_robot(self.parameters.robot)
        self._limits, self._frame = robot.limits, robot.frames.base
        self._views = {view.name: view for view in robot.views}
        self._calibrations = Calibrations(robot.views, robot.frames)
        self._knows_objects = robot.capabilities.knows_objects
        driver = DRIVERS.get(self.parameters.operator)
        self._watch = Watch(
            self._task,
            self._limits,
            robot.view_names,
            self._classifier,
            take_over=driver.take_over if driver else "",
            scripted_reset=self.parameters.scene_reset == SceneReset.SCRIPTED,
        )
        self._over = False
        self._plot, self._shown = QPlot(), 0
        self._began = self.wall_time()
        self._training: ToldTraining | None = None
        if self.parameters.run_dir:
            run = Path(self.parameters.run_dir)
            self._training = ToldTraining(run, self._task.control_hz)
        self._markers_out = self.publisher("monitor/markers")
        self._path_out = self.publisher("monitor/executed")
        self._arm = ArmMarkers()
        self._image_out = {v: self.publisher(f"monitor/{v}/image_raw") for v in self._views}
        self._q_out = self.publisher("monitor/q")
        self._console: Console | None = None
        self._listen()
        if self.parameters.console:
            self._console = self._open_console()
        self.wall_timer(SHOW_PERIOD, self._show)

    def _listen(self) -> None:
        topics: dict[str, Callable[[Any], None]] = {
            "episode/state": self._on_episode,
            "observation": self._on_observation,
            "proprio": self._on_proprio,
            "step": self._on_step,
            "teleop/command": self._on_teleop,
            "robot/motion": self._on_motion,
            "shadow/twist_cmd": self._on_shadow_twist,
            "shadow/gripper_cmd": self._on_shadow_gripper,
            "policy/candidates": self._on_candidates,
            "reward": self._on_reward,
            "robot/fault": self._on_fault,
            "session/status": self._on_status,
            "learner/status": self._on_learner,
            "/diagnostics": self._on_diagnostics,
        }
        for view in self._views:
            topics[f"camera/{view}/image_raw"] = partial(self._on_image, view)
            topics[f"camera/{view}/camera_info"] = partial(self._on_info, view)
            topics[f"camera/{view}/mount"] = self._on_mount
        if HAS_TF:
            topics["/tf_static"] = self._on_frames
        if self._knows_objects:
            topics["sim/state"] = self._on_truth
        for name, callback in topics.items():
            self.subscription(name, callback, needed=False)

    def _open_console(self) -> Console:
        trigger = {
            "success": "episode/mark_success",
            "failure": "episode/mark_failure",
            "reset": "/reset_episode",
            "redo": "episode/redo",
            "pause": "episode/pause",
            "resume": "episode/resume",
            "save_checkpoint": "learner/save_checkpoint",
            "acknowledge": "teleop/acknowledge",
            "recover": "robot/recover",
        }
        calls = {
            name: partial(self._call, self.client(service), Trigger.Request())
            for name, service in trigger.items()
        }
        estop = self.client("estop")
        calls["estop"] = partial(self._call, estop, SetBool.Request(data=True))
        calls["release"] = partial(self._call, estop, SetBool.Request(data=False))
        wanted = self.parameters
        run = Path(wanted.run_dir) if wanted.run_dir else None
        console = Console(
            calls,
            self._task,
            self._limits,
            list(self._views),
            host=wanted.console_host,
            port=wanted.console_port,
            token=console_token(),
            recordings=Recordings(run / "episodes", words_of(run)) if run is not None else None,
            classifier=self._classifier,
        )
        # Not console.url: a log holds no token.
        address = console_address(wanted.console_host, wanted.console_port)
        self.get_logger().info(f"console at {address}")
        return console

    def _teardown(self) -> None:
        console = getattr(self, "_console", None)
        if console is not None:
            result = self._result()
            last = self._watch.view(self._passed(), images=False)
            console.close(replace(last, result=result, ending=not result))
            self._console = None

    def _result(self) -> str:
        """What came of the run, and what can be done next; "" where it hasn't come to its end."""
        run_dir = self.parameters.run_dir
        summary = read_summary(Path(run_dir)) if self._over and run_dir else None
        return f"{format_result(summary)}; next: ./expo-ft report" if summary else ""

    def _call(self, client: Client[Any, Any], request: Any) -> str:
        """Runs in a thread of the console; the words of the answer. Raises NotDone with those of a
        refusal, or where there was no answer."""
        if not client.service_is_ready():
            raise NotDone(f"nobody offers {client.srv_name}")
        answered = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(_ANSWER_WITHIN):
            client.remove_pending_request(future)
            raise NotDone(
                f"{client.srv_name} has not answered within {_ANSWER_WITHIN:g} s (it may yet obey)"
            )
        response: Any = future.result()
        if not response.success:
            raise NotDone(f"refused: {response.message}")
        return str(response.message)

    def _passed(self) -> float:
        return self.wall_time() - self._began

    # -- what is heard --------------------------------------------------------------------------
    def _on_episode(self, message: EpisodeState) -> None:
        self._watch.take_episode(episode_from_msg(message))
        if self._console is not None:
            self._console.hear_of(message.episode)

    def _on_observation(self, message: Observation) -> None:
        observation = observation_from_msg(message, list(self._views))
        self._watch.take_observation(observation, message.episode)

    def _on_image(self, view: str, message: Image) -> None:
        self._watch.take_image(view, image_to_array(message))

    def _on_info(self, view: str, message: CameraInfo) -> None:
        self._calibrations.take_lens(view, lens_of(message))

    def _on_mount(self, message: TransformStamped) -> None:
        placed = placed_of(message.transform)
        self._calibrations.take_fixed(message.header.frame_id, message.child_frame_id, placed)

    def _on_frames(self, message: Any) -> None:
        """Of tf2_msgs, which may not be installed."""
        for each in message.transforms:
            self._on_mount(each)

    def _on_truth(self, message: SimState) -> None:
        pairs = zip(message.names, message.poses, strict=False)
        places = {name: pose_arrays(pose)[0] for name, pose in pairs}
        known = {name: place for name, place in places.items() if np.isfinite(place).all()}
        self._watch.take_objects(known)

    def _on_proprio(self, message: Proprio) -> None:
        self._watch.take_proprio(proprio_from_msg(message))

    def _on_step(self, message: Step) -> None:
        self._watch.take_step(step_from_msg(message))
        if not self.parameters.lockstep and math.isfinite(message.lateness):
            self._watch.take_lateness(message.lateness)

    def _on_teleop(self, message: TeleopCommand) -> None:
        self._watch.take_teleop(message.engaged and message.connected, self._passed())

    def _on_motion(self, message: Bool) -> None:
        self._watch.take_motion(message.data)

    def _on_shadow_twist(self, message: TwistStamped) -> None:
        self._watch.take_shadow(slice(GRIPPER), twist_array(message.twist))

    def _on_shadow_gripper(self, message: JointState) -> None:
        velocity = np.array(message.velocity, dtype=np.float64)
        if velocity.shape == (1,):
            self._watch.take_shadow(slice(GRIPPER, None), velocity)

    def _on_candidates(self, message: Candidates) -> None:
        self._watch.take_candidates(candidates_from_msg(message))
        if not self.parameters.lockstep:
            self._watch.take_chunk_time(1e-9 * (self.now_ns() - nanoseconds(message.header.stamp)))

    def _on_fault(self, message: String) -> None:
        self._watch.take_fault(message.data)

    def _on_reward(self, message: Reward) -> None:
        self._watch.take_reward(verdict_from_msg(message).reason)

    def _on_status(self, message: SessionStatus) -> None:
        status = {name: getattr(message, name) for name in message.get_fields_and_field_types()}
        status["learns"] = self.parameters.learns
        self._watch.take_status("session", dict(status_rows(status)))
        told = SessionView(**{each.name: status[each.name] for each in fields(SessionView)})
        self._watch.take_session(told)
        self._over = self._over or message.stage == "done"
        training = self._training.read() if self._training is not None else Training()
        self._watch.take_training(training, time_left(status))

    def _on_learner(self, message: LearnerStatus) -> None:
        if not self.parameters.learns:
            return
        self._watch.take_learning(message.stage, message.progress, self._passed())
        progress = f" {message.progress:.0%}" if message.stage not in ("", "idle") else ""
        words = {
            "learner": f"{message.stage or 'idle'}{progress}",
            "weights": f"version {message.version}, {message.critic_updates} critic updates",
            "replay": f"{message.transitions} steps, {message.human_transitions} by a human",
        }
        pairs = zip(message.metric_names, message.metric_values, strict=False)
        metrics = {name: f"{value:.3g}" for name, value in pairs}
        self._watch.take_status("learner", {**words, **metrics})

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for name, status in statuses_of_graph(self, message):
            level = int.from_bytes(status.level, "little")
            # Of anybody: a level that is none is no good sign.
            known = Level(level) if level in tuple(Level) else Level.ERROR
            said = Diagnostic(known, name, status.message)
            self._watch.take_diagnostic(said, self._passed())

    # -- what is shown --------------------------------------------------------------------------
    def _show(self) -> None:
        watched = {n: out.get_subscription_count() > 0 for n, out in self._image_out.items()}
        console = self._console is not None and self._console.watched
        known = self._calibrations
        self._watch.take_cameras(known.cameras(), known.missing())
        view = self._watch.view(self._passed(), images=console or any(watched.values()))
        self._publish_markers(view)
        for name, image in view.images.items():
            if watched[name]:
                header = header_of(self.now_ns(), self._views[name].frame)
                self._image_out[name].publish(array_to_image(image, header))
        self._shown += 1
        if self._shown % _PLOT_EVERY == 0 and self._q_out.get_subscription_count():
            self._q_out.publish(array_to_image(self._plotted(view), self._header()))
        if self._console is not None:
            self._console.show(view)

    def _publish_markers(self, view: View) -> None:
        if not self._markers_out.get_subscription_count():
            return
        header, workspace = self._header(), self._task.workspace
        shown = [
            markers.forget(header),
            *markers.surrounding_markers(header, workspace, self._classifier.heights),
            markers.state_marker(header, workspace, _words(view)),
        ]
        if not self.count_publishers(_MODEL):
            shown += self._arm.show(header, view)
        if len(view.paths):
            shown += markers.candidate_markers(header, view.paths, view.q, view.kind, view.chosen)
        if view.motion_off and view.shadow is not None and view.position is not None:
            shown.append(markers.shadow_marker(header, view.position, view.shadow[:3]))
        if len(view.executed) > 1:
            sources = [Source(source) for source in view.sources]
            shown.append(markers.executed_marker(header, view.executed, sources))
        self._markers_out.publish(markers.marker_array(shown))
        self._path_out.publish(markers.executed_path(header, view.executed))

    def _plotted(self, view: View) -> np.ndarray[Any, Any]:
        history = view.q_history
        sources = [Source(source) for source in view.sources[1:]]
        return self._plot.draw(history[:, 0].tolist(), history[:, 1:3], history[:, 3], sources)

    def _header(self) -> Any:
        return header_of(self.now_ns(), self._frame)


def _words(view: View) -> str:
    """The state in a few words, what the operator is asked for first."""
    episode = view.episode
    words = f"episode {episode.episode}: {episode.state}, step {episode.steps}"
    nobody = view.driver is Source.HOLD
    driver = "" if nobody else f", {view.driver.name.lower()} drives"
    asked = f"\n{episode.asked}, then /reset_episode" if episode.asked else ""
    cause = view.cause or episode.cause
    off = f"{MOTION_OFF.capitalize()}\n" if view.motion_off else ""
    return f"{off}{words}{driver}{asked}" + (f"\n{cause}" if cause else "")


def main() -> None:
    """Runs the monitor node."""
    run_nodes(MonitorNode)


if __name__ == "__main__":
    main()
