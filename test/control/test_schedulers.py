# SPDX-License-Identifier: Apache-2.0
"""When a tick happens, on a clock that the test turns: what real processes can't show exactly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

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
from expo_ft_ros.control.arbiter import DEVICE_LOST
from expo_ft_ros.control.lockstep import RESEND_AFTER, Lockstep
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.realtime import Realtime
from expo_ft_ros.control.safety_filter import Heartbeats, SafetyConfig
from expo_ft_ros.control.scheduler import Scheduler
from expo_ft_ros.control.snapshot import PROPRIO, Inputs
from expo_ft_ros.data.types import ActionChunk, Proprio, Source, Step, Verdict
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.recording.messages import BadMessage
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


def test_the_command_goes_out_before_the_images():
    run = RealtimeRun()
    for _ in range(3):
        run.tick()
    assert run.desk.order[-3:] == ["send", "step", "show"]


def test_an_observation_says_how_many_steps_are_left_a_pause_takes_none():
    run = RealtimeRun(plan=replace(PLAN, max_steps=4))
    for _ in range(3):
        run.tick()
    run.desk.loop.episode.pause()
    run.tick()
    run.desk.loop.episode.resume()
    for _ in range(4):
        run.tick()
    assert run.desk.left == [4, 3, 2, 1, 0]
    assert run.desk.loop.snapshot.cause


@pytest.mark.parametrize(("inference", "lead"), [(0.03, 1), (0.12, 2), (0.25, 3)])
def test_a_chunk_is_asked_for_as_early_as_the_policy_needs(inference, lead):
    run = RealtimeRun(inference=inference)
    for _ in range(40):
        run.tick()
    assert run.desk.loop.lead == lead
    # Once it is known how long it takes, every tick executes the policy.
    settled = run.desk.steps[-20:]
    assert {step.source for step in settled} == {Source.POLICY}
    late = [t.chunk_late for t in run.desk.ticks[-20:] if t.chunk_late is not None]
    assert late
    assert max(late) < 0


def test_a_late_chunk_says_by_how_much():
    run = RealtimeRun(inference=0.03)
    for _ in range(12):
        run.tick()
    run.inference = 0.35
    run.desk.ticks.clear()
    for _ in range(12):
        run.tick()
    late = [t.chunk_late for t in run.desk.ticks if t.chunk_late is not None]
    # With a lead of one tick the chunk was needed 0.1 s after it was asked for.
    assert max(late) == pytest.approx(0.25, abs=1e-6)


def test_requests_that_a_later_answer_overtakes_are_counted():
    run = RealtimeRun()
    for _ in range(6):
        run.tick()
    run.answering = False
    asked = len(run.desk.wanted)
    while len(run.desk.wanted) < asked + 2:
        run.tick()
    run.answering = True
    while len(run.desk.wanted) < asked + 3:
        run.tick()
    run.tick()
    assert sum(tick.chunks_lost for tick in run.desk.ticks) == 2


def test_a_policy_that_never_answers_ends_in_a_hold():
    run = RealtimeRun()
    for _ in range(6):
        run.tick()
    run.answering = False
    for _ in range(25):
        run.tick()
    assert run.desk.steps[-1].source is Source.HOLD
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))


def test_a_chunk_that_came_before_a_tick_counts_when_the_next_is_asked_for():
    """It is taken seven ticks after its observation, so that one of its eight steps is left."""
    run = RealtimeRun(lead=7, inference=0.62)
    for _ in range(30):
        run.tick()
    asked = run.desk.wanted[-5:]
    assert np.diff(asked).tolist() == [7, 7, 7, 7]


def test_hold_sends_zero_now_and_plans_anew():
    run = RealtimeRun()
    for _ in range(9):
        run.tick()
    assert run.desk.sent[-1][0] != 0
    count = len(run.desk.sent)
    run.desk.perform(run.schedule.hold())
    assert len(run.desk.sent) == count + 1
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    # The answer to the last tick's request is still under way.
    asked = len(run.desk.wanted)
    assert run.desk.wanted[-1] == run.desk.last
    run.tick()
    assert len(run.desk.wanted) == asked + 1
    assert run.desk.steps[-1].source is Source.HOLD
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    assert run.desk.ticks[-1].chunk_late is None
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY
    assert run.desk.steps[-1].chunk == run.desk.wanted[-1]


def test_what_a_hold_cuts_short_is_told_as_its_mean_over_the_period():
    run = RealtimeRun()
    for _ in range(5):
        run.tick()
    whole = run.desk.steps[-1]
    assert whole.executed.any()
    run.desk.now += 0.3 * PERIOD
    count = len(run.desk.steps)
    run.desk.perform(run.schedule.hold())
    run.desk.perform(run.schedule.hold())
    (cut,) = run.desk.steps[count:]
    assert (cut.observation, cut.source) == (whole.observation, whole.source)
    np.testing.assert_allclose(cut.executed, 0.3 * whole.executed, rtol=1e-5)
    assert cut.cause == "cut short after 30% of its period"


def test_what_has_lasted_for_its_period_is_not_told_again():
    run = RealtimeRun()
    for _ in range(5):
        run.tick()
    run.desk.now += 1.01 * PERIOD
    count = len(run.desk.steps)
    run.desk.perform(run.schedule.hold())
    assert len(run.desk.steps) == count


def test_the_newest_chunk_counts_whatever_comes_after_it():
    run = RealtimeRun()
    for _ in range(3):
        run.tick()
    newest = run.desk.last
    run.desk.perform(run.schedule.take_chunk(chunk(99, newest)))
    run.desk.perform(run.schedule.take_chunk(chunk(1, newest - 1)))
    for _ in range(12):
        run.tick()
    assert 99 in {step.chunk for step in run.desk.steps}


def test_a_pause_stands_and_what_was_under_way_is_not_executed_after_it():
    run = RealtimeRun()
    for _ in range(9):
        run.tick()
    assert run.desk.wanted[-1] == run.desk.last
    assert run.desk.loop.episode.pause().accepted
    run.desk.perform(run.schedule.hold())
    steps = len(run.desk.steps)
    for _ in range(3):
        run.tick()
        np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    assert len(run.desk.steps) == steps
    assert run.desk.loop.episode.resume().accepted
    before = run.desk.wanted[-1]
    run.tick()
    assert run.desk.steps[-1].source is Source.HOLD
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY
    assert run.desk.steps[-1].chunk == run.desk.wanted[-1] > before


def test_lateness_counts_missed_periods():
    run = RealtimeRun()
    for _ in range(5):
        run.tick()
    run.tick(late=0.004)
    assert run.desk.ticks[-1].late == pytest.approx(0.004, abs=1e-6)
    run.desk.due += 2 * PERIOD
    run.tick(late=0.001)
    assert run.desk.ticks[-1].late == pytest.approx(2 * PERIOD + 0.001, abs=1e-6)
    run.tick()
    assert run.desk.ticks[-1].late == pytest.approx(0.0, abs=1e-6)


def test_who_is_silent_holds_the_arm_at_once_and_until_it_is_back():
    run = RealtimeRun(watched=("recorder",))
    for _ in range(6):
        run.schedule.beat("recorder")
        run.tick()
    assert run.desk.sent[-1].any()
    run.desk.now += 0.11
    run.desk.perform(run.schedule.check())
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    assert run.desk.complaints[-1] == "no sign of life from recorder"
    run.desk.due += 2 * PERIOD
    run.tick()
    assert run.desk.steps[-1].source is Source.HOLD
    assert "recorder" in run.desk.steps[-1].cause
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    run.schedule.beat("recorder")
    run.desk.perform(run.schedule.check())
    assert run.desk.complaints[-1] == ""
    run.tick()
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY


def test_a_device_that_is_lost_stops_the_arm_before_the_next_tick():
    run = RealtimeRun()
    for _ in range(6):
        run.tick(teleop=PUSHED)
    assert run.desk.sent[-1].any()
    run.desk.sample(TeleopState(False, True, PUSHED.action))
    run.desk.perform(run.schedule.advance())
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    count = len(run.desk.sent)
    run.desk.perform(run.schedule.advance())
    assert len(run.desk.sent) == count, "said once"


def test_a_reading_is_counted_from_when_the_device_sent_it():
    run = RealtimeRun()
    for _ in range(6):
        run.tick()
    run.tick(late=0.002, teleop=PUSHED, travelled=0.005)
    assert run.desk.steps[-1].source is Source.HUMAN
    assert run.desk.ticks[-1].reaction == pytest.approx(0.007, abs=1e-6)
    run.tick(teleop=PUSHED)
    assert run.desk.ticks[-1].reaction is None, "no new reading"


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


def test_lockstep_waits_for_both_answers_whatever_their_order():
    for first in ("verdict", "chunk"):
        run = LockstepRun()
        run.world()
        assert (run.desk.shown, run.desk.wanted, run.desk.steps) == ([1], [1], [])
        tell = {
            "verdict": lambda run=run: run.desk.perform(
                run.schedule.take_verdict(1, Verdict(0.0, False, ""))
            ),
            "chunk": lambda run=run: run.desk.perform(run.schedule.take_chunk(chunk(1, 1))),
        }
        tell.pop(first)()
        assert run.desk.steps == []
        tell.popitem()[1]()
        assert [step.observation for step in run.desk.steps] == [1]


def test_lockstep_takes_no_old_answer_and_no_moment_twice():
    run = LockstepRun()
    for number in range(1, 4):
        run.world()
        run.answer(number)
    run.desk.perform(run.schedule.advance())
    assert run.desk.shown == [1, 2, 3]
    run.world()
    run.desk.perform(run.schedule.take_verdict(3, Verdict(1.0, True, "")))
    assert [step.observation for step in run.desk.steps] == [1, 2, 3]
    run.answer(4)
    assert [step.observation for step in run.desk.steps] == [1, 2, 3, 4]


def test_lockstep_stands_while_paused_and_goes_on_where_it_was():
    run = LockstepRun()
    for number in range(1, 4):
        run.world()
        run.answer(number)
    run.world()
    assert run.desk.loop.episode.pause().accepted
    sent = len(run.desk.sent)
    run.desk.perform(run.schedule.hold())
    run.answer(4)
    assert len(run.desk.sent) == sent, "without a command the world stands"
    assert [step.observation for step in run.desk.steps] == [1, 2, 3]
    assert run.desk.loop.episode.resume().accepted
    run.desk.perform(run.schedule.advance())
    assert [step.observation for step in run.desk.steps] == [1, 2, 3, 4]
    assert run.desk.steps[-1].source is Source.POLICY


def test_lockstep_sends_again_what_nobody_seems_to_have_heard():
    run = LockstepRun()
    run.world()
    run.desk.perform(run.schedule.check())
    assert run.desk.shown == [1]
    run.desk.now += RESEND_AFTER + 0.1
    run.desk.perform(run.schedule.check())
    assert run.desk.shown == [1, 1]
    assert run.desk.complaints == ["waiting for reward and policy on observation 1"]
    run.answer(1)
    commands = len(run.desk.sent)
    run.desk.now += RESEND_AFTER + 0.1
    run.desk.perform(run.schedule.check())
    assert len(run.desk.sent) == commands + 1
    np.testing.assert_array_equal(run.desk.sent[-1], run.desk.sent[-2])
    assert run.desk.order[-1] == "again"


def test_a_clock_that_is_set_back_takes_no_input_away():
    inputs = Inputs(VIEWS, teleop=False)

    def put(stamp_s: int, now_s: float) -> float | None:
        inputs.put_proprio(PROPRIO_NOW, 10**9 * stamp_s, round(1e9 * now_s))
        return inputs.stamps()[PROPRIO]

    assert put(100, 100) == 100
    assert put(99, 100.1) == 100, "late"
    assert put(5, 5.0) == 5, "an hour back"
    assert put(4, 5.1) == 5, "late again"


def test_a_stamp_ahead_of_the_clock_is_refused_and_the_newest_stays():
    inputs = Inputs(VIEWS, teleop=False)
    assert inputs.put_proprio(PROPRIO_NOW, 10**9, 10**9)
    with pytest.raises(BadMessage, match=r"1\.00 s ahead"):
        inputs.put_proprio(PROPRIO_NOW, 2 * 10**9, 10**9)
    assert inputs.stamps()[PROPRIO] == 1.0


DEMONSTRATION = Plan("collect", 1, 0, 20, "none", "demonstrate", False)


def test_a_demonstration_begins_with_the_takeover_however_long_it_is_waited_for():
    run = RealtimeRun(plan=DEMONSTRATION, human=True)
    for _ in range(10 * DEMONSTRATION.max_steps):
        run.tick()
    snapshot = run.desk.loop.snapshot
    assert (snapshot.state, snapshot.steps, snapshot.first_observation) == ("running", 0, 0)
    assert run.desk.steps == []
    assert run.desk.shown == []
    assert not any(action.any() for action in run.desk.sent)
    assert run.desk.complaints[-1] == "the operator has not taken over yet"
    run.tick(teleop=PUSHED)
    assert [step.source for step in run.desk.steps] == [Source.HUMAN]
    assert run.desk.loop.snapshot.first_observation == run.desk.shown[0]
    for _ in range(3):
        run.tick()
    assert [step.source for step in run.desk.steps[1:]] == [Source.HOLD] * 3, "time passes now"
    for _ in range(DEMONSTRATION.max_steps):
        run.tick(teleop=PUSHED)
    assert run.desk.loop.snapshot.cause == "timeout"
    assert not run.desk.loop.snapshot.discarded


def test_a_device_that_is_gone_begins_no_demonstration():
    run = RealtimeRun(plan=DEMONSTRATION, human=True)
    run.tick()
    for _ in range(3):
        run.tick(teleop=TeleopState(False, False, np.zeros(7, np.float32)))
    run.tick(teleop=TeleopState(False, True, PUSHED.action))
    assert run.desk.steps == []
    run.tick(teleop=PUSHED)
    assert [step.source for step in run.desk.steps] == [Source.HUMAN]


LOST = TeleopState(False, True, PUSHED.action)


def test_no_clock_runs_while_a_demonstration_waits_for_a_lost_device():
    run = RealtimeRun(plan=DEMONSTRATION, human=True)
    run.tick(teleop=PUSHED)
    run.tick(teleop=PUSHED)
    before, steps = len(run.desk.sent), run.desk.loop.snapshot.steps
    assert steps > 0
    for _ in range(10 * DEMONSTRATION.max_steps):
        run.tick(teleop=LOST)
    assert run.desk.loop.snapshot.steps == steps
    assert not any(action.any() for action in run.desk.sent[before:])
    assert run.desk.complaints[-1] == DEVICE_LOST
    while run.desk.loop.running:
        run.tick(teleop=PUSHED)
    assert {step.source for step in run.desk.steps} == {Source.HUMAN}
    assert run.desk.loop.snapshot.steps == DEMONSTRATION.max_steps
    assert not run.desk.loop.snapshot.discarded


def test_no_clock_runs_in_lockstep_either():
    run = LockstepRun(DEMONSTRATION, human=True)
    run.world(PUSHED)
    run.answer(1)
    for _ in range(10 * DEMONSTRATION.max_steps):
        run.world(LOST)
    assert run.desk.loop.snapshot.steps == 1
    assert run.desk.complaints[-1] == DEVICE_LOST
    run.world(PUSHED)
    run.answer(2)
    assert run.desk.loop.snapshot.steps == 2


def test_in_lockstep_the_world_goes_on_until_the_takeover_but_no_step_counts():
    run = LockstepRun(DEMONSTRATION, human=True)
    for _ in range(10 * DEMONSTRATION.max_steps):
        commands = len(run.desk.sent)
        run.world()
        assert len(run.desk.sent) == commands + 1
    assert run.desk.shown == run.desk.steps == []
    run.desk.now += RESEND_AFTER + 0.1
    run.desk.perform(run.schedule.check())
    assert len(run.desk.sent) == commands + 2, "sent again where nobody seems to have heard it"
    run.world(PUSHED)
    run.answer(1)
    assert [step.source for step in run.desk.steps] == [Source.HUMAN]
    assert run.desk.loop.snapshot.steps == 1


def test_in_lockstep_a_scripted_operator_is_shown_the_scene_before_it_takes_over():
    run = LockstepRun(DEMONSTRATION)
    run.world()
    run.answer(1)
    assert [step.source for step in run.desk.steps] == [Source.HOLD]


def test_a_policy_that_is_lost_holds_at_once_with_its_cause_and_is_planned_anew():
    run = RealtimeRun()
    for _ in range(9):
        run.tick()
    assert run.desk.sent[-1][0] != 0
    count = len(run.desk.sent)
    run.desk.perform(run.schedule.policy_lost("its server is closed"))
    run.desk.perform(run.schedule.policy_lost("its server is closed"))
    assert len(run.desk.sent) == count + 1
    np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    for _ in range(3):
        run.tick()
        assert run.desk.steps[-1].source is Source.HOLD
        assert run.desk.steps[-1].cause == "its server is closed"
        np.testing.assert_array_equal(run.desk.sent[-1], np.zeros(7))
    lost_at = run.desk.last
    run.desk.perform(run.schedule.policy_lost(""))
    assert run.desk.complaints[-1] == ""
    run.tick()
    run.tick()
    assert run.desk.steps[-1].source is Source.POLICY
    assert run.desk.steps[-1].chunk >= lost_at


def test_in_lock_step_it_is_said_why_the_policy_is_waited_for():
    run = LockstepRun()
    run.desk.perform(run.schedule.policy_lost("its server is closed"))
    run.world()
    run.desk.now += 2 * RESEND_AFTER
    run.desk.perform(run.schedule.check())
    waits = "waiting for reward and policy on observation 1: its server is closed"
    assert run.desk.complaints[-1] == waits
    run.desk.perform(run.schedule.policy_lost(""))
    run.answer(1)
    assert run.desk.steps[-1].source is Source.POLICY
