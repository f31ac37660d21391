"""Drives the stages of a run: says what is wanted next, keeps the books, ends with 0 when done.

Thin over `experiment.stages.Session`; what it writes is in `run_files.py`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from std_msgs.msg import String

from expo_ft_ros.control.episode_machine import request_to_person
from expo_ft_ros.control.plan import LEARNED_STAGES, Operator, Plan, Stage
from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.experiment import run_files
from expo_ft_ros.experiment.progress import STATUS_FILE, StatusLines, format_summary
from expo_ft_ros.experiment.run_files import LEARNING, ROBOT, WAITING, WallClock
from expo_ft_ros.experiment.run_folder import first_uncounted
from expo_ft_ros.experiment.stages import Session, SessionConfig
from expo_ft_ros.experiment.value_calibration import ValueCalibration
from expo_ft_ros.msg import (
    Candidates,
    EpisodeRecorded,
    EpisodeState,
    LearnerStatus,
    SessionStatus,
)
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.ros.graph_node import OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.plans import plan_to_msg
from expo_ft_ros.ros.process import main as run_nodes
from expo_ft_ros.tasks import load_task

LOG_PERIOD = 10.0
"""Between two lines in the log that tell how far the run is [s]."""
STATUS_PERIOD = 0.5
_ENDLESS = 10_000
_DRIVERS = {
    "spacemouse": ("spacenav/twist", "spacenav_node"),
    "gamepad": ("joy", "joy_node"),
    "keyboard": ("joy", "./expo-ft keyboard"),
}
KINDS: dict[str, tuple[Stage, ...]] = {
    "train": ("collect", "imitation", "eval_before", "rl", "eval_after"),
    "collect": ("collect",),
    "eval": ("eval_after",),
    "sim": ("collect",),
}


@dataclass(frozen=True)
class SessionParameters(NodeParameters):
    """Parameters of the session node."""

    kind: str = parameter("train", f"What the run is: {', '.join(KINDS)} (sim never ends).")
    seed: int = parameter(0, "Seed of the run: scenes.", low=0, high=2**31 - 1)
    operator: str = parameter("scripted", f"Who helps: {', '.join(get_args(Operator))}.")
    demos: int = parameter(10, "Successful demonstrations to collect.", low=0, high=10_000)
    given: int = parameter(
        0, "Demonstrations that the learner has from elsewhere.", low=0, high=1_000_000
    )
    eval_trials: int = parameter(30, "Episodes of each evaluation.", low=0, high=10_000)
    steps: int = parameter(3000, "Online steps of the rl stage.", low=0, high=10_000_000)
    max_steps: int = parameter(
        0, "Steps after which an episode times out; 0: the task's.", low=0, high=100_000
    )
    gamma: float = parameter(0.99, "Discount, to compare values with returns.", low=0.0, high=1.0)
    waits_for_learner: bool = parameter(
        True, "The next episode waits until the learner has learned from the last one (sync mode)."
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
        if wanted.kind not in KINDS:
            raise ValueError(f"kind is {wanted.kind!r}, known are {', '.join(KINDS)}")
        if not wanted.run_dir:
            raise ValueError("run_dir is empty: the session has nowhere to keep its books")
        self._task = load_task(wanted.task)
        self._folder = Path(wanted.run_dir)
        self._folder.mkdir(parents=True, exist_ok=True)
        free = wanted.kind == "sim"
        self._session = Session(
            SessionConfig(
                stages=KINDS[wanted.kind],
                demos=_ENDLESS if free else wanted.demos,
                given=wanted.given,
                eval_trials=wanted.eval_trials,
                rl_steps=wanted.steps,
                max_steps=wanted.max_steps or self._task.max_steps,
                seed=wanted.seed,
                operator="scripted" if free else wanted.operator,
            )
        )
        self._wall = WallClock()
        if not free:
            if run_files.load_progress(self._folder, self._session, self._wall):
                self.get_logger().info(f"going on in stage {self._session.stage}")
            run_files.trim_metrics(self._folder, first_uncounted(self._folder))
        self._missing = set(wanted.required_nodes)
        self._plan: Plan | None = None
        # Number of the newest ended episode that the learner takes.
        self._learned = 0
        self._recorded = 0
        self._episode = EpisodeState()
        self._calibration = ValueCalibration()
        self._ended: EpisodeState | None = None
        self._learner = LearnerStatus()
        self._began = self.wall_time()
        self._rate = _Rate()
        self._lines = StatusLines(LOG_PERIOD)
        self._plan_out = self.publisher("session/plan")
        self._status_out = self.publisher("session/status")
        self.subscription("nodes/ready", self._on_ready, needed=False)
        self.subscription("episode/state", self._on_episode, needed=False)
        self.subscription("learner/status", self._on_learner, needed=False)
        self.subscription("episode/recorded", self._on_recorded, needed=False)
        self.subscription("policy/candidates", self._on_candidates, needed=False)
        self.wall_timer(STATUS_PERIOD, self._tell)

    def _start(self) -> None:
        self._wall.pass_time(self.wall_time(), self._session.stage, WAITING)
        self._go_on()

    # -- what the others say --------------------------------------------------------------------
    def _on_ready(self, message: String) -> None:
        self._missing.discard(message.data)
        self._go_on()

    def _on_episode(self, message: EpisodeState) -> None:
        self._book()
        self._episode = message
        self._rate.count(message.episode, message.steps, self.wall_time())
        planned = self._plan is not None and message.episode == self._plan.episode
        if message.state == EpisodeState.ENDED and planned and self._ended is None:
            self._ended = message
            # In sync mode the learner takes every episode before the next: what it has to write
            # holds no chunk up then.
            taken = message.stage in LEARNED_STAGES or self.parameters.waits_for_learner
            if self.parameters.kind == "train" and taken:
                self._learned = int(message.episode)
        self._go_on()

    def _on_learner(self, message: LearnerStatus) -> None:
        names, values = len(message.metric_names), len(message.metric_values)
        if names != values:
            raise BadMessage(f"{names} names of metrics, but {values} values")
        self._book()
        self._learner = message
        self._go_on()

    def _on_recorded(self, message: EpisodeRecorded) -> None:
        self._recorded = max(self._recorded, int(message.episode))
        if message.lost and self._ended is not None and self._ended.episode == message.episode:
            self._ended.discarded = True
            self._ended.cause = "parts of it never reached the recorder"
        self._go_on()

    def _on_candidates(self, message: Candidates) -> None:
        chosen = message.chosen
        # A diagnostic: what contradicts itself is left out, and stops no run.
        if chosen < min(len(message.q), len(message.edited)):
            self._calibration.add(
                int(message.observation), float(message.q[chosen]), bool(message.edited[chosen])
            )

    # -- what follows ---------------------------------------------------------------------------
    def _go_on(self) -> None:
        if self._missing or self.exit_code is not None:
            return
        if self._plan is None:
            if not self._learner_owes(self._session.stage):
                self._publish_plan()
            return
        if self._plan.stage == "imitation":
            if self._learner.finished == "imitation" and self._session.stage_finished("imitation"):
                self.get_logger().info("imitation finished")
                self._next()
        elif self._ended is not None and not self._owed(int(self._ended.episode)):
            ended, self._ended = self._ended, None
            if self._session.episode_finished(ended):
                self._keep(ended)
            self._next()

    def _owed(self, episode: int) -> bool:
        """Whether an episode that is over can't be counted yet: what is counted is on disk, so that
        nothing that was learned from is lost, whichever node dies."""
        learner = self._plan is not None and self._learner_owes(self._plan.stage)
        return learner or self._recorder_owes(episode)

    def _recorder_owes(self, episode: int) -> bool:
        return "recorder" in self.parameters.required_nodes and self._recorded < episode

    def _learner_owes(self, stage: str) -> bool:
        """Whether what comes next in `stage` has to wait for the learner.

        In async mode only what follows the rl stage does: an evaluation is of what was learned.
        """
        beside = stage == "rl" and not self.parameters.waits_for_learner
        return not beside and self._learner.episode < self._learned

    def _next(self) -> None:
        if self.parameters.kind != "sim":
            run_files.save_progress(self._folder, self._session, self._wall)
        self._plan = None
        self._go_on()

    def _publish_plan(self) -> None:
        plan = self._session.next_plan()
        if self.parameters.kind == "sim" and self.parameters.operator != "scripted":
            plan = replace(plan, operator="none")
        self._plan = plan
        self._began = self.wall_time()
        message = plan_to_msg(plan)
        message.header.stamp = self.get_clock().now().to_msg()
        self._plan_out.publish(message)
        self._tell()
        if plan.stage == "done":
            self._finish()

    def _keep(self, ended: EpisodeState) -> None:
        """Writes an episode into the books and the log."""
        line = {
            "time": time.time(),
            "wall": self._wall.total,
            "stage": ended.stage,
            "episode": ended.episode,
            "success": ended.success,
            "steps": ended.steps,
            "human_steps": ended.human_steps,
            "discarded": ended.discarded,
            "truncated": ended.truncated,
            "cause": ended.cause,
            "human_reset": ended.human_reset,
            "seconds": self.wall_time() - self._began,
            "env_steps": self._session.env_steps,
            **asdict(self._session.stats(ended.stage)),
            **self._calibration.compute(
                int(ended.first_observation),
                int(ended.last_observation),
                bool(ended.success),
                self.parameters.gamma,
            ),
            **self._learner_numbers(),
        }
        self._calibration = ValueCalibration()
        run_files.append_metrics(self._folder, line)
        done, total = self._session.progress()
        outcome = "success" if ended.success else "failure"
        if ended.discarded:
            outcome = "discarded"
        self.get_logger().info(
            f"{ended.stage} episode {ended.episode}: {outcome} ({ended.cause}), "
            f"{ended.steps} steps, {ended.human_steps} by a person; "
            f"now {self._session.stage} {done}/{total}"
        )

    def _finish(self) -> None:
        if self.parameters.kind != "sim":
            summary = run_files.write_summary(
                self._folder,
                self._session,
                self._wall,
                control_hz=self._task.control_hz,
                task=self._task.name,
                seed=self.parameters.seed,
                kind=self.parameters.kind,
                critic_updates=self._learner.critic_updates,
                update_ratio=float(self._learner.update_ratio),
            )
            for line in format_summary(summary).splitlines():
                self.get_logger().info(line)
        self.stop(0)

    # -- books ----------------------------------------------------------------------------------
    def _book(self) -> None:
        doing = WAITING
        if self._episode.state == EpisodeState.RUNNING:
            doing = ROBOT
        elif self._learner.stage in ("imitation", "update"):
            doing = LEARNING
        self._wall.pass_time(self.wall_time(), self._session.stage, doing)

    def _learner_numbers(self) -> dict[str, Any]:
        learner = self._learner
        return {
            "version": learner.version,
            "critic_updates": learner.critic_updates,
            "update_ratio": float(learner.update_ratio),
            "transitions": learner.transitions,
            "human_transitions": learner.human_transitions,
            "metrics": {
                n: float(v)
                for n, v in zip(learner.metric_names, learner.metric_values, strict=True)
            },
        }

    def _env_steps(self) -> int:
        """Online steps with those of the episode that is on, or over and not yet counted."""
        on = self._episode.stage == "rl" and not self._episode.discarded
        planned = self._plan is not None and self._plan.episode == self._episode.episode
        return self._session.env_steps + (self._episode.steps if on and planned else 0)

    def _tell(self) -> None:
        """session/status and status.json."""
        self._book()
        status = self._status()
        message = SessionStatus(**status)
        message.header.stamp = self.get_clock().now().to_msg()
        self._status_out.publish(message)
        self.report(OK, ": ".join(filter(None, (status["stage"], status["note"] or "running"))))
        line = self._lines.line(status, self.wall_time())
        if line:
            self.get_logger().info(line)
        left = status["seconds_left"]
        learner = self._learner
        content = {
            **status,
            "seconds_left": left if left == left else None,
            "task": self._task.name,
            "state": self._episode.state,
            "elapsed": self._wall.total,
            "robot_minutes": status["env_steps"] / self._task.control_hz / 60,
            "wall": self._wall.spent,
            "learner": {
                "stage": learner.stage,
                "progress": float(learner.progress),
                **self._learner_numbers(),
            },
            "eval_before": run_files.evaluation(self._session, "eval_before"),
            "eval_after": run_files.evaluation(self._session, "eval_after"),
            "time": time.time(),
        }
        # Every half second, while the arm moves: nothing that a disk may be slow at.
        write_atomically(self._folder / STATUS_FILE, content, durable=False)

    def _status(self) -> dict[str, Any]:
        session = self._session
        done, total = session.progress()
        stats = session.stats()
        stage = session.stage
        share = done / total if total else 1.0
        if stage == "imitation":
            share = float(self._learner.progress) if self._learner.stage == "imitation" else 0.0
        elif stage == "rl":
            share = min(1.0, self._env_steps() / max(1, session.config.rl_steps))
        left = run_files.seconds_left(session, self._wall)
        return {
            "stage": stage if not self._missing else "",
            "episode": self._plan.episode if self._plan else 0,
            "stage_episodes": stats.episodes,
            "stage_episodes_total": 0 if stage in ("rl", "imitation", "done") else total,
            "env_steps": self._env_steps(),
            "env_steps_total": session.config.rl_steps if "rl" in session.config.stages else 0,
            "success_rate": stats.success_rate,
            "intervention_rate": stats.intervention_rate,
            "control_hz": self._rate.value(self.wall_time()),
            "update_ratio": float(self._learner.update_ratio),
            "stage_progress": share,
            "seconds_left": float("nan") if left is None else left,
            "note": self._note(),
        }

    def _note(self) -> str:
        if self._missing == {"teleop"} and self.parameters.operator in _DRIVERS:
            topic, driver = _DRIVERS[self.parameters.operator]
            return (
                f"waiting for the {self.parameters.operator}: {self.resolve_topic_name(topic)} "
                f"needs one that publishes it ({driver})"
            )
        if self._missing:
            return f"waiting for {', '.join(sorted(self._missing))}"
        if self._episode.state in (EpisodeState.PAUSED, EpisodeState.STOPPED):
            return f"{self._episode.state}: {self._episode.cause}"
        if self._episode.paused:
            return "paused: the next episode waits for episode/resume"
        if self._episode.state == EpisodeState.DECIDING:
            return f"deciding: {self._episode.cause}, unless a person marks it otherwise"
        learning = self._learner.stage == "update"
        busy = f"learning {self._learner.progress:.0%}" if learning else ""
        asked = request_to_person(self._episode.asked)
        if busy or asked:
            return "; ".join(filter(None, (busy, asked)))
        if self._ended is not None and self._recorder_owes(int(self._ended.episode)):
            return f"waiting for the recorder to write episode {self._ended.episode}"
        return ""


class _Rate:
    """Steps a second of wall time, over the last of them."""

    _SPAN = 2.0

    def __init__(self) -> None:
        self._points: list[tuple[float, int, int]] = []

    def count(self, episode: int, steps: int, now: float) -> None:
        """Takes the count of steps of an episode."""
        if self._points and self._points[-1][1] != episode:
            self._points.clear()
        self._points.append((now, episode, steps))
        self._points = [p for p in self._points if now - p[0] <= self._SPAN]

    def value(self, now: float) -> float:
        """[Hz]; 0 when nothing moves."""
        if len(self._points) < 2 or now - self._points[-1][0] > self._SPAN:
            return 0.0
        (start, _, before), (end, _, after) = self._points[0], self._points[-1]
        # The last message of an episode may follow at once on one of the regular ones.
        return (after - before) / max(end - start, STATUS_PERIOD)


def main() -> None:
    """Runs the session node."""
    run_nodes(SessionNode)


if __name__ == "__main__":
    main()
