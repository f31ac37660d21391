# SPDX-License-Identifier: Apache-2.0
"""The books of a run: where it is, how its time was spent, and what displays and reports read."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from expo_ft_ros.control.episode_machine import EpisodeSnapshot, State
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.experiment import run_files
from expo_ft_ros.experiment.learner_report import LearnerReport
from expo_ft_ros.experiment.progress import STATUS_FILE
from expo_ft_ros.experiment.run_files import LEARNING, ROBOT, WAITING, WallClock
from expo_ft_ros.experiment.run_folder import first_uncounted
from expo_ft_ros.experiment.stages import Session
from expo_ft_ros.experiment.step_rate import StepRate
from expo_ft_ros.experiment.value_calibration import ValueCalibration
from expo_ft_ros.tasks import TaskConfig

STATUS_PERIOD = 0.5
"""Between two words on how the run stands [s]."""


def episode_line(
    session: Session, ended: EpisodeSnapshot, calibration: ValueCalibration, gamma: float
) -> dict[str, Any]:
    """What every log says of an episode that is over: how it ended, and how the values compare with
    its return. gamma: discount."""
    return {
        "stage": ended.stage,
        "episode": ended.episode,
        "success": ended.success,
        "steps": ended.steps,
        "human_steps": ended.human_steps,
        "env_steps": session.env_steps,
        **calibration.compute(
            ended.first_observation, ended.last_observation, ended.success, gamma
        ),
    }


class RunBooks:
    """Keeps the books of one run in its folder.

    Attributes:
        session: The stages, which the books count for.
        plan: What is to be done now.
        episode: The newest word on the present episode.
        learner: The learner's newest word.
        calibration: Of the policy's values in the present episode.
        wall: How wall time was spent.
    """

    def __init__(self, folder: Path, session: Session, task: TaskConfig, *, kept: bool) -> None:
        """kept: whether progress and summary are written; a run that never ends has neither."""
        self._folder, self._task, self._kept = folder, task, kept
        self.session = session
        self.plan: Plan | None = None
        self.episode = EpisodeSnapshot(state="")
        self.learner = LearnerReport()
        self.calibration = ValueCalibration()
        self.wall = WallClock()
        self._rate = StepRate(STATUS_PERIOD)
        self._began = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> bool:
        """Goes on where an earlier start of the run was; False when there was none.

        Raises:
            SessionError: when what it left doesn't fit.
        """
        if not self._kept:
            return False
        found = run_files.load_progress(self._folder, self.session, self.wall)
        run_files.trim_metrics(self._folder, first_uncounted(self._folder))
        return found

    def begin(self, plan: Plan, now: float) -> None:
        """A plan is published. now: [s] of a steady clock, here and below."""
        self.plan, self._began = plan, now

    def hear_episode(self, episode: EpisodeSnapshot, now: float) -> None:
        """Takes the state of an episode."""
        self.pass_time(now)
        self.episode = episode
        self._rate.count(episode.episode, episode.steps, now)

    def hear_learner(self, learner: LearnerReport, now: float) -> None:
        """Takes the learner's word."""
        self.pass_time(now)
        self.learner = learner

    @property
    def awaits_takeover(self) -> bool:
        """Whether an episode that the operator alone drives has no step yet."""
        alone = self.plan is not None and self.plan.policy == "none"
        return alone and self.episode.state == State.RUNNING and self.episode.steps == 0

    def pass_time(self, now: float) -> None:
        """Books the time since the last call by what was done in it."""
        doing = WAITING
        if self.episode.state == State.RUNNING and not self.awaits_takeover:
            doing = ROBOT
        elif self.learner.stage in ("imitation", "update"):
            doing = LEARNING
        self.wall.pass_time(now, self.session.stage, doing)

    @property
    def env_steps(self) -> int:
        """Online steps with those of the episode that is on, or over and not yet counted."""
        episode = self.episode
        planned = self.plan is not None and self.plan.episode == episode.episode
        on = planned and episode.stage == "rl" and not episode.discarded
        return self.session.env_steps + (episode.steps if on else 0)

    def keep(self, ended: EpisodeSnapshot, gamma: float, now: float) -> None:
        """Writes a line of metrics.jsonl about an episode that the session has counted."""
        line = {
            "time": time.time(),
            "wall": self.wall.total,
            "discarded": ended.discarded,
            "truncated": ended.truncated,
            "cause": ended.cause,
            "human_reset": ended.human_reset,
            "seconds": now - self._began,
            **episode_line(self.session, ended, self.calibration, gamma),
            **asdict(self.session.stats(ended.stage)),
            **self.learner.numbers(),
        }
        self.calibration = ValueCalibration()
        run_files.append_metrics(self._folder, line)

    def take_back(self, number: int) -> bool:
        """Counts a demonstration no more that the operator wants again; False where it wasn't the
        last that was counted."""
        counted = self.session.take_back(number)
        if counted:
            run_files.discard_in_metrics(self._folder, number, "done again")
        return counted

    def save(self) -> None:
        """Writes where the run is."""
        if self._kept:
            run_files.save_progress(self._folder, self.session, self.wall)

    def status(self, note: str, now: float) -> dict[str, Any]:
        """The fields of msg/SessionStatus, which documents them."""
        session, learner = self.session, self.learner
        stage, stats = session.stage, session.stats()
        done, total = session.progress()
        steps = session.config.rl_steps if "rl" in session.config.stages else 0
        share = done / total if total else 1.0
        if stage == "imitation":
            share = learner.progress if learner.stage == "imitation" else 0.0
        elif stage == "rl":
            share = min(1.0, self.env_steps / max(1, total)) if total else 0.0
        left = run_files.seconds_left(session, self.wall)
        return {
            "stage": stage,
            "episode": self.plan.episode if self.plan else 0,
            "stage_episodes": stats.episodes,
            "stage_episodes_total": 0 if stage in ("rl", "imitation", "done") else total,
            "env_steps": self.env_steps,
            "env_steps_total": steps or 0,
            "success_rate": stats.success_rate,
            "intervention_rate": stats.intervention_rate,
            "control_hz": self._rate.value(now),
            "update_ratio": learner.update_ratio if session.config.learns else 0.0,
            "stage_progress": share,
            "seconds_left": math.nan if left is None else left,
            "note": note,
        }

    def write_status(self, status: Mapping[str, Any]) -> None:
        """status.json, for displays."""
        left, learner = status["seconds_left"], self.learner
        content = {
            **status,
            "seconds_left": None if math.isnan(left) else left,
            "task": self._task.name,
            "learns": self.session.config.learns,
            "state": self.episode.state,
            "elapsed": self.wall.total,
            "robot_minutes": status["env_steps"] / self._task.control_hz / 60,
            "wall": self.wall.spent,
            "learner": {
                "stage": learner.stage,
                "progress": learner.progress,
                **learner.numbers(),
            },
            "eval_before": run_files.evaluation(self.session, "eval_before"),
            "eval_after": run_files.evaluation(self.session, "eval_after"),
            "time": time.time(),
        }
        # Every half second, while the arm moves: nothing that a disk may be slow at.
        write_atomically(self._folder / STATUS_FILE, content, durable=False)

    def write_summary(self, **more: Any) -> dict[str, Any]:
        """Writes summary.json and gives its content; {} where the books aren't kept.

        more: fields beside those of the books.
        """
        if not self._kept:
            return {}
        return run_files.write_summary(
            self._folder,
            self.session,
            self.wall,
            control_hz=self._task.control_hz,
            task=self._task.name,
            critic_updates=self.learner.critic_updates,
            update_ratio=self.learner.update_ratio,
            **more,
        )
