"""The simulated cell in one process: what the graph's nodes do in lock-step, one after the other.

World, operator, teleop mapper, classifier, control loop and assembler are the graph's own, so that
an experiment here is one of the graph (docs/architecture.md, Clock and lock-step).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.episode import Episode, EpisodeAssembler, outcome_of
from expo_ft_ros.data.types import ActionChunk, FloatArray, Observation
from expo_ft_ros.devices.teleop import TeleopConfig, TeleopMapper, TeleopState
from expo_ft_ros.experiment.value_calibration import ValueCalibration
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.experts import IDLE, Mode, OperatorView, make_operator
from expo_ft_ros.tasks.scenes import make_world
from expo_ft_ros.tasks.spacemouse_emulator import SpaceMouseEmulator

NOBODY = "none"

Policy = Callable[[Observation], tuple[FloatArray, float, bool]]
"""From an observation to a chunk (H, 7) in robot-normalised units, its value, and whether it was
edited."""


@dataclass(frozen=True)
class Played:
    """An episode that was played. episode: None where there is nothing to learn from.

    calibration: of the policy's chunks; truth: whether the task is done by the simulation's ground
    truth, which nothing learns from.
    """

    ended: EpisodeSnapshot
    episode: Episode | None
    calibration: ValueCalibration
    truth: bool


class InProcessRollout:
    """One robot cell that plays the session's plans.

    image_size: side of the images that episodes keep [px]; rate, share: of the scripted operator,
    as in `make_operator`.
    """

    def __init__(
        self, task: TaskConfig, image_size: int, seed: int, rate: float, share: float
    ) -> None:
        self.task = task
        limits = load_robot(DEFAULT_ROBOT).limits
        self._world = make_world(task, limits, seed=seed)
        self._operator = make_operator(task, limits, np.random.default_rng(seed), rate, share)
        self._device = TeleopConfig.load()
        self._mapper = TeleopMapper(self._device, task.period)
        self._classifier = make_classifier(task.classifier.name, task.classifier.parameters)
        self._loop = ControlLoop(task, limits, SafetyConfig.load())
        self._assembler = EpisodeAssembler(image_size)
        self._scale = limits.scale()
        self._number = 0
        self._chunks = 0

    def play(self, plan: Plan, policy: Policy | None) -> Played:
        """Plays the plan's episode to its end.

        policy: asked where the control loop wants a chunk; None where the plan has no policy.
        Raises RuntimeError when the control loop refuses the plan.
        """
        loop = self._loop
        reply = loop.begin(plan)
        if not reply.accepted:
            raise RuntimeError(f"plan of episode {plan.episode} was refused: {reply.message}")
        self._world.reset(plan.seed)
        self._operator.reset(plan.seed)
        self._mapper = self._mapper.fresh()
        self._spacemouse = SpaceMouseEmulator(self._device)
        loop.reset_done()
        calibration = ValueCalibration()
        first = self._number + 1
        while True:
            observation = self._observe(plan.episode)
            teleop = self._mapper.update(None, None, observation.time)
            chunk = None
            if loop.wants_chunk(observation.number, teleop) and policy is not None:
                actions, q, edited = policy(observation)
                self._chunks += 1
                chunk = ActionChunk(self._chunks, observation.number, actions, q, edited)
                calibration.add(observation.number, q, edited)
            self._judge(observation, first)
            if not loop.running:
                break
            executed = self._execute(observation, chunk, teleop)
            self._help(plan, observation, observation.number - first)
            self._world.step(executed * self._scale)
        return self._end(plan, calibration)

    def close(self) -> None:
        """Frees the renderer."""
        self._world.close()

    def _observe(self, episode: int) -> Observation:
        self._number += 1
        images = self._world.images()
        observation = Observation(
            number=self._number,
            time=self._world.time,
            side=images["side"],
            wrist=images["wrist"],
            proprio=self._world.proprio(),
            instruction=self.task.instruction,
        )
        self._assembler.add_observation(observation, episode)
        return observation

    def _judge(self, observation: Observation, first: int) -> None:
        if observation.number == first:
            self._classifier.reset(observation)
        verdict = self._classifier(observation)
        self._assembler.add_verdict(observation.number, verdict)
        self._loop.verdict(observation.number, verdict.success, verdict.human_reset)

    def _execute(
        self, observation: Observation, chunk: ActionChunk | None, teleop: TeleopState
    ) -> FloatArray:
        result = self._loop.tick(observation, chunk, teleop, observation.time)
        if result.step is not None:
            self._assembler.add_step(result.step)
        return result.executed

    def _help(self, plan: Plan, observation: Observation, step: int) -> None:
        """What the operator does on seeing the observation; it reaches the tick after it."""
        command = IDLE
        # He needs a moment: his hand moves from the second observation on.
        if plan.operator != NOBODY and step > 0:
            objects = self._world.objects()
            view = OperatorView(observation.proprio, objects, step, Mode(plan.operator))
            command = self._operator.act(view)
        device_input, now = self._spacemouse.move(command), observation.time
        if device_input.readings is not None:
            self._mapper.update(device_input.readings, None, now)
        for buttons in device_input.presses:
            self._mapper.update(None, buttons, now)

    def _end(self, plan: Plan, calibration: ValueCalibration) -> Played:
        ended = self._loop.snapshot
        self._assembler.finish(outcome_of(ended, plan.seed))
        whole = self._assembler.pop_complete()
        return Played(ended, whole[0] if whole else None, calibration, self._world.success())
