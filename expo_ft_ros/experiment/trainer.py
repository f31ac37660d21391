# SPDX-License-Identifier: Apache-2.0
"""A whole run in one process: demonstrations, imitation, evaluation, RL online, evaluation again.

The stages are those of `experiment.stages.Session`, the episodes those of
`experiment.rollout.InProcessRollout`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expo_ft_ros.control.plan import LEARNED_STAGES, Plan
from expo_ft_ros.data.types import Candidates, FloatArray, Observation
from expo_ft_ros.experiment.kept_run import KeptRun
from expo_ft_ros.experiment.rollout import InProcessRollout, Played, Policy
from expo_ft_ros.experiment.run_books import episode_line
from expo_ft_ros.experiment.stages import Session, SessionConfig
from expo_ft_ros.rl.agent import Agent

_IMITATION_TOLD = 0.2  # share of it between two reports

Report = Callable[[dict[str, Any]], None]
"""Called with one line of the log: an episode, or imitation, on its way (its `share`) or done."""


@dataclass
class WallTime:
    """Where the time went [s]."""

    robot: float = 0.0
    inference: float = 0.0
    learning: float = 0.0
    imitation: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.robot + self.inference + self.learning + self.imitation


@dataclass
class Trainer:
    """Drives an agent through the session's stages. `log` keeps one line an episode.

    imitated: file of the imitated VLA; read where it exists, else written, so that runs which share
    it differ in nothing but what comes after.
    kept: where weights and episodes are kept, where they are.
    """

    agent: Agent
    session: Session
    rollout: InProcessRollout
    report: Report
    imitated: Path | None = None
    kept: KeptRun | None = None
    wall: WallTime = field(default_factory=WallTime)
    log: list[dict[str, Any]] = field(default_factory=list)
    _trials: list[Plan] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Goes on until the session is done."""
        while (plan := self.session.next_plan()).stage != "done":
            if plan.stage == "imitation":
                self._imitate()
            else:
                self._episode(plan)

    def evaluate_alone(self) -> list[Played]:
        """The last evaluation's trials once more, by the VLA's first chunk: what the critic's
        choice adds is the difference. Not in `wall`."""
        number = self._trials[-1].episode if self._trials else 0
        plans = [
            replace(plan, episode=number + count) for count, plan in enumerate(self._trials, 1)
        ]
        return [self.rollout.play(plan, self._policy(plan, alone=True)) for plan in plans]

    def _imitate(self) -> None:
        started = time.monotonic()
        metrics: dict[str, float] = {}
        if self.imitated is not None and self.imitated.exists():
            self.agent.load_vla(self.imitated)
        else:
            metrics = self.agent.imitate(self._imitating(started))
            if self.imitated is not None:
                self.agent.save_vla(self.imitated)
        self.wall.imitation += time.monotonic() - started
        self.session.stage_finished("imitation")
        self.report({"stage": "imitation", "seconds": self.wall.imitation, **metrics})

    def _imitating(self, started: float) -> Callable[[float, dict[str, float]], bool]:
        """Reports now and then: it takes minutes."""
        told = 0.0

        def progress(share: float, metrics: dict[str, float]) -> bool:
            nonlocal told
            if told + _IMITATION_TOLD <= share < 1.0:
                told = share
                seconds = time.monotonic() - started
                self.report({"stage": "imitation", "share": share, "seconds": seconds, **metrics})
            return True

        return progress

    def _episode(self, plan: Plan) -> None:
        if plan.stage == "eval_after":
            self._trials.append(plan)
        started, thought = time.monotonic(), self.wall.inference
        played = self.rollout.play(plan, self._policy(plan))
        self.wall.robot += time.monotonic() - started - (self.wall.inference - thought)
        metrics: dict[str, float] = {}
        if played.episode is not None and plan.stage in LEARNED_STAGES:
            started = time.monotonic()
            self.agent.add_episode(played.episode)
            if plan.learn:
                metrics = self.agent.update(lambda share, metrics: True)
            self.wall.learning += time.monotonic() - started
        self.session.episode_finished(played.ended)
        if self.kept is not None and played.episode is not None and plan.stage in LEARNED_STAGES:
            self.kept.take(played.episode, self.agent, self.session.env_steps)
        self._note(plan, played, metrics)

    def _policy(self, plan: Plan, *, alone: bool = False) -> Policy | None:
        if plan.policy == "none":
            return None
        if plan.policy == "mode":
            self.agent.begin_evaluation(plan.seed)
        mode = "base_policy" if alone else plan.policy

        def act(observation: Observation) -> tuple[FloatArray, Candidates]:
            started = time.monotonic()
            result = self.agent.act(observation, mode)
            self.wall.inference += 0.0 if alone else time.monotonic() - started
            return result.actions, result.choice(observation.number)

        return act

    def _note(self, plan: Plan, played: Played, metrics: dict[str, float]) -> None:
        ended = played.ended
        line: dict[str, Any] = {
            **episode_line(self.session, ended, played.calibration, self.agent.config.gamma),
            "seed": plan.seed,
            "truth": played.truth,
            "seconds": round(self.wall.total, 1),
        }
        if metrics:
            line["update_ratio"] = self.agent.update_ratio
            line["metrics"] = {name: round(value, 5) for name, value in metrics.items()}
        self.log.append(line)
        self.report(line)


def make_session(
    *, demos: int, eval_trials: int, steps: int, max_steps: int, seed: int, operator: str
) -> Session:
    """The session of a whole run; see `SessionConfig`."""
    return Session(
        SessionConfig.model_validate(
            {
                "demos": demos,
                "eval_trials": eval_trials,
                "rl_steps": steps,
                "max_steps": max_steps,
                "seed": seed,
                "operator": operator,
            }
        )
    )
