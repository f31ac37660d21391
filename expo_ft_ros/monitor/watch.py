# SPDX-License-Identifier: Apache-2.0
"""Gathers what the graph says into what the operator sees: from `data.types` to a `View`."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from expo_ft_ros.control.episode_machine import EpisodeSnapshot, State
from expo_ft_ros.control.snapshot import view_input
from expo_ft_ros.data.types import (
    ACTION_DIM,
    GRIPPER,
    Candidates,
    ImageArray,
    Observation,
    Proprio,
    Source,
    Step,
)
from expo_ft_ros.monitor.headline import is_silent
from expo_ft_ros.monitor.intent import draw_intent
from expo_ft_ros.monitor.overlay import marked_images, veil, write_below
from expo_ft_ros.monitor.paths import gripper_changes, tool_paths
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.training import Training
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, SessionView, View
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.reward import Classifier

# A node of the graph says how it is each second, a robot's driver maybe every ten. One that says
# nothing for three times its own longest interval of late, within these bounds [s], is silent.
_SILENT_AFTER = 3.0, 30.0
_INTERVALS = 5
_PUSH_LASTS = 1.0  # after which a hand that says nothing more doesn't drive [s]
_TICKS = 100  # whose lateness is shown
_MOST_NODES = 100  # of whom anybody can invent more


class Watch:
    """Takes what comes, in whatever order; `view` says how things stand.

    Nothing of another episode than the present one is shown.
    """

    def __init__(
        self,
        task: TaskConfig,
        limits: RobotLimits,
        view_names: Sequence[str],
        classifier: Classifier,
        *,
        take_over: str = "",
        scripted_reset: bool = False,
    ) -> None:
        """Begins without having heard anything.

        Args:
            task: What is done.
            limits: What an action of 1 means.
            view_names: The robot's views, in order.
            classifier: One of its own, whose marks are drawn over the images; the words of the
                newest verdict stand in the first.
            take_over: As `View.take_over`.
            scripted_reset: Whether the arm goes through a script between episodes, which the
                operator may take it out of.
        """
        self._task, self._limits, self._classifier = task, limits, classifier
        self._view_names = tuple(view_names)
        self._view = View(max_steps=task.max_steps, take_over=take_over)
        self._scripted_reset = scripted_reset
        self._pushed_at = -math.inf
        self._learning_from = 0.0, 0.0
        self._observation: Observation | None = None
        self._of = 0
        self._seen: dict[str, ImageArray] = {}
        self._candidates: Candidates | None = None
        self._steps: dict[int, Step] = {}
        self._places: dict[int, np.ndarray[Any, Any]] = {}
        self._widths: dict[int, float] = {}
        self._first = 0
        self._q: dict[int, tuple[float, float, float]] = {}
        # In the order in which they are shown.
        first = ("session", "last", "timings")
        self._status: dict[str, Mapping[str, str]] = {name: {} for name in first}
        self._late: deque[float] = deque(maxlen=_TICKS)
        self._timings: dict[str, str] = {}
        self._diagnostics: dict[str, Diagnostic] = {}
        self._heard: dict[str, deque[float]] = {}

    def take_episode(self, snapshot: EpisodeSnapshot) -> None:
        """The episode's state; with a new episode the path begins anew."""
        if snapshot.episode != self._view.episode.episode:
            self._steps, self._places, self._widths, self._q = {}, {}, {}, {}
            self._first = 0
        self._first = snapshot.first_observation or self._first
        self._view = replace(self._view, episode=snapshot)
        if snapshot.state == State.ENDED:
            self.take_status("last", {"last episode": _outcome(snapshot)})
        if self._observation is not None and self._of == snapshot.episode:
            # Its first one may come before its state.
            self.take_observation(self._observation, self._of)

    def take_fault(self, fault: str) -> None:
        """What the robot has stopped itself for; "" once it has recovered."""
        self._view = replace(self._view, fault=fault)

    def take_proprio(self, proprio: Proprio) -> None:
        """Where the robot is."""
        self._view = replace(
            self._view,
            position=proprio.position,
            quaternion=proprio.quaternion,
            gripper_width=proprio.gripper_width,
            joints=proprio.joints,
        )

    def take_image(self, view: str, image: ImageArray) -> None:
        """What a camera sees, also between episodes. view: its name; image: (h, w, 3) RGB."""
        self._seen[view] = image

    def take_cameras(self, cameras: Mapping[str, Camera], missing: Mapping[str, str]) -> None:
        """What is known of the cameras: name of a view -> its camera, or what is missing of it."""
        self._view = replace(self._view, cameras=cameras)
        lacks = {f"no paths on {name}": words for name, words in missing.items()}
        self.take_status("cameras", lacks)

    def take_objects(self, objects: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Where things are by the simulation's word: name -> (3,) base frame [m]."""
        self._view = replace(self._view, objects=objects)

    def take_observation(self, observation: Observation, episode: int) -> None:
        """One snapshot of an episode; 0: of none."""
        self._observation, self._of = observation, episode
        if episode and episode == self._view.episode.episode:
            self._first = self._first or observation.number
            self._places[observation.number] = observation.proprio.position
            self._widths[observation.number] = observation.proprio.gripper_width

    def take_step(self, step: Step) -> None:
        """What was executed; one that is told again, changed, holds."""
        if step.episode == self._view.episode.episode:
            self._steps[step.observation] = step

    def take_candidates(self, candidates: Candidates) -> None:
        """What the policy chose from."""
        self._candidates = candidates
        q = candidates.q
        if np.isfinite(q).all():
            chosen = float(q[candidates.chosen])
            self._q[candidates.observation] = (float(q.min()), float(q.max()), chosen)

    def take_teleop(self, engaged: bool, time: float) -> None:
        """Whether the operator's hand asks for the arm. time: as of `view`."""
        self._pushed_at = time if engaged else -math.inf

    def take_reward(self, words: str) -> None:
        """The classifier's newest words."""
        self._view = replace(self._view, reward=words)

    def take_motion(self, motion: bool) -> None:
        """Whether commands reach the arm."""
        self._view = replace(self._view, motion_off=not motion)

    def take_shadow(self, part: slice, command: np.ndarray[Any, Any]) -> None:
        """What the arm would be sent with motion on. part: which of `View.shadow`."""
        before = self._view.shadow
        shadow = np.zeros(ACTION_DIM) if before is None else before.copy()
        shadow[part] = command
        self._view = replace(self._view, shadow=shadow)
        speed, turn = (float(np.linalg.norm(shadow[axes])) for axes in (slice(3), slice(3, 6)))
        said = f"{100 * speed:.1f} cm/s, {math.degrees(turn):.0f} deg/s, "
        said += f"gripper {100 * float(shadow[GRIPPER]):+.1f} cm/s"
        self.take_status("shadow", {"would be sent": said})

    def take_lateness(self, late: float) -> None:
        """How late a tick was [s]."""
        self._late.append(late)
        worst = 1e3 * max(self._late)
        self._timings["ticks"] = f"late by {worst:.1f} ms at most (of {len(self._late)})"
        self.take_status("timings", self._timings)

    def take_chunk_time(self, seconds: float) -> None:
        """How long after its observation a chunk came [s]."""
        self._timings["chunk"] = f"{1e3 * seconds:.0f} ms after its observation"
        self.take_status("timings", self._timings)

    def take_session(self, session: SessionView) -> None:
        """Where the run is."""
        self._view = replace(self._view, session=session)

    def take_learning(self, stage: str, progress: float, time: float) -> None:
        """What the learner does. progress: in [0, 1]; time: as of `view`."""
        began, at = self._learning_from
        if stage != self._view.learning.stage or progress < max(at, self._view.learning.progress):
            began, at = self._learning_from = time, progress
        done = progress - at
        left = (1.0 - progress) * (time - began) / done if done > 0 else math.nan
        self._view = replace(self._view, learning=LearningView(stage, progress, left))

    def take_status(self, of: str, words: Mapping[str, str]) -> None:
        """Lines of the status; they take the place of all that `of` has said before."""
        self._status[of] = words

    def take_training(self, training: Training, left: str) -> None:
        """How the training goes, and what is left of the run's time, in words."""
        self._view = replace(self._view, training=training, left=left)

    def take_diagnostic(self, diagnostic: Diagnostic, time: float) -> None:
        """What a node says of its health, once in a while. time: as of `view`."""
        name = diagnostic.name
        if name in self._diagnostics or len(self._diagnostics) < _MOST_NODES:
            self._diagnostics[name] = diagnostic
            self._heard.setdefault(name, deque(maxlen=_INTERVALS + 1)).append(time)

    def view(self, time: float, *, images: bool = True) -> View:
        """How things stand. time: of the run [s]; images: false leaves the drawing out, which is
        what takes its time."""
        view = replace(
            self._view,
            time=time,
            status={k: v for words in self._status.values() for k, v in words.items()},
            diagnostics=tuple(
                _aged(each, self._heard[name], time) for name, each in self._diagnostics.items()
            ),
            q_history=self._q_history(),
            **self._driven(),
            **self._driver(time),
            **self._choice(),
        )
        return replace(view, images=self._images(view)) if images else view

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

    def _driver(self, time: float) -> dict[str, Any]:
        """Who drives now: outside of a running episode only a hand, and only in a reset that is
        the arm's own, of which there are no steps."""
        episode = self._view.episode
        if episode.state == State.RESETTING:
            own = self._scripted_reset and not episode.asked and not episode.paused
            pushed = time - self._pushed_at < _PUSH_LASTS and not self._view.motion_off
            return {"driver": Source.HUMAN} if own and pushed else {}
        if episode.state != State.RUNNING or not self._steps:
            return {}
        newest = self._steps[max(self._steps)]
        return {"driver": newest.source, "cause": newest.cause}

    def _images(self, view: View) -> Mapping[str, ImageArray]:
        if any(name not in self._seen for name in self._view_names):
            return {}
        seen = {name: self._seen[name] for name in self._view_names}
        images = marked_images(seen, self._classifier)
        for name, camera in view.cameras.items():
            draw_intent(images[name], view, camera)
        write_below(images[self._view_names[0]], view.reward)
        for name, image in images.items():
            if f"{view_input(name)} stale" in view.cause or is_silent(view):
                veil(image, "old picture")
        return images

    def _choice(self) -> dict[str, Any]:
        """Candidates are paths from where the tool was when they were drawn; none outside of a
        running episode, and none while a human drives or something else holds the arm: the chosen
        one isn't executed then."""
        candidates = self._candidates
        lasts = self._view.episode.state in (State.RUNNING, State.PAUSED)
        if candidates is None or not lasts or candidates.observation < self._first:
            return {}
        newest = self._steps[max(self._steps)] if self._steps else None
        if newest is not None and (
            newest.source is Source.HUMAN or (newest.source is Source.HOLD and newest.cause)
        ):
            return {}
        number = candidates.observation
        start = self._places.get(number)
        if start is None:
            return {}
        limits, period = self._limits, self._task.period
        executed = candidates.actions[candidates.chosen]
        earlier = sorted(n for n in self._steps if n < number)
        before = [float(self._steps[n].executed[GRIPPER]) for n in earlier]
        return {
            "gripper": gripper_changes(executed, self._widths[number], before, limits, period),
            "q": candidates.q,
            "kind": candidates.kind,
            "member_spread": candidates.member_spread,
            "chosen": candidates.chosen,
            "paths": tool_paths(start, candidates.actions, limits, period),
        }

    def _q_history(self) -> np.ndarray[Any, Any]:
        rows = [
            (number - self._first, *q) for number, q in self._q.items() if number >= self._first > 0
        ]
        return np.array(sorted(rows), dtype=np.float64).reshape(-1, 4)


def _outcome(episode: EpisodeSnapshot) -> str:
    """How one has ended; that its steps don't count explains numbers that go back."""
    because = f" ({episode.cause})" if episode.cause else ""
    if episode.discarded:
        return f"{episode.episode} is discarded{because}: its steps don't count"
    return f"{episode.episode} {'succeeded' if episode.success else 'failed'}{because}"


def _aged(diagnostic: Diagnostic, heard: Sequence[float], now: float) -> Diagnostic:
    """A node of which nothing is heard any more isn't well, whatever it said last. heard: when,
    the newest last [s]."""
    silent = now - heard[-1]
    shortest, longest = _SILENT_AFTER
    # Also between two of a kind it may speak: at a change.
    usual = max((b - a for a, b in itertools.pairwise(heard)), default=longest)
    if silent <= min(max(3 * usual, shortest), longest):
        return diagnostic
    words = f"nothing heard for {silent:.0f} s (last: {diagnostic.message})"
    return Diagnostic(Level.STALE, diagnostic.name, words)
