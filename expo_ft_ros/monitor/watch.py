"""Gathers what the graph says into what a person sees: from values of `data.types` to a `View`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from expo_ft_ros.control.episode import EpisodeSnapshot, State
from expo_ft_ros.data.types import Candidates, Observation, Proprio, Source, Step
from expo_ft_ros.monitor.overlay import draw_marks
from expo_ft_ros.monitor.paths import tool_paths
from expo_ft_ros.monitor.view import Diagnostic, View
from expo_ft_ros.rewards import Classifier
from expo_ft_ros.tasks import TaskConfig

_CURVE_STEP = 0.05  # between two points of a curve [min]


class Watch:
    """Takes what comes, in whatever order; `view` says how things stand.

    Nothing of another episode than the present one is shown. classifier: one of its own, whose
    marks are drawn over the images.
    """

    def __init__(self, task: TaskConfig, classifier: Classifier) -> None:
        self._task, self._classifier = task, classifier
        self._view = View(max_steps=task.max_steps)
        self._observation: Observation | None = None
        self._candidates: Candidates | None = None
        self._steps: dict[int, Step] = {}
        self._places: dict[int, np.ndarray[Any, Any]] = {}
        self._first = 0
        self._q: dict[int, tuple[float, float, float]] = {}
        self._curves: list[tuple[float, float, float]] = []
        self._diagnostics: dict[str, Diagnostic] = {}

    def take_episode(self, snapshot: EpisodeSnapshot) -> None:
        """The episode's state; with a new episode the path begins anew."""
        if snapshot.episode != self._view.episode.episode:
            self._steps, self._places, self._q = {}, {}, {}
            self._first, self._candidates = 0, None
        self._view = replace(self._view, episode=snapshot)

    def take_proprio(self, proprio: Proprio) -> None:
        """Where the robot is."""
        self._view = replace(
            self._view,
            position=proprio.position,
            quaternion=proprio.quaternion,
            gripper_width=proprio.gripper_width,
            joints=proprio.joints,
        )

    def take_observation(self, observation: Observation, episode: int) -> None:
        """One snapshot of an episode; 0: of none."""
        self._observation = observation
        if episode and episode == self._view.episode.episode:
            self._first = self._first or observation.number
            self._places[observation.number] = observation.proprio.position

    def take_step(self, step: Step) -> None:
        """What was executed; one that is told again, changed, holds."""
        self._view = replace(self._view, driver=step.source, cause=step.cause)
        if step.episode == self._view.episode.episode:
            self._steps[step.observation] = step

    def take_candidates(self, candidates: Candidates) -> None:
        """What the policy chose from."""
        self._candidates = candidates
        q = candidates.q
        if np.isfinite(q).all():
            chosen = float(q[candidates.chosen])
            self._q[candidates.observation] = (float(q.min()), float(q.max()), chosen)

    def take_reward(self, words: str) -> None:
        """The classifier's newest words."""
        self._view = replace(self._view, reward=words)

    def take_status(self, words: Mapping[str, str]) -> None:
        """Lines of the status, which take the place of those of the same names."""
        self._view = replace(self._view, status={**self._view.status, **words})

    def take_rates(self, minutes: float, success: float, intervention: float) -> None:
        """A point of the training's curves; success, intervention: in [0, 1] or NaN."""
        last = self._curves[-1] if self._curves else None
        if last is None or minutes - last[0] >= _CURVE_STEP:
            self._curves.append((minutes, success, intervention))

    def take_diagnostic(self, diagnostic: Diagnostic) -> None:
        """What a node says of its health."""
        self._diagnostics[diagnostic.name] = diagnostic

    def view(self, time: float, *, images: bool = True) -> View:
        """How things stand. time: of the run [s]; images: false leaves the drawing out, which is
        what takes its time."""
        return replace(
            self._view,
            time=time,
            diagnostics=tuple(self._diagnostics.values()),
            curves=np.array(self._curves).reshape(-1, 3),
            q_history=self._q_history(),
            **self._driven(),
            **(self._images() if images else {}),
            **self._choice(),
        )

    def _driven(self) -> dict[str, Any]:
        """The executed path: an action moved the tool to the observation after its own."""
        numbers = sorted(self._places)
        by = [self._steps[n - 1].source if n - 1 in self._steps else None for n in numbers]
        if len(by) > 1:
            by[0] = by[1]
        known = [Source.HOLD if source is None else source for source in by]
        return {
            "executed": np.array([self._places[n] for n in numbers]).reshape(-1, 3),
            "sources": np.array(known, dtype=np.uint8),
        }

    def _images(self) -> dict[str, Any]:
        if self._observation is None:
            return {}
        marks = self._classifier.marks(self._observation)
        words = self._view.reward
        return {
            "side": draw_marks(self._observation.side, marks.get("side"), words),
            "wrist": draw_marks(self._observation.wrist, marks.get("wrist")),
        }

    def _choice(self) -> dict[str, Any]:
        """Candidates are paths from where the tool was when they were drawn; none outside of a
        running episode."""
        candidates = self._candidates
        lasts = self._view.episode.state in (State.RUNNING, State.PAUSED)
        if candidates is None or not lasts or candidates.observation < self._first:
            return {}
        start = self._places.get(candidates.observation)
        if start is None:
            return {}
        limits, period = self._task.limits, self._task.period
        return {
            "q": candidates.q,
            "edited": candidates.edited,
            "chosen": candidates.chosen,
            "paths": tool_paths(start, candidates.actions, limits, period),
        }

    def _q_history(self) -> np.ndarray[Any, Any]:
        rows = [
            (number - self._first, *q) for number, q in self._q.items() if number >= self._first > 0
        ]
        return np.array(sorted(rows), dtype=np.float64).reshape(-1, 4)
