# SPDX-License-Identifier: Apache-2.0
"""A simulated cell that goes back to any decision: what would have come of another chunk?

Loop, classifier and world are those of `experiment.rollout`; nobody helps. Images are drawn only
where somebody looks at one, which is most of what makes a branch cheap.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.types import ActionChunk, FloatArray, ImageArray, Observation, Step
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.sim.world import WorldState
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.reward import Classifier
from expo_ft_ros.tasks.scenes import make_world

T = TypeVar("T")


@dataclass(frozen=True)
class CellState:
    """All that the rest of an episode depends on, beside the chunks that are still to come.

    world: physics, servo, commanded opening, clock; loop: chunks, filter, episode; classifier: what
    it has seen; number: of the newest observation.
    """

    world: WorldState
    loop: ControlLoop
    classifier: Classifier
    number: int


@dataclass
class CellTime:
    """Where the time went [s]."""

    world: float = 0.0
    images: float = 0.0


class BranchCell:
    """One robot cell in lock-step, driven chunk by chunk. Not for two threads at once.

    Args:
        task: What is to be done.
        robot: One that is simulated.
    """

    def __init__(self, task: TaskConfig, robot: RobotConfig) -> None:
        self._task, self._robot = task, robot
        self._world = make_world(task, robot.limits, cameras=robot.view_names)
        self._safety = SafetyConfig.load()
        self._scale = robot.limits.scale()
        self._nobody = TeleopState.idle()
        # Never changed by anything, so copies share them.
        self._shared = (task, task.classifier.parameters, robot.limits, self._safety)
        self._loop = self._new_loop()
        self._classifier = make_classifier(task)
        self._number = 0
        self._views = _Views(robot.view_names, self._images)
        self.seconds = CellTime()

    def begin(self, plan: Plan) -> None:
        """Sets the plan's scene: its first decision is due."""
        self._loop, self._number = self._new_loop(), 0
        self._classifier = make_classifier(self._task)
        self._loop.begin(plan)
        self._world.reset(plan.seed)
        self._loop.reset_done()
        self._look()

    @property
    def over(self) -> bool:
        """Whether the episode has ended; else a chunk is wanted."""
        return not self._loop.running

    @property
    def success(self) -> bool:
        """How it has ended, by the classifier."""
        return self._loop.snapshot.success

    @property
    def truth(self) -> bool:
        """Whether the task is done now, by the simulation's ground truth."""
        return self._world.success()

    @property
    def steps(self) -> int:
        """Executed so far."""
        return self._loop.snapshot.steps

    @property
    def takeover_gripper(self) -> float:
        """|gripper action| that counts as closing or opening."""
        return self._safety.takeover_gripper

    def observation(self) -> Observation:
        """What a decision is made on; its images are there until the next `execute`."""
        world = self._world
        return Observation(
            self._number,
            world.time,
            self._views,
            world.proprio(),
            self._task.instruction,
            self._loop.episode.steps_left,
        )

    def execute(self, actions: FloatArray) -> list[Step]:
        """Executes C steps of a chunk (H, 7), fewer where the episode ends; then the next decision
        is due, or it is over.

        Raises:
            RuntimeError: for an episode that is over.
        """
        if self.over:
            raise RuntimeError("the episode is over: begin another one, or restore a state of it")
        started, drawn = time.perf_counter(), self.seconds.images
        chunk: ActionChunk | None = ActionChunk(self._number, self._number, actions)
        steps = []
        while True:
            shown = self.observation()
            result = self._loop.tick(shown, chunk, self._nobody, shown.time)
            chunk = None
            if result.step is not None:
                steps.append(result.step)
            self._world.step(result.executed * self._scale, self._task.period)
            if self._look() or self.over:
                break
        passed = time.perf_counter() - started
        self.seconds.world += passed - (self.seconds.images - drawn)
        return steps

    def state(self) -> CellState:
        """The whole state; a cell that is restored to it goes on as this one, bit for bit."""
        return CellState(
            self._world.state(), self._copy(self._loop), self._copy(self._classifier), self._number
        )

    def restore(self, state: CellState) -> None:
        """Goes back, or on, to a state of a cell of the same task and robot."""
        self._views.expire()
        self._world.restore(state.world)
        self._loop, self._classifier = self._copy(state.loop), self._copy(state.classifier)
        self._number = state.number
        self._views = _Views(self._robot.view_names, self._images)

    def close(self) -> None:
        """Frees the renderer."""
        self._world.close()

    def _new_loop(self) -> ControlLoop:
        return ControlLoop(self._task, self._robot.limits, self._safety)

    def _copy(self, what: T) -> T:
        return copy.deepcopy(what, {id(shared): shared for shared in self._shared})

    def _look(self) -> bool:
        """The next observation is judged; whether a chunk is wanted on it."""
        self._views.expire()
        self._views = _Views(self._robot.view_names, self._images)
        self._number += 1
        shown = self.observation()
        wanted = self._loop.wants_chunk(self._number, self._nobody)
        if self._number == 1:
            self._classifier.reset(shown)
        verdict = self._classifier(shown)
        self._loop.verdict(self._number, verdict.success, verdict.human_reset)
        return wanted

    def _images(self) -> Mapping[str, ImageArray]:
        started = time.perf_counter()
        images = self._world.images()
        self.seconds.images += time.perf_counter() - started
        return images


@dataclass
class _Views(Mapping[str, ImageArray]):
    """Images that are drawn when the first one is looked at, as long as the world stands there."""

    names: tuple[str, ...]
    draw: Callable[[], Mapping[str, ImageArray]]
    drawn: Mapping[str, ImageArray] | None = field(default=None, init=False)

    def __getitem__(self, name: str) -> ImageArray:
        if self.drawn is None:
            self.drawn = self.draw()
        return self.drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def expire(self) -> None:
        """The world goes on: what wasn't drawn by now can't be any more."""
        self.draw = _too_late


def _too_late() -> NoReturn:
    raise RuntimeError("an observation's images were asked for after the world had gone on")
