# SPDX-License-Identifier: Apache-2.0
"""What both schedulers have in common: how one episode follows another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator

import numpy as np

from expo_ft_ros.control.actions import (
    Action,
    Actions,
    BeginEpisode,
    PublishState,
    ResetScene,
    Silence,
    WaitFor,
)
from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.episode_machine import SceneReset, State, request_to_operator
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.snapshot import Inputs
from expo_ft_ros.data.types import ACTION_DIM, ActionChunk, FloatArray, Verdict

ZERO: FloatArray = np.zeros(ACTION_DIM, dtype=np.float32)


class Scheduler(ABC):
    """Says when a tick happens, and what its host has to do for it.

    A host reports events by the methods below and performs the actions that each of them gives
    (`control.actions`), in their order and to the end: an event has happened once its actions are
    exhausted. What an action leads to is another event, reported afterwards.
    """

    def __init__(self, loop: ControlLoop, inputs: Inputs) -> None:
        self.loop = loop
        self.inputs = inputs
        self._plan: Plan | None = None
        self._valid_from: int | None = None
        self._policy_lost = ""
        resets = loop.episode.scene_reset
        self._by_world = resets in (SceneReset.AUTOMATIC, SceneReset.ASKED)

    # -- events ---------------------------------------------------------------------------------
    @abstractmethod
    def advance(self) -> Actions:
        """An input came, or something else changed."""

    @abstractmethod
    def check(self) -> Actions:
        """Some time has passed. To be reported several times a second."""

    @abstractmethod
    def take_chunk(self, chunk: ActionChunk) -> Actions:
        """The policy answered."""

    @abstractmethod
    def take_verdict(self, number: int, verdict: Verdict) -> Actions:
        """The classifier answered about an observation."""

    @abstractmethod
    def hold(self) -> Actions:
        """Somebody paused or stopped the robot: zero, now."""

    def take_plan(self, plan: Plan) -> Actions:
        """The session says what is to be done; an older plan than the present one is ignored."""
        self.loop.episode.hear_stage(plan.stage)
        if self._plan is None or plan.episode >= self._plan.episode:
            self._plan = plan
        yield from self.advance()

    def scene_set(self, episode: int, valid_from_ns: int) -> Actions:
        """The scene of an episode is reset. valid_from_ns: stamp of its first frame [ns]."""
        if episode == self.loop.snapshot.episode:
            self._valid_from = valid_from_ns
            yield from self.advance()

    def scene_failed(self, episode: int, cause: str) -> Actions:
        """The scene of an episode can't be reset: it is given up."""
        if episode == self.loop.snapshot.episode:
            self.loop.episode.abort(f"the scene could not be reset: {cause}")
            yield PublishState()
            yield from self.advance()

    def policy_lost(self, cause: str) -> Actions:
        """The policy can give no chunks, and why; "": it can again."""
        if cause != self._policy_lost:
            self._policy_lost = cause
            yield Silence(self.silent)

    @property
    def silent(self) -> str:
        """Who is silent, or why the policy is, as a reason to hold still; "" when everybody
        lives."""
        return self._policy_lost

    @property
    def everybody_lives(self) -> bool:
        """Whether nobody is silent at this moment."""
        return True

    # -- from one episode to the next -----------------------------------------------------------
    @abstractmethod
    def _shows(self, valid_from_ns: int) -> bool:
        """Whether the inputs are of the scene after its reset."""

    @abstractmethod
    def _now(self) -> int:
        """The time of which a scene is that the arm itself has reset [ns]."""

    def _between_episodes(self) -> Generator[Action, None, bool]:
        """Commits an episode that is over, begins the planned one, waits for its scene.

        Returns:
            Whether its ticks begin now.
        """
        loop = self.loop
        loop.episode.decide()
        yield from self._begin()
        valid_from = self._valid_from
        if loop.episode.state is not State.RESETTING or valid_from is None:
            return False
        if self.inputs.device_lost or not self._shows(valid_from):
            return False
        return loop.reset_done().accepted

    def _begin(self) -> Actions:
        """Starts the planned episode where there is one and it may, and asks for its scene."""
        loop, plan, lost = self.loop, self._plan, self.inputs.device_lost
        if plan is None:
            return
        new = plan.episode > loop.snapshot.episode
        if new and not lost and loop.begin(plan).accepted:
            self._valid_from = None
            yield BeginEpisode(plan)
        if lost and (new or loop.episode.state is State.RESETTING):
            yield WaitFor(DEVICE_LOST)
        elif loop.episode.state is not State.RESETTING:
            return
        elif loop.episode.waits_for_operator:
            yield WaitFor(request_to_operator(loop.snapshot.asked))
        elif self._valid_from is None and self._by_world:
            yield ResetScene(plan)
        elif self._valid_from is None and loop.script_done:
            self._valid_from = self._now()
