# SPDX-License-Identifier: Apache-2.0
"""The control tick: who drives, what is executed, and how an episode goes.

Thin over `control.loop.ControlLoop`; a scheduler says when a tick happens
(`control/lockstep.py`, `control/realtime.py`).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rclpy.duration import Duration
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from expo_ft_ros.control.actions import (
    Actions,
    BeginEpisode,
    EndTick,
    Execute,
    Explain,
    PublishObservation,
    PublishState,
    PublishStep,
    ResetScene,
    Silence,
    WaitFor,
)
from expo_ft_ros.control.episode_machine import Reply, SceneReset, State
from expo_ft_ros.control.lockstep import Lockstep
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import MOTION_OFF, SHADOW
from expo_ft_ros.control.realtime import Realtime
from expo_ft_ros.control.safety_filter import Heartbeats, SafetyConfig
from expo_ft_ros.control.scheduler import ZERO, Scheduler
from expo_ft_ros.control.snapshot import Inputs
from expo_ft_ros.control.thread_priority import TICK_PRIORITY
from expo_ft_ros.data.types import Source
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.experiment.stop_latch import StopLatch
from expo_ft_ros.experiment.tick_log import TickLog
from expo_ft_ros.graph.topics import ALIVE_WITHIN
from expo_ft_ros.msg import ActionChunk as ActionChunkMsg
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.msg import Proprio as ProprioMsg
from expo_ft_ros.msg import Reward as RewardMsg
from expo_ft_ros.msg import SessionPlan, TeleopCommand
from expo_ft_ros.recording.messages import (
    BadMessage,
    chunk_from_msg,
    image_to_array,
    nanoseconds,
    proprio_from_msg,
    teleop_from_msg,
    verdict_from_msg,
)
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.config import SIM
from expo_ft_ros.ros.graph_node import ERROR, OK, WARN, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import header_of, step_to_msg
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.robot_commands import RobotCommands
from expo_ft_ros.ros.scene_reset import SceneResetClient
from expo_ft_ros.ros.session_messages import episode_to_msg, plan_from_msg
from expo_ft_ros.tasks import load_task

ACK_TIMEOUT = 0.5
_CHECK_PERIOD = 0.1
_WATCH_PERIOD = 0.025
_STATE_PERIOD = 0.5


@dataclass(frozen=True)
class ArbitrationParameters(NodeParameters):
    """Parameters of the arbitration node."""

    teleop: bool = parameter(
        True, "A teleop node runs: lock-step waits for its heartbeat, real time watches it."
    )
    scene_reset: str = parameter(
        SceneReset.AUTOMATIC.value,
        "Who resets the scene: automatic (service sim/reset), asked (the same, after the operator "
        "has set right what the classifier asked for), scripted (as asked, and the arm by its "
        "task's reset_script; in real time only) or operator (each time, said by /reset_episode).",
    )
    motion: bool = parameter(
        False,
        "Whether commands reach the arm. false: it is sent zeros, what would have been sent goes "
        "to shadow/twist_cmd and shadow/gripper_cmd, and no episode counts.",
        fixed=True,
    )
    decision_time: float = parameter(
        0.0,
        "How long the operator may overrule how an episode has ended before it is committed [s].",
        low=0.0,
        high=60.0,
    )
    observation_listeners: int = parameter(
        1, "Nodes that must listen to observation before the first episode.", low=0, high=50
    )
    step_listeners: int = parameter(
        0, "Nodes that must listen to step before the first episode.", low=0, high=50
    )
    begins_with_takeover: bool = parameter(
        False,
        "The operator is a human at a device: an episode that the operator alone drives begins "
        "with the takeover, however long it is waited for.",
    )
    robot_name: str = parameter(
        "", "The robot's name in the run that it has joined, which each step bears; empty: none."
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
    """The host of a scheduler: turns messages into its events and its actions into messages."""

    NAME = "arbitration"
    URGENT = TICK_PRIORITY
    PARAMETERS = ArbitrationParameters

    def _setup(self) -> None:
        wanted, lockstep = self.parameters, self.parameters.lockstep
        if wanted.scene_reset not in list(SceneReset):
            raise ValueError(
                f"scene_reset is {wanted.scene_reset!r} (known: {', '.join(SceneReset)})"
            )
        scene_reset = SceneReset(wanted.scene_reset)
        if scene_reset is SceneReset.SCRIPTED and lockstep:
            raise ValueError("scene_reset is scripted, which is for real time (set lockstep false)")
        task = load_task(wanted.task)
        robot = load_robot(wanted.robot)
        robot.require_reach(task.workspace, str(task.file))
        by_adapter = scene_reset in (SceneReset.AUTOMATIC, SceneReset.ASKED)
        if by_adapter and not wanted.motion and robot.adapter != SIM:
            raise ValueError(
                f"scene_reset is {wanted.scene_reset}, by which the robot {robot.name} moves, but "
                "motion is off (set it to operator)"
            )
        self._loop = ControlLoop(
            task,
            robot.limits,
            SafetyConfig.load(),
            lead=0 if lockstep else wanted.lead,
            scene_reset=scene_reset,
            decision_time=wanted.decision_time,
            begins_with_takeover=wanted.begins_with_takeover,
            motion=wanted.motion,
        )
        self._commands = RobotCommands(self, robot, motion=wanted.motion)
        self._frame = robot.frames.base
        self._view_names = robot.view_names
        self._inputs = Inputs(self._view_names, teleop=wanted.teleop)
        self._newest: dict[str, Image] = {}
        self._proprio = ProprioMsg()
        self._shown = ObservationMsg()
        self._published_state = (-1, -1)
        self._changed_ns = 0
        self._fault = ""
        run = Path(wanted.run_dir) if wanted.run_dir else None
        self._ticks = TickLog(run)
        self._latch = StopLatch(run)
        if cause := self._latch.cause():
            # Nobody has released it before this start.
            self._loop.episode.estop(True, cause)
        self._scheduler: Scheduler
        if lockstep:
            self._scheduler = Lockstep(self._loop, self._inputs)
        else:
            self._scheduler = self._follow_the_clock(task.period)
        self._make_topics()
        self._offer_services()
        if by_adapter:
            self._scene = SceneResetClient(self, self._on_scene_set, self._on_scene_failed)
        self.wall_timer(_CHECK_PERIOD if lockstep else _WATCH_PERIOD, self._check)
        self.wall_timer(_STATE_PERIOD, self._publish_progress)

    def _follow_the_clock(self, period: float) -> Realtime:
        """A timer ticks, and a node that is silent stops the arm; in lock-step the world waits."""
        heartbeats = Heartbeats(self.parameters.watched, ALIVE_WITHIN)

        def phase() -> float:
            return period - 1e-9 * (timer.time_until_next_call() or 0)

        scheduler = Realtime(self._loop, self._inputs, self.now_ns, phase, heartbeats)
        timer = self.wall_timer(period, lambda: self._perform(scheduler.tick()))
        self.subscription("nodes/heartbeat", lambda m: scheduler.beat(m.data), needed=False)
        return scheduler

    def _make_topics(self) -> None:
        wanted = self.parameters
        self._observation_out = self.publisher("observation", needed=wanted.observation_listeners)
        self._step_out = self.publisher("step", needed=wanted.step_listeners)
        self._state_out = self.publisher("episode/state")
        for view in self._view_names:
            self.subscription(f"camera/{view}/image_raw", partial(self._on_image, view))
        self.subscription("proprio", self._on_proprio)
        if wanted.teleop:
            self.subscription("teleop/command", self._on_teleop)
        self.subscription("reward", self._on_reward)
        self.subscription("policy/chunk", self._on_chunk, needed=False)
        self.subscription("policy/lost", self._on_policy_lost, needed=False)
        self.subscription("session/plan", self._on_plan, needed=False)
        self._fault_in = self.subscription(
            "robot/fault", self._on_fault, needed=False, on_rejected=self._on_others_fault
        )

    def _offer_services(self) -> None:
        episode = self._loop.episode
        self.service("/reset_episode", self._trigger(episode.reset_requested))
        self.service("episode/mark_success", self._trigger(episode.mark_success))
        self.service("episode/mark_failure", self._trigger(episode.mark_failure))
        self.service("episode/redo", self._trigger(episode.redo))
        self.service("episode/pause", self._trigger(episode.pause))
        self.service("episode/resume", self._trigger(episode.resume))
        self.service("estop", self._on_estop)

    def _start(self) -> None:
        # A collection in the middle of a tick would make it late; between episodes it doesn't.
        gc.collect()
        gc.freeze()
        gc.disable()
        self._commands.tell()
        self._publish_state()

    def _is_ready(self) -> bool:
        return self._scheduler.everybody_lives

    def _teardown(self) -> None:
        gc.enable()
        if hasattr(self, "_ticks"):
            self._ticks.write()

    def _safety_action(self) -> None:
        """Zero, and heard: published reliably and waited for until everybody has it; then the last
        step, which a thread of Fast DDS may still have to send."""
        lockstep = self.parameters.lockstep
        zero = Execute(ZERO, self._inputs.newest_ns if lockstep else self.now_ns())
        self._commands.send(zero)
        timeout = Duration(seconds=ACK_TIMEOUT)
        missed = self._commands.wait_for_all_acked(timeout)
        if not self._step_out.wait_for_all_acked(timeout):
            missed.append(self._step_out.topic_name)
        for topic in missed:
            self.get_logger().error(f"the last of {topic} was not acknowledged in {ACK_TIMEOUT} s")

    # -- events ---------------------------------------------------------------------------------
    def _stamp_clock(self) -> int | None:
        """What inputs' stamps are held against [ns]; in lock-step they are the clock."""
        return None if self.parameters.lockstep else self.now_ns()

    def _on_image(self, view: str, message: Image) -> None:
        stamp = nanoseconds(message.header.stamp)
        if self._inputs.put_image(view, image_to_array(message), stamp, self._stamp_clock()):
            self._newest[view] = message
        self._perform(self._scheduler.advance())

    def _on_proprio(self, message: ProprioMsg) -> None:
        stamp = nanoseconds(message.header.stamp)
        if self._inputs.put_proprio(proprio_from_msg(message), stamp, self._stamp_clock()):
            self._proprio = message
        self._perform(self._scheduler.advance())

    def _on_teleop(self, message: TeleopCommand) -> None:
        state = TeleopState(message.connected, message.engaged, teleop_from_msg(message))
        reading = nanoseconds(message.reading)
        travelled = 1e-9 * (time.time_ns() - reading) if reading else None
        stamp = nanoseconds(message.header.stamp)
        self._inputs.put_teleop(state, stamp, self._stamp_clock(), travelled)
        self._perform(self._scheduler.advance())

    def _on_reward(self, message: RewardMsg) -> None:
        verdict = verdict_from_msg(message)
        self._perform(self._scheduler.take_verdict(message.observation, verdict))

    def _on_chunk(self, message: ActionChunkMsg) -> None:
        self._perform(self._scheduler.take_chunk(chunk_from_msg(message)))

    def _on_policy_lost(self, message: String) -> None:
        self._perform(self._scheduler.policy_lost(message.data))

    def _on_plan(self, message: SessionPlan) -> None:
        plan = plan_from_msg(message)
        if plan.stage == SHADOW and self.parameters.motion:
            raise BadMessage(f"plan of episode {plan.episode} is for motion off, but motion is on")
        self._perform(self._scheduler.take_plan(plan))

    def _on_scene_set(self, episode: int, valid_from_ns: int) -> None:
        self._perform(self._scheduler.scene_set(episode, valid_from_ns))

    def _on_scene_failed(self, episode: int, cause: str) -> None:
        self._perform(self._scheduler.scene_failed(episode, cause))

    def _check(self) -> None:
        self._perform(self._scheduler.check())

    # -- what the operator, and the robot itself, ask for -----------------------------------------
    def _trigger(
        self, ask: Callable[[], Reply]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            reply = self._after(ask())
            response.success, response.message = reply.accepted, reply.message
            return response

        return answer

    def _on_estop(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        # An adapter that is gone can't say that the robot has recovered: the operator decides.
        if not request.data and self._fault and self._fault_in.get_publisher_count() > 0:
            reply = Reply(False, f"the robot has stopped itself: {self._fault} (recover it first)")
        else:
            reply = self._after(self._loop.episode.estop(bool(request.data)))
        response.success, response.message = reply.accepted, reply.message
        return response

    def _on_fault(self, message: String) -> None:
        """The robot has stopped itself; that it has recovered releases nothing: a human does."""
        self._fault = message.data
        self._on_others_fault(message)

    def _on_others_fault(self, message: String) -> None:
        """Stops as well: it may be an adapter that was started anew. But what isn't known to be the
        adapter can't say that it has recovered, so the operator may release it at once."""
        if message.data:
            self._after(self._loop.episode.estop(True, f"protective stop: {message.data}"))

    def _after(self, reply: Reply) -> Reply:
        """First the arm stands, then the disk keeps that it is stopped, then everybody is told."""
        episode = self._loop.episode
        if episode.state in (State.PAUSED, State.STOPPED):
            self._perform(self._scheduler.hold())
        if episode.state is State.STOPPED:
            self._latch.latch(episode.snapshot().cause)
        else:
            self._latch.release()
        self._publish_state()
        self._perform(self._scheduler.advance())
        return reply

    # -- actions --------------------------------------------------------------------------------
    def _perform(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Execute():
                    self._commands.send(action)
                case PublishStep():
                    self._publish_step(action)
                case PublishObservation():
                    self._publish_observation(action)
                case PublishState():
                    self._publish_state()
                case EndTick(tick):
                    self._ticks.add(tick)
                case BeginEpisode():
                    self._ticks.write()
                    gc.collect()
                case ResetScene(plan):
                    self._scene.ask(plan)
                case Explain(cause):
                    self.report(WARN, cause)
                case WaitFor(cause):
                    self.report(WARN, cause)
                    self.get_logger().warning(cause, throttle_duration_sec=5.0)
                case Silence(cause):
                    self._report_state()
                    if self._loop.running:
                        self.get_logger().warning(cause or "everybody is back")

    def _publish_step(self, action: PublishStep) -> None:
        """A step's provenance; on /diagnostics, why it was held."""
        step = replace(self._commands.executed(action.step), robot=self.parameters.robot_name)
        header = header_of(action.time_ns, self._frame)
        self._step_out.publish(step_to_msg(step, header, action.late))
        if action.again:
            return
        if self._loop.running and step.source is Source.HOLD:
            self.report(WARN, step.cause or "held", **self._ages())
        else:
            self._report_state()

    def _publish_observation(self, action: PublishObservation) -> None:
        """The images are those that came, not copied; one that is shown again is the same."""
        observation = action.observation
        if observation.steps_left is None:
            raise ValueError(f"observation {observation.number}: the scheduler tells no steps_left")
        if observation.number != self._shown.number:
            self._shown = ObservationMsg(
                header=self._proprio.header,
                number=observation.number,
                episode=action.episode,
                chunk_wanted=action.chunk_wanted,
                view_names=self._view_names,
                views=[self._newest[view] for view in self._view_names],
                proprio=self._proprio,
                instruction=observation.instruction,
                steps_left=observation.steps_left,
            )
        self._observation_out.publish(self._shown)

    def _publish_state(self) -> None:
        """Where it has changed."""
        if self._loop.episode.revision != self._published_state[0]:
            lockstep = self.parameters.lockstep
            self._changed_ns = self._inputs.newest_ns if lockstep else self.now_ns()
            self._send_state()
            self._report_state()

    def _publish_progress(self) -> None:
        snapshot = self._loop.snapshot
        if snapshot.steps != self._published_state[1]:
            self._send_state()
        if snapshot.state == State.STOPPED or snapshot.paused:
            # Whatever else was to be said meanwhile.
            self._report_state()

    def _send_state(self) -> None:
        """The stamp is that of the last change, not of the count of steps."""
        snapshot = self._loop.snapshot
        self._published_state = (self._loop.episode.revision, snapshot.steps)
        header = header_of(self._changed_ns, self._frame)
        self._state_out.publish(episode_to_msg(snapshot, header))

    def _report_state(self) -> None:
        """On /diagnostics; while the robot is held, why."""
        snapshot = self._loop.snapshot
        if snapshot.state == State.STOPPED:
            self.report(ERROR, f"stopped: {snapshot.cause}")
        elif self._scheduler.silent:
            # Before anything moves they are only starting.
            self.report(ERROR if self._loop.running else WARN, self._scheduler.silent)
        elif snapshot.paused:
            paused = "paused" if snapshot.state == State.PAUSED else f"paused, {snapshot.state}"
            self.report(WARN, paused)
        elif not self.parameters.motion:
            self.report(WARN, f"{MOTION_OFF}; {snapshot.state}")
        else:
            self.report(OK, snapshot.state, **self._ages())

    def _ages(self) -> dict[str, str]:
        """How old each input is, for /diagnostics, where it has an age."""
        if self.parameters.lockstep:
            return {}
        ages = self._inputs.ages(self.now_ns())
        return {f"{name}, age [ms]": f"{1e3 * age:.0f}" for name, age in ages.items()}


def main() -> None:
    """Runs the arbitration node."""
    run_nodes(ArbitrationNode)


if __name__ == "__main__":
    main()
