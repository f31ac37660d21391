# SPDX-License-Identifier: Apache-2.0
"""The simulated cell in one process: another host of the graph's scheduler in lock-step.

World, operator, teleop mapper, classifier, scheduler and assembler are the graph's own, so that an
experiment here is one of the graph (docs/architecture.md, Clock and lock-step).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from expo_ft_ros.control.actions import (
    Action,
    Actions,
    EndTick,
    Execute,
    PublishObservation,
    PublishStep,
    ResetScene,
)
from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.control.lockstep import Lockstep
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.control.scheduler import ZERO
from expo_ft_ros.control.snapshot import Inputs
from expo_ft_ros.data.episode import Episode, EpisodeAssembler, outcome_of
from expo_ft_ros.data.types import (
    ActionChunk,
    Candidates,
    FloatArray,
    Observation,
    Step,
    Verdict,
    chunk_id,
)
from expo_ft_ros.devices.teleop import TeleopConfig, TeleopMapper
from expo_ft_ros.experiment.value_calibration import ValueCalibration
from expo_ft_ros.recording.messages import NANOSECONDS
from expo_ft_ros.robots import DEFAULT_ROBOT, RobotConfig, load_robot
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import ScriptedOperator
from expo_ft_ros.tasks.scenes import make_world
from expo_ft_ros.tasks.spacemouse_emulator import DeviceInput

Policy = Callable[[Observation], tuple[FloatArray, Candidates]]
"""From an observation to a chunk (H, 7) in robot-normalised units, and what it was chosen from."""


@dataclass(frozen=True)
class Played:
    """An episode that was played. episode: None where there is nothing to learn from.

    calibration: of the policy's chunks; truth: whether the task is done by the simulation's ground
    truth, which nothing learns from; steps, verdicts: in the order in which they came.
    """

    ended: EpisodeSnapshot
    episode: Episode | None
    calibration: ValueCalibration
    truth: bool
    steps: list[Step]
    verdicts: list[Verdict]


@dataclass
class _Playing:
    """The episode that is on. shown: its newest observation; executed: the newest action."""

    plan: Plan
    policy: Policy | None
    first: int = 0
    shown: Observation | None = None
    executed: FloatArray = field(default_factory=lambda: ZERO)
    calibration: ValueCalibration = field(default_factory=ValueCalibration)
    steps: list[Step] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


class InProcessRollout:
    """One robot cell that plays the session's plans.

    image_size: side of the images that episodes keep [px]; rate, share: of the scripted operator,
    as in `make_expert`; robot: one that is simulated, by default the default one.
    """

    def __init__(
        self,
        task: TaskConfig,
        image_size: int,
        seed: int,
        rate: float,
        share: float,
        robot: RobotConfig | None = None,
    ) -> None:
        self.task = task
        robot = robot or load_robot(DEFAULT_ROBOT)
        limits = robot.limits
        self._world = make_world(task, limits, seed=seed, cameras=robot.view_names)
        device = TeleopConfig.load()
        self._operator = ScriptedOperator(task, limits, device, seed, rate, share)
        self._mapper = TeleopMapper(device, task.period)
        self._classifier = make_classifier(task)
        self._loop = ControlLoop(task, limits, SafetyConfig.load())
        self._inputs = Inputs(robot.view_names, teleop=True)
        self._scheduler = Lockstep(self._loop, self._inputs)
        self._events: deque[Actions] = deque()
        self._assembler = EpisodeAssembler(image_size)
        self._scale = limits.scale()
        self._chunks = 0

    def play(self, plan: Plan, policy: Policy | None) -> Played:
        """Plays the plan's episode to its end.

        Args:
            plan: A plan of an episode that is new.
            policy: Asked where the control loop wants a chunk; None where the plan has no policy.

        Raises:
            RuntimeError: for a plan of an episode that was played, or of an earlier one.
        """
        newest = self._loop.snapshot.episode
        if plan.episode <= newest:
            raise RuntimeError(f"plan of episode {plan.episode}: nothing new, {newest} was played")
        now = _Playing(plan, policy)
        self._events.append(self._scheduler.take_plan(plan))
        while self._events:
            for action in self._events.popleft():
                self._perform(action, now)
        ended = self._loop.snapshot
        self._assembler.finish(outcome_of(ended, plan.seed))
        whole = self._assembler.pop_complete()
        return Played(
            ended,
            whole[0] if whole else None,
            now.calibration,
            self._world.success(),
            now.steps,
            now.verdicts,
        )

    def close(self) -> None:
        """Frees the renderer."""
        self._world.close()

    # -- actions, and the events that they lead to ----------------------------------------------
    def _perform(self, action: Action, now: _Playing) -> None:
        match action:
            case ResetScene(plan):
                self._reset(plan)
            case PublishObservation():
                self._answer(action, now)
            case Execute(executed, _):
                now.executed = executed
            case PublishStep(step):
                now.steps.append(step)
                self._assembler.add_step(step)
            case EndTick():
                self._pass_time(now)

    def _reset(self, plan: Plan) -> None:
        self._world.reset(plan.seed)
        self._operator.begin(plan.episode, plan.seed)
        self._mapper = self._mapper.fresh()
        self._show()
        self._events.append(self._scheduler.scene_set(plan.episode, self._time_ns))

    def _answer(self, asked: PublishObservation, now: _Playing) -> None:
        """Asks the policy, where its chunk is wanted, and the classifier."""
        observation, number = asked.observation, asked.observation.number
        self._assembler.add_observation(observation, asked.episode)
        if asked.chunk_wanted and now.policy is not None:
            actions, choice = now.policy(observation)
            self._chunks += 1
            now.calibration.add(choice)
            chunk = ActionChunk(
                chunk_id(self._chunks, explored=choice.explored),
                number,
                actions,
                choice.chosen_q,
                choice.chosen_kind,
            )
            self._events.append(self._scheduler.take_chunk(chunk))
        if now.shown is None:
            now.first = number
            self._classifier.reset(observation)
        now.shown = observation
        verdict = self._classifier(observation)
        now.verdicts.append(verdict)
        self._assembler.add_verdict(number, verdict)
        self._events.append(self._scheduler.take_verdict(number, verdict))

    def _pass_time(self, now: _Playing) -> None:
        """The operator sees what was executed, and a control period passes."""
        device_input, seen = self._help(now), self._world.time
        if device_input.readings is not None:
            self._mapper.update(device_input.readings, None, seen)
        for buttons in device_input.presses:
            self._mapper.update(None, buttons, seen)
        self._world.step(now.executed * self._scale, self.task.period)
        self._show()
        self._events.append(self._scheduler.advance())

    def _help(self, now: _Playing) -> DeviceInput:
        """What the operator does on seeing the observation; it reaches the tick after it."""
        if now.shown is None:
            return self._operator.rest()
        elapsed = (now.shown.number - now.first) * self.task.period
        return self._operator.look(
            elapsed, now.plan.operator, now.shown.proprio, self._world.objects
        )

    def _show(self) -> None:
        """Every input of the world's present time."""
        stamp = self._time_ns
        self._inputs.put_teleop(self._mapper.update(None, None, self._world.time), stamp)
        for view, image in self._world.images().items():
            self._inputs.put_image(view, image, stamp)
        self._inputs.put_proprio(self._world.proprio(), stamp)

    @property
    def _time_ns(self) -> int:
        """The world's time [ns]; it begins at a second, since zero would be no stamp."""
        return NANOSECONDS + round(NANOSECONDS * self._world.time)
