# SPDX-License-Identifier: Apache-2.0
"""Drives the stages of a run: says what is wanted next, keeps the books, ends with 0 when done.

Thin over `experiment.stages.Session` and its books (`experiment/run_books.py`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String

from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.episode_machine import EpisodeSnapshot, State, request_to_operator
from expo_ft_ros.control.plan import LEARNED_STAGES, Operator
from expo_ft_ros.devices.drivers import DRIVERS
from expo_ft_ros.experiment.joined import FollowedRun
from expo_ft_ros.experiment.progress import StatusLines, format_summary
from expo_ft_ros.experiment.run_books import STATUS_PERIOD, RunBooks
from expo_ft_ros.experiment.stages import ENDLESS, RUN_KINDS, Session, SessionConfig
from expo_ft_ros.msg import (
    Candidates,
    EpisodeRecorded,
    EpisodeState,
    LearnerStatus,
    SessionStatus,
)
from expo_ft_ros.recording.messages import BadMessage, candidates_from_msg
from expo_ft_ros.ros.graph_node import OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.health import statuses_of_graph
from expo_ft_ros.ros.presence import Presence
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.ros.session_messages import episode_from_msg, learner_from_msg, plan_to_msg
from expo_ft_ros.tasks import load_task

LOG_PERIOD = 10.0
"""Between two lines in the log that tell how far the run is [s]."""


@dataclass(frozen=True)
class SessionParameters(NodeParameters):
    """Parameters of the session node."""

    kind: str = parameter("train", f"What the run is: {', '.join(RUN_KINDS)} (sim never ends).")
    seed: int = parameter(0, "Seed of the run: scenes.", low=0, high=2**31 - 1)
    operator: str = parameter("scripted", f"Who helps: {', '.join(get_args(Operator))}.")
    demos: int = parameter(10, "Successful demonstrations to collect.", low=0, high=10_000)
    given: int = parameter(
        0, "Demonstrations that the learner has from elsewhere.", low=0, high=1_000_000
    )
    eval_trials: int = parameter(30, "Episodes of each evaluation.", low=0, high=10_000)
    perturb: str = parameter("", "What disturbs the scenes of the evaluation, for its summary.")
    steps: int = parameter(3000, "Online steps of the rl stage.", low=0, high=10_000_000)
    max_steps: int = parameter(
        0, "Steps after which an episode times out; 0: the task's.", low=0, high=100_000
    )
    gamma: float = parameter(0.99, "Discount, to compare values with returns.", low=0.0, high=1.0)
    episodes_ahead: int = parameter(
        0,
        "Online episodes that may be over before the learner has taken them (async mode); then the "
        "next one waits. 0: each one is taken first (sync mode).",
        low=0,
        high=1000,
    )
    robot_name: str = parameter(
        "", "The robot's name in the run that it has joined: it practises while that does."
    )
    required_nodes: tuple[str, ...] = parameter(
        (), "Nodes that must be ready before the first episode."
    )


class SessionNode(GraphNode[SessionParameters]):
    """Publishes plans; a plan is done when its episode is, and when the learner has taken it."""

    NAME = "session"
    PARAMETERS = SessionParameters

    def _setup(self) -> None:
        wanted = self.parameters
        if wanted.kind not in RUN_KINDS:
            raise ValueError(f"kind is {wanted.kind!r}, known are {', '.join(RUN_KINDS)}")
        if not wanted.run_dir:
            raise ValueError("run_dir is empty: the session has nowhere to keep its books")
        task = load_task(wanted.task)
        kind = self._kind = RUN_KINDS[wanted.kind]
        self._session = Session(
            SessionConfig(
                stages=kind.stages,
                demos=ENDLESS if kind.endless else wanted.demos,
                given=wanted.given,
                eval_trials=wanted.eval_trials,
                rl_steps=None if wanted.robot_name else wanted.steps,
                max_steps=wanted.max_steps or task.max_steps,
                seed=wanted.seed,
                operator="scripted" if kind.endless else wanted.operator,
                learns=kind.learns,
            )
        )
        self._books = RunBooks(Path(wanted.run_dir), self._session, task, kept=not kind.endless)
        if self._books.load():
            self.get_logger().info(f"going on in stage {self._session.stage}")
        self._missing = set(wanted.required_nodes)
        self._followed: FollowedRun | None = None
        if wanted.robot_name:
            self._followed = FollowedRun()
            Presence(self, wanted.robot_name)
            self.wall_timer(STATUS_PERIOD, self._follow)
        # Number of the newest ended episode that the learner takes.
        self._learned = 0
        self._recorded = 0
        self._ended: EpisodeSnapshot | None = None
        # Number of the demonstration that the operator wants again.
        self._redo = 0
        self._device_lost = False
        self._lines = StatusLines(LOG_PERIOD)
        self._plan_out = self.publisher("session/plan")
        self._status_out = self.publisher("session/status")
        self.subscription("nodes/ready", self._on_ready, needed=False)
        self.subscription("episode/state", self._on_episode, needed=False)
        self._learner_in = self.subscription("learner/status", self._on_learner, needed=False)
        self.subscription("episode/recorded", self._on_recorded, needed=False)
        self.subscription("policy/candidates", self._on_candidates, needed=False)
        self.subscription("/diagnostics", self._on_diagnostics, needed=False)
        self.wall_timer(STATUS_PERIOD, self._tell)

    def _start(self) -> None:
        self._books.pass_time(self.wall_time())
        self._go_on()

    # -- what the others say --------------------------------------------------------------------
    def _on_ready(self, message: String) -> None:
        self._missing.discard(message.data)
        self._go_on()

    def _on_episode(self, message: EpisodeState) -> None:
        episode, plan = episode_from_msg(message), self._books.plan
        self._books.hear_episode(episode, self.wall_time())
        if episode.redo and (plan is None or episode.redo != plan.redone):
            self._redo = episode.redo
        planned = plan is not None and episode.episode == plan.episode
        if episode.state == State.ENDED and planned and self._ended is None:
            self._ended = episode
            # In sync mode the learner takes every episode before the next: what it has to write
            # holds no chunk up then.
            taken = episode.stage in LEARNED_STAGES or not self.parameters.episodes_ahead
            if self._kind.learns and taken:
                self._learned = episode.episode
        self._go_on()

    def _on_learner(self, message: LearnerStatus) -> None:
        report = learner_from_msg(message)
        self._books.hear_learner(report, self.wall_time())
        if self._followed is not None:
            self._followed.hear(report)
        self._go_on()

    def _on_recorded(self, message: EpisodeRecorded) -> None:
        self._recorded = max(self._recorded, int(message.episode))
        if message.lost and self._ended is not None and self._ended.episode == message.episode:
            cause = "parts of it never reached the recorder"
            self._ended = replace(self._ended, discarded=True, cause=cause)
        self._go_on()

    def _on_candidates(self, message: Candidates) -> None:
        # A diagnostic: what contradicts itself is left out, and stops no run.
        with contextlib.suppress(BadMessage):
            self._books.calibration.add(candidates_from_msg(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for name, status in statuses_of_graph(self, message):
            if name == "teleop":
                self._device_lost = status.message == DEVICE_LOST

    # -- what follows ---------------------------------------------------------------------------
    def _go_on(self) -> None:
        if self._missing or self.exit_code is not None:
            return
        plan = self._books.plan
        if plan is None:
            self._take_back()
            if self._may_plan():
                self._publish_plan()
        elif plan.stage == "imitation":
            learner = self._books.learner
            if learner.finished == "imitation" and self._session.stage_finished("imitation"):
                self.get_logger().info("imitation finished")
                self._next()
            elif self._redo:
                self.get_logger().warning(
                    f"demonstration {self._redo} stays: it is imitated already"
                )
                self._redo = 0
        elif self._redo and self._books.episode.episode < plan.episode:
            # It was planned already, but arbitration begins no other one first.
            self._next()
        elif self._ended is not None and not self._is_behind(self._ended):
            ended, self._ended = self._ended, None
            if self._session.episode_finished(ended):
                self._keep(ended)
            self._next()

    def _may_plan(self) -> bool:
        """Whether nothing that comes next has to wait. A run counts the steps of robots that have
        joined it, which themselves go by the run's stage."""
        followed, session = self._followed, self._session
        if followed is None:
            session.count_joined(self._books.learner.joined_steps)
        elif followed.is_over:
            session.end()
        elif not followed.practises:
            return False
        return not self._learner_is_behind(session.stage)

    def _is_behind(self, ended: EpisodeSnapshot) -> bool:
        """Whether an episode that is over can't be counted yet: what is counted is on disk, so that
        nothing that was learned from is lost, whichever node dies."""
        return self._learner_is_behind(ended.stage) or self._recorder_is_behind(ended)

    def _recorder_is_behind(self, ended: EpisodeSnapshot) -> bool:
        return "recorder" in self.parameters.required_nodes and self._recorded < ended.episode

    def _learner_is_behind(self, stage: str) -> bool:
        """Whether what comes next in `stage` has to wait for the learner.

        In async mode an online episode waits only where the learner is too far behind, and what
        follows the stage for all of it: an evaluation is of what was learned.
        """
        learner = self._books.learner
        ahead = self.parameters.episodes_ahead if stage == "rl" else 0
        if stage != "rl" and learner.stage == "update":
            # It may be about what a robot that has joined the run did last.
            return True
        if learner.stage == "saving" and not ahead:
            return True
        return learner.episode + ahead < self._learned

    def _take_back(self) -> None:
        """Where the operator wants a demonstration again."""
        number, self._redo = self._redo, 0
        if number and self._books.take_back(number):
            self.get_logger().info(f"demonstration {number} is discarded and comes again")

    def _next(self) -> None:
        self._take_back()
        self._books.save()
        self._books.plan = None
        self._go_on()

    def _publish_plan(self) -> None:
        plan = self._session.next_plan()
        if self._kind.endless and self.parameters.operator != "scripted":
            plan = replace(plan, operator="none")
        self._books.begin(plan, self.wall_time())
        message = plan_to_msg(plan)
        message.header.stamp = self.get_clock().now().to_msg()
        self._plan_out.publish(message)
        self._tell()
        if plan.stage == "done":
            self._finish()

    def _keep(self, ended: EpisodeSnapshot) -> None:
        self._books.keep(ended, self.parameters.gamma, self.wall_time())
        done, total = self._session.progress()
        outcome = "success" if ended.success else "failure"
        if ended.discarded:
            outcome = "discarded"
        self.get_logger().info(
            f"{ended.stage} episode {ended.episode}: {outcome} ({ended.cause}), "
            f"{ended.steps} steps, {ended.human_steps} by a human; "
            f"now {self._session.stage} {done}/{total}"
        )

    def _finish(self) -> None:
        wanted = self.parameters
        summary = self._books.write_summary(
            seed=wanted.seed, kind=wanted.kind, perturb=wanted.perturb
        )
        for line in format_summary(summary).splitlines() if summary else ():
            self.get_logger().info(line)
        self.stop(0)

    # -- how it stands --------------------------------------------------------------------------
    def _tell(self) -> None:
        """session/status and status.json."""
        now = self.wall_time()
        self._books.pass_time(now)
        status = self._books.status(self._note(), now)
        if self._missing:
            status["stage"] = ""
        message = SessionStatus(**status)
        message.header.stamp = self.get_clock().now().to_msg()
        self._status_out.publish(message)
        self.report(OK, ": ".join(filter(None, (status["stage"], status["note"] or "running"))))
        if line := self._lines.line(status, now):
            self.get_logger().info(line)
        self._books.write_status(status)

    def _follow(self) -> None:
        """A robot's practice ends with the run; RuntimeError where that wasn't over."""
        followed = self._followed
        if self.exit_code is not None or followed is None:
            return
        there = self._learner_in.get_publisher_count() > 0
        if not followed.is_gone(there=there, now=self.wall_time()):
            return
        if not followed.is_over:
            raise RuntimeError(
                "the learner of the run is gone (go on with the run, then join it again)"
            )
        self._session.end()
        self._publish_plan()

    def _note(self) -> str:
        operator, episode = self.parameters.operator, self._books.episode
        driver = DRIVERS.get(operator)
        if driver and self._missing in ({"teleop"}, {driver.node}):
            return (
                f"waiting for the {operator}: {self.resolve_topic_name(driver.topics[0])} needs "
                f"one that publishes it ({driver.program})"
            )
        if self._missing:
            learner = self._books.learner
            reads = f": {learner.transitions} recorded steps are read"
            waited = f"waiting for {', '.join(sorted(self._missing))}"
            return waited + (reads if learner.stage == "reading" else "")
        if self._followed is not None and self._books.plan is None and self._followed.note:
            return self._followed.note
        if self._device_lost:
            return f"held: {DEVICE_LOST}"
        if episode.state in (State.PAUSED, State.STOPPED):
            return f"{episode.state}: {episode.cause}"
        if episode.paused:
            return "paused: the next episode waits for episode/resume"
        if episode.state == State.DECIDING:
            return f"deciding: {episode.cause}, unless the operator marks it otherwise"
        if self._books.awaits_takeover and operator in DRIVERS:
            return f"waiting for the operator to take over ({operator})"
        learner = self._books.learner
        busy = f"learning {learner.progress:.0%}" if learner.stage == "update" else ""
        asked = request_to_operator(episode.asked)
        if busy or asked:
            return "; ".join(filter(None, (busy, asked)))
        if self._ended is not None and self._recorder_is_behind(self._ended):
            return f"waiting for the recorder to write episode {self._ended.episode}"
        return ""


def main() -> None:
    """Runs the session node."""
    run_nodes(SessionNode)


if __name__ == "__main__":
    main()
