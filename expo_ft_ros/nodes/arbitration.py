"""The control tick: who drives, what is executed, and how an episode goes.

Thin over `control.loop.ControlLoop`; `schedule.py` says when a tick happens.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.episode_machine import Reply, SceneReset, State, request_to_person
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.safety_filter import Heartbeats, SafetyConfig
from expo_ft_ros.control.thread_priority import TICK_PRIORITY
from expo_ft_ros.data.types import FloatArray, Observation, Source, Step
from expo_ft_ros.experiment.stop_latch import latch_stop, release_stop, stop_cause
from expo_ft_ros.graph.topics import ALIVE_WITHIN
from expo_ft_ros.msg import ActionChunk as ActionChunkMsg
from expo_ft_ros.msg import EpisodeState, SessionPlan
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.msg import Reward as RewardMsg
from expo_ft_ros.msg import Step as StepMsg
from expo_ft_ros.recording.messages import (
    chunk_from_msg,
    nanoseconds,
    observation_from_msg,
    verdict_from_msg,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import ERROR, OK, WARN, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import BASE_FRAME, header_of, step_to_msg, to_array, twist_of
from expo_ft_ros.ros.plans import plan_from_msg
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.schedule import ZERO, Lockstep, Realtime, Schedule, Tick
from expo_ft_ros.ros.snapshot import PROPRIO, SIDE, TELEOP, WRIST, Inputs, Snapshot
from expo_ft_ros.srv import ResetScene
from expo_ft_ros.tasks import load_task

ACK_TIMEOUT = 0.5
_CHECK_PERIOD = 0.1
_WATCH_PERIOD = 0.025
_STATE_PERIOD = 0.5
_RESET_PATIENCE = 5.0


@dataclass(frozen=True)
class ArbitrationParameters(NodeParameters):
    """Parameters of the arbitration node."""

    teleop: bool = parameter(
        True, "A teleop node runs: lock-step waits for its heartbeat, real time watches it."
    )
    scene_reset: str = parameter(
        SceneReset.AUTOMATIC.value,
        "Who resets the scene: automatic (service sim/reset), asked (the same, after a person has "
        "set right what the classifier asked for), scripted (as asked, and the arm by its task's "
        "reset_script; in real time only) or person (each time, said by /reset_episode).",
    )
    decision_time: float = parameter(
        0.0,
        "How long a person may overrule how an episode has ended before it is committed [s].",
        low=0.0,
        high=60.0,
    )
    observation_listeners: int = parameter(
        1, "Nodes that must listen to observation before the first episode.", low=0, high=50
    )
    step_listeners: int = parameter(
        0, "Nodes that must listen to step before the first episode.", low=0, high=50
    )
    watched: tuple[str, ...] = parameter(
        (), "Real time: nodes without whose signs of life the arm stands."
    )
    lead: int = parameter(
        1,
        "Real time: least number of ticks by which the next chunk is asked for early.",
        low=0,
        high=50,
    )


class ArbitrationNode(GraphNode[ArbitrationParameters]):
    """The host of a schedule: turns messages into its inputs and its decisions into messages."""

    NAME = "arbitration"
    URGENT = TICK_PRIORITY
    PARAMETERS = ArbitrationParameters
    loop: ControlLoop
    inputs: Inputs

    def _setup(self) -> None:
        if self.parameters.scene_reset not in list(SceneReset):
            raise ValueError(
                f"scene_reset is {self.parameters.scene_reset!r} (known: {', '.join(SceneReset)})"
            )
        scene_reset = SceneReset(self.parameters.scene_reset)
        if scene_reset is SceneReset.SCRIPTED and self.parameters.lockstep:
            raise ValueError("scene_reset is scripted, which is for real time (set lockstep false)")
        self._by_world = scene_reset in (SceneReset.AUTOMATIC, SceneReset.ASKED)
        task = load_task(self.parameters.task)
        robot = load_robot(self.parameters.robot)
        robot.require_reach(task.workspace, f"config/tasks/{task.name}.yaml")
        lockstep = self.parameters.lockstep
        self.loop = ControlLoop(
            task,
            robot.limits,
            SafetyConfig.load(),
            lead=0 if lockstep else self.parameters.lead,
            scene_reset=scene_reset,
            decision_time=self.parameters.decision_time,
        )
        self.inputs = Inputs(teleop=self.parameters.teleop)
        self._scale = robot.limits.scale()
        self._instruction = task.instruction
        self._plan: Plan | None = None
        self._valid_from: int | None = None
        self._reset_called: float | None = None
        self._last: ObservationMsg | None = None
        self._last_step: StepMsg | None = None
        self._told = (-1, -1)
        self._changed_ns = 0
        self._ticks: list[Tick] = []
        self._fault = ""
        run_dir = self.parameters.run_dir
        self._run = Path(run_dir) if run_dir else None
        if self._run is not None and (cause := stop_cause(self._run)):
            # Nobody has released it before this start.
            self.loop.episode.estop(True, cause)
        # In lock-step the world waits for everybody.
        self._heartbeats = Heartbeats(() if lockstep else self.parameters.watched, ALIVE_WITHIN)
        self._silent: list[str] = []
        self._make_topics()
        self._offer_services()
        if lockstep:
            lock = Lockstep(self)
            self._schedule: Schedule = lock
            self.wall_timer(_CHECK_PERIOD, lock.check)
            self.wall_timer(_CHECK_PERIOD, lock.advance)
        else:
            real = Realtime(self, self.now_ns, self._phase)
            self._schedule = real
            self._tick_timer = self.wall_timer(task.period, real.tick)
            self.subscription("nodes/heartbeat", self._on_alive, needed=False)
            self.wall_timer(_WATCH_PERIOD, self._look_for_the_silent)
        self.wall_timer(_STATE_PERIOD, self._tell_progress)

    def _make_topics(self) -> None:
        wanted = self.parameters
        self._twist_out = self.publisher("robot/twist_cmd", needed=1)
        self._gripper_out = self.publisher("robot/gripper_cmd", needed=1)
        self._observation_out = self.publisher("observation", needed=wanted.observation_listeners)
        self._step_out = self.publisher("step", needed=wanted.step_listeners)
        self._state_out = self.publisher("episode/state")
        self.subscription("camera/side/image_raw", self._input(SIDE))
        self.subscription("camera/wrist/image_raw", self._input(WRIST))
        self.subscription("proprio", self._input(PROPRIO))
        if self.parameters.teleop:
            self.subscription("teleop/command", self._input(TELEOP))
        self.subscription("reward", self._on_reward)
        self.subscription("policy/chunk", self._on_chunk, needed=False)
        self.subscription("session/plan", self._on_plan, needed=False)
        self._fault_in = self.subscription(
            "robot/fault", self._on_fault, needed=False, on_rejected=self._on_others_fault
        )
        if self._by_world:
            self._reset_scene = self.client("sim/reset", needed=True)

    def _offer_services(self) -> None:
        episode = self.loop.episode
        self.service("/reset_episode", self._trigger(episode.reset_requested))
        self.service("episode/mark_success", self._trigger(episode.mark_success))
        self.service("episode/mark_failure", self._trigger(episode.mark_failure))
        self.service("episode/pause", self._trigger(episode.pause))
        self.service("episode/resume", self._trigger(episode.resume))
        self.service("estop", self._on_estop)

    def _start(self) -> None:
        # A collection in the middle of a tick would make it late; between episodes it doesn't.
        gc.collect()
        gc.freeze()
        gc.disable()
        self.tell_state()

    def _phase(self) -> float:
        """Time since the period that the tick's timer has just answered to began [s]."""
        return self.loop.task.period - 1e-9 * (self._tick_timer.time_until_next_call() or 0)

    def _teardown(self) -> None:
        gc.enable()
        if getattr(self, "_ticks", None):
            self._keep_ticks()

    def _safety_action(self) -> None:
        """Zero, and heard: published reliably and waited for until everybody has it; then the last
        step, which a thread of Fast DDS may still have to send."""
        self.send(ZERO, self.inputs.newest_ns if self.parameters.lockstep else self.now_ns())
        for publisher in (self._twist_out, self._gripper_out, self._step_out):
            if not publisher.wait_for_all_acked(Duration(seconds=ACK_TIMEOUT)):
                self.get_logger().error(
                    f"the last of {publisher.topic_name} was not acknowledged in {ACK_TIMEOUT} s"
                )

    # -- inputs ---------------------------------------------------------------------------------
    def _input(self, name: str) -> Callable[[Any], None]:
        lockstep = self.parameters.lockstep

        def take(message: Any) -> None:
            lost = self.inputs.device_lost
            self.inputs.put(name, message, None if lockstep else self.now_ns())
            if self.inputs.device_lost and not lost and not lockstep:
                self._schedule.hold()  # The next tick would be a period later.
            self._schedule.advance()

        return take

    def _on_reward(self, message: RewardMsg) -> None:
        self._schedule.take_verdict(message.observation, verdict_from_msg(message))

    def _on_chunk(self, message: ActionChunkMsg) -> None:
        self._schedule.take_chunk(chunk_from_msg(message))

    def _on_plan(self, message: SessionPlan) -> None:
        plan = plan_from_msg(message)
        if self._plan is None or plan.episode >= self._plan.episode:
            self._plan = plan
        self._schedule.advance()

    def _trigger(
        self, ask: Callable[[], Reply]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            reply = self._after(ask())
            response.success, response.message = reply.accepted, reply.message
            return response

        return answer

    def _on_estop(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        # An adapter that is gone can't say that the robot has recovered: the person decides.
        if not request.data and self._fault and self._fault_in.get_publisher_count() > 0:
            reply = Reply(False, f"the robot has stopped itself: {self._fault} (recover it first)")
        else:
            reply = self._after(self.loop.episode.estop(bool(request.data)))
        response.success, response.message = reply.accepted, reply.message
        return response

    def _on_fault(self, message: String) -> None:
        """The robot has stopped itself; that it has recovered releases nothing: a person does."""
        self._fault = message.data
        if self._fault:
            self._after(self.loop.episode.estop(True, f"protective stop: {self._fault}"))

    def _on_others_fault(self, message: String) -> None:
        """Stops as well: it may be an adapter that was started anew. But whoever isn't known to be
        the adapter can't say that it has recovered, so a person may release it at once."""
        if message.data:
            self._after(self.loop.episode.estop(True, f"protective stop: {message.data}"))

    def _after(self, reply: Reply) -> Reply:
        if self.loop.episode.state in (State.PAUSED, State.STOPPED):
            self._schedule.hold()
        if self._run is not None and self.loop.episode.state is State.STOPPED:
            latch_stop(self._run, self.loop.snapshot.cause)
        elif self._run is not None:
            release_stop(self._run)
        self.tell_state()
        self._schedule.advance()
        return reply

    def _on_alive(self, message: String) -> None:
        self._heartbeats.beat(message.data, self.wall_time())

    def _look_for_the_silent(self) -> None:
        """Zero at once when somebody is silent, and the ticks after it hold. When he is back
        everything is planned anew: what came meanwhile was planned for a world that moved."""
        silent = self._heartbeats.silent(self.wall_time())
        if silent == self._silent:
            return
        self._silent = silent
        self._schedule.hold()
        self._report_state()
        if self.loop.running:
            self.get_logger().warning(self.absent() or "everybody is back")

    def _is_ready(self) -> bool:
        return not self._heartbeats.silent(self.wall_time())

    # -- host of the schedule -------------------------------------------------------------------
    def begin(self) -> None:
        """Starts the planned episode where there is one, and asks for its scene."""
        plan = self._plan
        new = plan is not None and plan.episode > self.loop.snapshot.episode
        if new and self.inputs.device_lost:
            self.complain(DEVICE_LOST)
        elif plan is not None and new and self.loop.begin(plan).accepted:
            self._valid_from = self._reset_called = None
            self._keep_ticks()
            gc.collect()
        if self.loop.episode.state is not State.RESETTING:
            return
        if self.inputs.device_lost:
            self.complain(DEVICE_LOST)
        elif self.loop.episode.waits_for_person:
            self.complain(request_to_person(self.loop.snapshot.asked))
        elif self._valid_from is None and self._by_world:
            self._ask_for_scene()
        elif self._valid_from is None and self.loop.script_done:
            self._valid_from = self.now_ns()

    def scene_valid_from(self) -> int | None:
        """Time of the first frame of the reset scene [ns]. A person says it by /reset_episode."""
        return None if self.inputs.device_lost else self._valid_from

    def _ask_for_scene(self) -> None:
        now = self.wall_time()
        waiting = self._reset_called is not None and now - self._reset_called < _RESET_PATIENCE
        if waiting or self._plan is None or not self._reset_scene.service_is_ready():
            return
        self._reset_called = now
        episode = self._plan.episode
        request = ResetScene.Request(seed=self._plan.seed, episode=episode)
        future = self._reset_scene.call_async(request)
        future.add_done_callback(lambda done: self._scene_is_reset(episode, done))

    def _scene_is_reset(self, episode: int, future: Future[ResetScene.Response]) -> None:
        response = future.result()
        if response is None or episode != self.loop.snapshot.episode:
            return
        if not response.success:
            self.loop.episode.abort(f"the scene could not be reset: {response.message}")
        else:
            self._valid_from = nanoseconds(response.valid_from)
        self._schedule.advance()

    def observe(self, snapshot: Snapshot, number: int, wanted: bool) -> Observation:
        """Makes an observation, for `show` to publish."""
        episode = self.loop.snapshot.episode
        self._last = snapshot.message(number, episode, wanted, self._instruction)
        return observation_from_msg(self._last)

    def show(self) -> None:
        """Publishes the last observation."""
        if self._last is not None:
            self._observation_out.publish(self._last)

    def send(self, action: FloatArray, time_ns: int) -> None:
        """Commands the robot, in SI units; the twist goes last because it starts the period."""
        command = np.asarray(action, dtype=np.float64) * self._scale
        header = header_of(time_ns, BASE_FRAME)
        gripper = JointState(header=header, name=["gripper"], velocity=to_array(command[6:], "d"))
        self._gripper_out.publish(gripper)
        twist = twist_of(command[:3], command[3:6])
        self._twist_out.publish(TwistStamped(header=header, twist=twist))

    def record(self, step: Step, time_ns: int, late: float) -> None:
        """Publishes a step's provenance, and why it was held."""
        self._last_step = step_to_msg(step, header_of(time_ns, BASE_FRAME), late)
        self._step_out.publish(self._last_step)
        if self.loop.running and step.source is Source.HOLD:
            self.report(WARN, step.cause or "held")
        else:
            self._report_state()

    def record_again(self) -> None:
        """Publishes the last step once more."""
        if self._last_step is not None:
            self._step_out.publish(self._last_step)

    def tell_state(self) -> None:
        """Publishes the episode's state where it has changed."""
        if self.loop.episode.revision == self._told[0]:
            return
        self._changed_ns = self.inputs.newest_ns if self.parameters.lockstep else self.now_ns()
        self._publish_state()
        self._report_state()

    def _tell_progress(self) -> None:
        snapshot = self.loop.snapshot
        if snapshot.steps != self._told[1]:
            self._publish_state()
        if snapshot.state == State.STOPPED or snapshot.paused:
            # Whatever else was to be said meanwhile.
            self._report_state()

    def _publish_state(self) -> None:
        """The stamp is that of the last change, not of the count of steps."""
        snapshot = self.loop.snapshot
        self._told = (self.loop.episode.revision, snapshot.steps)
        header = header_of(self._changed_ns, BASE_FRAME)
        self._state_out.publish(EpisodeState(header=header, **asdict(snapshot)))

    def _report_state(self) -> None:
        """On /diagnostics; while the robot is held, why."""
        snapshot = self.loop.snapshot
        if snapshot.state == State.STOPPED:
            self.report(ERROR, f"stopped: {snapshot.cause}")
        elif self._silent:
            # Before anything moves they are only starting.
            self.report(ERROR if self.loop.running else WARN, self.absent())
        elif snapshot.paused:
            self.report(
                WARN, "paused" if snapshot.state == "paused" else f"paused, {snapshot.state}"
            )
        else:
            self.report(OK, snapshot.state)

    def absent(self) -> str:
        """Who is silent, as a reason to hold still; "" when everybody lives."""
        if not self._silent:
            return ""
        return f"no sign of life from {', '.join(self._silent)}"

    def complain(self, cause: str) -> None:
        """Says what is being waited for, on /diagnostics and in the log."""
        self.report(WARN, cause)
        self.get_logger().warning(cause, throttle_duration_sec=5.0)

    def log(self, tick: Tick) -> None:
        """Keeps a tick's times, for ticks.jsonl between episodes: never while the arm moves."""
        self._ticks.append(tick)

    def explain(self, cause: str) -> None:
        """Says on /diagnostics why the arm stands for the moment."""
        self.report(WARN, cause)

    def _keep_ticks(self) -> None:
        if self._run is not None:
            with (self._run / "ticks.jsonl").open("a") as file:
                file.writelines(json.dumps(asdict(tick)) + "\n" for tick in self._ticks)
        self._ticks.clear()


def main() -> None:
    """Runs the arbitration node."""
    run_nodes(ArbitrationNode)


if __name__ == "__main__":
    main()
