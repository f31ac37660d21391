# SPDX-License-Identifier: Apache-2.0
"""Episode machines in a state that a test begins with, their clock turned by hand."""

from expo_ft_ros.control.episode_machine import DEBOUNCE, EpisodeMachine, SceneReset, State
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import Source

MAX_STEPS = 4


def plan(episode: int = 1) -> Plan:
    return Plan("rl", episode, 7, MAX_STEPS, "sample", "correct", True)


def step(machine: EpisodeMachine, number: int, source: Source = Source.POLICY) -> None:
    machine.observe(number)
    assert machine.step_executed(source).accepted


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float = DEBOUNCE) -> None:
        self.now += seconds


DECISION_TIME = 5.0


def make(reset: SceneReset, decision_time: float = 0.0) -> EpisodeMachine:
    clock = Clock()
    machine = EpisodeMachine(reset, clock, decision_time)
    machine.clock = clock
    return machine


def running(
    reset: SceneReset = SceneReset.AUTOMATIC, steps: int = 2, decision_time: float = 0.0
) -> EpisodeMachine:
    """An episode with its first steps done, and the observation after them seen."""
    machine = make(reset, decision_time)
    machine.start(plan())
    if reset is not SceneReset.AUTOMATIC:
        machine.reset_requested()
    if reset is not SceneReset.OPERATOR:
        machine.reset_done()
    machine.clock.pass_time()
    for number in range(1, steps + 1):
        step(machine, number)
    machine.observe(steps + 1)
    return machine


def in_state(state: State, reset: SceneReset = SceneReset.AUTOMATIC) -> EpisodeMachine:
    machine = make(reset)
    if state is State.RESETTING:
        machine.start(plan())
    elif state is not State.IDLE:
        machine = running(reset, decision_time=DECISION_TIME if state is State.DECIDING else 0.0)
    if state is State.ENDED:
        machine.mark_failure()
    elif state is State.DECIDING:
        machine.verdict(True, 3)
    elif state is State.PAUSED:
        machine.pause()
    elif state is State.STOPPED:
        machine.estop(True)
    assert machine.state is state
    machine.clock.pass_time()
    return machine
