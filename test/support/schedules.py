# SPDX-License-Identifier: Apache-2.0
"""Both schedulers on a clock that the test turns, and a host that writes down what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from expo_ft_ros.control.actions import (
    Actions,
    EndTick,
    Execute,
    Explain,
    PublishObservation,
    PublishStep,
    ResetScene,
    Silence,
    Tick,
    WaitFor,
)
from expo_ft_ros.control.lockstep import Lockstep
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.realtime import Realtime
from expo_ft_ros.control.safety_filter import Heartbeats, SafetyConfig
from expo_ft_ros.control.scheduler import Scheduler
from expo_ft_ros.control.snapshot import Inputs
from expo_ft_ros.data.types import ActionChunk, Proprio, Step, Verdict
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task

TASK = load_task("cube_pick")
LIMITS = load_robot(DEFAULT_ROBOT).limits
VIEWS = ("side", "wrist")
HORIZON = 16
PERIOD = TASK.period
MOVES = 0.02
PROPRIO_NOW = Proprio(np.array([0.475, 0.0, 0.2]), np.array([1.0, 0, 0, 0]), 0.08)
IMAGE = np.zeros((2, 2, 3), np.uint8)
PUSHED = TeleopState(True, True, np.array([0.5, 0, 0, 0, 0, 0, 0], np.float32))
PLAN = Plan("rl", 1, 0, 100, "sample", "correct", True)
DEMONSTRATION = Plan("collect", 1, 0, 20, "none", "demonstrate", False)
LOST = TeleopState(False, True, PUSHED.action)


@dataclass
class Desk:
    """A host that writes down what it is told; `sample` has samples come."""

    lead: int = 1
    human: bool = False
    now: float = 100.0
    sent: list[np.ndarray] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    left: list[int | None] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = ControlLoop(
            TASK, LIMITS, SafetyConfig.load(), lead=self.lead, begins_with_takeover=self.human
        )
        self.inputs = Inputs(VIEWS, teleop=True)
        self.due = self.now
        self.scheduler: Scheduler

    def clock(self) -> float:
        return self.now

    def now_ns(self) -> int:
        return round(1e9 * self.now)

    def phase(self) -> float:
        """As of a timer whose periods began at `due`."""
        return (self.now - self.due) % PERIOD

    def sample(self, teleop: TeleopState | None = None, travelled: float | None = None) -> None:
        stamp = self.now_ns()
        for view in VIEWS:
            self.inputs.put_image(view, IMAGE, stamp, stamp)
        self.inputs.put_proprio(PROPRIO_NOW, stamp, stamp)
        state = teleop or TeleopState(True, False, np.zeros(7, np.float32))
        self.inputs.put_teleop(state, stamp, stamp, travelled)

    @property
    def last(self) -> int:
        return self.shown[-1] if self.shown else 0

    def perform(self, actions: Actions) -> None:
        resets = []
        for action in actions:
            match action:
                case Execute(executed):
                    self.order.append("send")
                    self.sent.append(np.asarray(executed))
                case PublishStep(step, again=again):
                    self.order.append("again" if again else "step")
                    self.steps += [] if again else [step]
                case PublishObservation(observation, _, wanted):
                    self.order.append("show")
                    if wanted and observation.number not in self.wanted:
                        self.wanted.append(observation.number)
                    self.shown.append(observation.number)
                    self.left.append(observation.steps_left)
                case EndTick(tick):
                    self.ticks.append(tick)
                case WaitFor(cause) | Explain(cause) | Silence(cause):
                    self.complaints.append(cause)
                case ResetScene(plan):
                    resets.append(plan)
        for plan in resets:
            self.perform(self.scheduler.scene_set(plan.episode, 0))


def chunk(number: int, observation: int) -> ActionChunk:
    actions = np.zeros((HORIZON, 7), np.float32)
    actions[:, 0] = MOVES
    return ActionChunk(number, observation, actions)


class RealtimeRun:
    """Ticks by a timer, a classifier that answers at once, a policy that takes `inference` [s]."""

    def __init__(
        self,
        lead: int = 1,
        inference: float = 0.03,
        plan: Plan = PLAN,
        watched: tuple[str, ...] = (),
        human: bool = False,
    ) -> None:
        self.desk = Desk(lead, human)
        desk = self.desk
        self.heartbeats = Heartbeats(watched, 0.1)
        self.schedule = desk.scheduler = Realtime(
            desk.loop, desk.inputs, desk.now_ns, desk.phase, self.heartbeats, desk.clock
        )
        desk.perform(self.schedule.take_plan(plan))
        self.inference, self.answering = inference, True
        self._due: list[tuple[float, int]] = []
        self._asked = 0

    def tick(
        self,
        late: float = 0.0,
        teleop: TeleopState | None = None,
        travelled: float | None = None,
    ) -> None:
        """The next period: answers that are due before it, samples, the tick itself."""
        desk = self.desk
        start = desk.due + PERIOD
        for when, observation in [item for item in self._due if item[0] <= start + late]:
            desk.now = when
            self.desk.perform(self.schedule.take_chunk(chunk(observation, observation)))
            self._due.remove((when, observation))
        desk.now = start
        desk.sample(teleop, travelled)
        desk.due = start
        desk.now = start + late
        self.desk.perform(self.schedule.tick())
        if desk.last:
            self.desk.perform(self.schedule.take_verdict(desk.last, Verdict(0.0, False, "")))
        for observation in desk.wanted[self._asked :]:
            if self.answering:
                self._due.append((desk.now + self.inference, observation))
        self._asked = len(desk.wanted)


class LockstepRun:
    """One snapshot at a time; answers come when the test says so."""

    def __init__(self, plan: Plan = PLAN, human: bool = False) -> None:
        self.desk = Desk(0, human)
        desk = self.desk
        self.schedule = desk.scheduler = Lockstep(desk.loop, desk.inputs, desk.clock)
        desk.perform(self.schedule.take_plan(plan))

    def world(self, teleop: TeleopState | None = None) -> None:
        """The world's next moment: every sample, and the operator's command, of one time."""
        self.desk.now += PERIOD
        self.desk.sample(teleop)
        self.desk.perform(self.schedule.advance())

    def answer(self, number: int) -> None:
        self.desk.perform(self.schedule.take_verdict(number, Verdict(0.0, False, "")))
        if number in self.desk.wanted:
            self.desk.perform(self.schedule.take_chunk(chunk(number, number)))
