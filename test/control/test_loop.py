# SPDX-License-Identifier: Apache-2.0
"""One tick of everything together, on a point robot that moves as it is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.control.episode_machine import SceneReset, State
from expo_ft_ros.control.loop import ControlLoop, TickResult
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.types import ActionChunk, Observation, Proprio, Source, Step
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.experiment.stages import Session, SessionConfig
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task

LIMITS = load_robot("sim").limits

TASK = load_task("cube_pick", {"execute_steps": 4})
SAFETY = SafetyConfig.load()
IMAGE = np.zeros((1, 1, 3), np.uint8)
IDLE = TeleopState.idle()
HORIZON = 8


def plan(episode: int = 1, policy: str = "sample", max_steps: int = 100) -> Plan:
    return Plan("rl", episode, 0, max_steps, policy, "correct", True)


def pushing(linear: float = -0.5, gripper: float = 0.0, connected: bool = True) -> TeleopState:
    return TeleopState(connected, True, np.array([linear] * 3 + [0] * 3 + [gripper], np.float32))


def small(number: int) -> float:
    """An action that tells the observation it is meant for and keeps the arm in its box."""
    return (number % 100 + 1) / 1000.0


class Rig:
    """A lock-step world: numbers observations, answers for policy and classifier, moves."""

    def __init__(self, loop: ControlLoop, succeed: Callable[[int], bool] = lambda _: False):
        self.loop, self.succeed = loop, succeed
        self.position = np.array([0.475, 0.0, 0.2])
        self.number, self.steps, self.asked = 0, [], []
        self.policy_answers = True

    def observation(self) -> Observation:
        proprio = Proprio(self.position.copy(), np.array([1.0, 0, 0, 0]), 0.08)
        return Observation(self.number, self.number * 0.1, {"side": IMAGE}, proprio, "")

    def start(self, episode_plan: Plan) -> None:
        assert self.loop.begin(episode_plan).accepted
        assert self.loop.reset_done().accepted

    def chunk(self, number: int) -> ActionChunk:
        actions = np.zeros((HORIZON, 7), np.float32)
        actions[:, 0] = [small(number + i) for i in range(HORIZON)]
        return ActionChunk(number, number, actions)

    def tick(self, teleop: TeleopState = IDLE, stamps=None) -> TickResult | None:
        """One observation; None when its verdict ended the episode."""
        if self.loop.running:
            self.number += 1
        wanted = self.loop.wants_chunk(self.number, teleop)
        self.loop.verdict(self.number, self.succeed(self.number))
        if self.loop.episode.state is State.ENDED:
            return None
        if wanted:
            self.asked.append(self.number)
        chunk = self.chunk(self.number) if wanted and self.policy_answers else None
        now = self.number * 0.1
        result = self.loop.tick(self.observation(), chunk, teleop, now, stamps)
        scale = LIMITS.scale()[:3]
        self.position += result.executed[:3].astype(float) * scale * TASK.period
        if result.step is not None:
            self.steps.append(result.step)
        return result


def running_rig(**changes) -> Rig:
    rig = Rig(ControlLoop(TASK, LIMITS, SAFETY))
    rig.start(plan(**changes))
    return rig


def test_before_an_episode_nothing_moves():
    loop = ControlLoop(TASK, LIMITS, SAFETY)
    rig = Rig(loop)
    rig.number = 1
    result = rig.tick()
    assert result.step is None
    assert not result.executed.any()
    assert result.cause == "idle"
    assert not loop.running
    assert not loop.wants_chunk(1, IDLE)


def test_a_policy_alone_replans_every_c_steps():
    rig = running_rig()
    for _ in range(10):
        rig.tick()
    assert rig.asked == [1, 5, 9]
    assert [step.index for step in rig.steps] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert all(step.source is Source.POLICY and step.cause == "" for step in rig.steps)
    assert all(np.array_equal(step.proposed, step.executed) for step in rig.steps)


def check_spliced(steps: list[Step], engaged: list[bool]) -> None:
    for step, human in zip(steps, engaged, strict=True):
        assert step.source is (Source.HUMAN if human else Source.POLICY)
        assert step.chunk + step.index == step.observation
        if not human:
            assert step.proposed[0] == np.float32(small(step.observation))


def test_a_correction_takes_its_slots_and_the_rest_of_the_chunk_stays():
    rig = running_rig()
    engaged = [False, True, True, False, False, False, True, True, True, False]
    for human in engaged:
        rig.tick(pushing() if human else IDLE)
    check_spliced(rig.steps, engaged)
    assert [(s.chunk, s.index) for s in rig.steps][:6] == [
        (1, 0), (1, 1), (1, 2), (1, 3), (5, 0), (5, 1),
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), max_size=40), st.integers(0, 3))
def test_where_the_task_says_so_a_release_is_planned_anew(engaged, delay):
    """The policy answers `delay` ticks after it was asked; 0 is lock-step."""
    task = TASK.model_copy(update={"replan_on_release": True})
    loop = ControlLoop(task, LIMITS, SAFETY, lead=delay)
    rig = Rig(loop)
    rig.start(plan())
    due: dict[int, int] = {}
    released = 0
    for number, human in enumerate(engaged, start=1):
        rig.number = number
        teleop = pushing() if human else IDLE
        if number > 1 and engaged[number - 2] and not human:
            released = number
            due = {}
        wanted = loop.wants_chunk(number, teleop)
        if wanted:
            due[number + delay] = number
        answer = rig.chunk(due.pop(number)) if number in due else None
        step = loop.tick(rig.observation(), answer, teleop, number * 0.1).step
        if not human and number >= released + delay and released:
            assert step.chunk >= released
        if step.source is Source.POLICY:
            assert step.chunk + step.index == step.observation


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), max_size=40))
def test_any_interleaving_of_the_operator_keeps_the_chunks_at_their_slots(engaged):
    rig = running_rig()
    for human in engaged:
        rig.tick(pushing(0.01) if human else IDLE)
    check_spliced(rig.steps, engaged)
    assert rig.loop.snapshot.human_steps == sum(engaged)


def test_without_an_answer_the_tail_runs_out_then_the_arm_holds_and_asks_again():
    rig = running_rig()
    for _ in range(4):
        rig.tick()
    rig.policy_answers = False
    results = [rig.tick() for _ in range(8)]
    assert [r.step.source for r in results] == [Source.POLICY] * 4 + [Source.HOLD] * 4
    assert results[-1].cause == "late chunk"
    assert not results[-1].executed.any()
    assert rig.asked == [1, 5, 9]
    rig.policy_answers = True
    rig.tick()
    assert rig.asked[-1] == 13
    assert rig.steps[-1].source is Source.POLICY


def test_an_observation_sent_again_asks_again():
    loop = running_rig().loop
    assert loop.wants_chunk(1, IDLE)
    assert loop.wants_chunk(1, IDLE)
    assert not loop.wants_chunk(2, IDLE)


def test_a_chunk_of_an_earlier_episode_is_not_executed():
    rig = running_rig()
    for _ in range(3):
        rig.tick()
    rig.loop.episode.reset_requested()
    rig.start(plan(episode=2))
    rig.number = 4
    stale = ActionChunk(99, 3, np.ones((HORIZON, 7), np.float32))
    result = rig.loop.tick(rig.observation(), stale, IDLE, 0.4)
    assert result.step.source is Source.HOLD
    assert not result.executed.any()


def test_a_chunk_of_an_earlier_episode_is_not_queued_either():
    rig = running_rig()
    for _ in range(3):
        rig.tick()
    rig.loop.episode.reset_requested()
    rig.start(plan(episode=2))
    assert not rig.loop.take(rig.chunk(3), 4)
    assert rig.loop.take(rig.chunk(4), 4)


def test_an_observation_is_executed_once():
    rig = running_rig()
    rig.tick()
    with pytest.raises(ValueError, match="observation 1: executed already"):
        rig.loop.tick(rig.observation(), None, IDLE, 0.0)


@pytest.mark.parametrize("teleop", [IDLE, pushing()])
def test_a_stale_input_holds_with_its_cause_and_the_episode_goes_on(teleop):
    rig = running_rig()
    rig.tick()
    result = rig.tick(teleop, stamps={"camera/side": -1.0, "proprio": 0.2})
    assert result.step.source is Source.HOLD
    assert not result.executed.any()
    assert result.cause == "camera/side stale 1.20 s > 0.15 s"
    rig.tick()
    assert [s.index for s in rig.steps] == [0, 1, 2]


def test_a_hold_is_zero_at_once_whatever_the_acceleration_limit():
    rig = Rig(ControlLoop(TASK, LIMITS, SAFETY.model_copy(update={"linear_acceleration": 0.5})))
    rig.start(plan())
    for _ in range(4):
        rig.tick(pushing(0.9))
    assert not rig.tick(stamps={"proprio": None}).executed.any()


def test_a_lost_device_holds_until_it_is_back():
    rig = running_rig()
    rig.tick(pushing())
    result = rig.tick(pushing(connected=False))
    assert result.step.source is Source.HOLD
    assert not result.executed.any()
    assert rig.tick(IDLE).step.source is Source.POLICY


def test_in_a_demonstration_only_the_operator_drives_and_no_policy_is_asked():
    rig = running_rig(policy="none")
    first, second = rig.tick(), rig.tick(pushing(gripper=-1.0))
    assert first.step.source is Source.HOLD
    assert "operator" in first.cause
    assert second.step.source is Source.HUMAN
    assert (second.step.chunk, second.step.index) == (0, -1)
    assert rig.asked == []


def test_a_takeover_keeps_the_gripper_as_the_policy_had_it():
    rig = running_rig()
    closing = np.zeros((HORIZON, 7), np.float32)
    closing[:, 6] = -0.9
    rig.chunk = lambda number: ActionChunk(number, number, closing)
    rig.tick()
    assert rig.tick(pushing()).executed[6] == -1


def test_a_release_is_free_of_jumps():
    smooth = SAFETY.model_copy(update={"linear_acceleration": 0.5})
    rig = Rig(ControlLoop(TASK, LIMITS, smooth))
    rig.start(plan())
    executed = [rig.tick(pushing(0.9) if i < 6 else IDLE).executed for i in range(20)]
    jumps = np.abs(np.diff([[0.0] * 3, *[e[:3] for e in executed]], axis=0)).max()
    assert jumps * LIMITS.linear_velocity <= 0.5 * TASK.period + 1e-6
    assert np.allclose(executed[5][:3], 0.9)
    assert executed[-1][0] == np.float32(small(20))
    assert rig.steps[6].source is Source.POLICY
    assert rig.steps[6].cause == "acceleration limit"


def test_the_box_holds_whoever_drives():
    rig = running_rig()
    for i in range(60):
        rig.tick(pushing(-1.0) if i % 3 else pushing(1.0) if i % 7 == 0 else pushing(-0.7))
        assert (rig.position >= np.array(TASK.workspace.low) - 1e-6).all()
    assert any("workspace" in step.cause for step in rig.steps)
    assert rig.position[2] == pytest.approx(TASK.workspace.low[2], abs=1e-3)


def test_success_ends_it_at_the_observation_that_shows_it():
    rig = running_rig()
    rig.succeed = lambda number: number == 6
    results = [rig.tick() for _ in range(6)]
    snapshot = rig.loop.snapshot
    assert results[-1] is None
    assert snapshot.state == "ended"
    assert snapshot.terminated
    assert (snapshot.steps, snapshot.first_observation, snapshot.last_observation) == (5, 1, 6)


def test_a_success_on_the_observation_after_the_last_step_counts():
    for success in (True, False):
        rig = running_rig(max_steps=5)
        rig.succeed = lambda number, success=success: success and number == 6
        for _ in range(6):
            rig.tick()
        snapshot = rig.loop.snapshot
        assert snapshot.success is success
        assert snapshot.truncated is not success
        assert snapshot.steps == 5
        assert len(rig.steps) == 5


def test_in_real_time_the_last_verdict_is_waited_for_but_not_for_ever():
    rig = running_rig(max_steps=2)
    rig.tick(), rig.tick()
    for number, now in ((3, 1.0), (4, 1.1), (5, 1.49)):
        rig.number = number
        result = rig.loop.tick(rig.observation(), None, pushing(), now)
        assert result.step is None
        assert not result.executed.any()
        assert rig.loop.running
        assert result.cause == "waiting for the last verdict"
    rig.loop.tick(rig.observation(), None, pushing(), 1.51)
    assert rig.loop.snapshot.cause == "timeout"
    assert rig.loop.snapshot.steps == 2


def test_a_pause_in_the_middle_holds_and_loses_no_step():
    rig = running_rig()
    for _ in range(2):
        rig.tick()
    rig.loop.episode.pause()
    result = rig.tick()
    assert result.step is None
    assert not result.executed.any()
    assert result.cause == "paused"
    assert rig.number == 2
    rig.loop.episode.resume()
    for _ in range(4):
        rig.tick()
    assert [s.observation for s in rig.steps] == [1, 2, 3, 4, 5, 6]
    assert all(s.source is Source.POLICY for s in rig.steps)


def test_an_estop_stops_at_once_and_discards():
    rig = running_rig()
    for _ in range(2):
        rig.tick()
    rig.loop.episode.estop(True)
    result = rig.tick()
    assert result.step is None
    assert not result.executed.any()
    assert result.cause == "estop"
    assert rig.loop.snapshot.discarded
    assert not rig.loop.begin(plan(2)).accepted
    rig.loop.episode.estop(False)
    rig.start(plan(2))
    assert rig.tick().step.episode == 2


def test_the_operator_resets_the_scene_and_says_so():
    loop = ControlLoop(TASK, LIMITS, SAFETY, scene_reset=SceneReset.OPERATOR)
    assert loop.begin(plan()).accepted
    assert loop.snapshot.state == "resetting"
    assert loop.episode.reset_requested().accepted
    assert loop.running


def test_asked_ahead_a_chunk_in_time_leaves_no_gap():
    """Real time: the policy answers two ticks after it was asked."""
    loop = ControlLoop(TASK, LIMITS, SAFETY, lead=2)
    rig = Rig(loop)
    rig.start(plan())
    due: dict[int, int] = {}
    steps = []
    for number in range(1, 30):
        rig.number = number
        if number in due:
            assert loop.take(rig.chunk(due.pop(number)), number)
        if loop.wants_chunk(number, IDLE):
            due[number + 2] = number
        steps.append(loop.tick(rig.observation(), None, IDLE, number * 0.1).step)
    assert [s.source for s in steps[:2]] == [Source.HOLD] * 2
    assert all(s.source is Source.POLICY and s.chunk + s.index == s.observation for s in steps[2:])
    assert {s.index for s in steps[5:]} == {2, 3}


def test_a_whole_session_without_ros():
    """Session, episodes and ticks fit together: every stage is done, both evaluations alike."""
    config = SessionConfig(demos=2, eval_trials=2, rl_steps=30, max_steps=12, seed=1)
    session, rig = Session(config), Rig(ControlLoop(TASK, LIMITS, SAFETY))
    done = []
    while (plan_now := session.next_plan()).stage != "done":
        if plan_now.stage == "imitation":
            session.stage_finished("imitation")
            continue
        first = rig.number + 1
        lucky = plan_now.seed % 2 == 0 or plan_now.stage == "collect"
        rig.succeed = lambda n, lucky=lucky, first=first: lucky and n == first + 7
        rig.position = np.array([0.475, 0.0, 0.2])
        rig.start(plan_now)
        while rig.tick(pushing() if plan_now.stage == "collect" else IDLE) is not None:
            pass
        snapshot = rig.loop.snapshot
        assert snapshot.last_observation - snapshot.first_observation == snapshot.steps
        assert session.episode_finished(snapshot)
        done.append((plan_now.stage, snapshot.success))
    outcomes = {stage: [success for name, success in done if name == stage] for stage in dict(done)}
    assert outcomes["collect"] == [True, True]
    assert outcomes["eval_before"] == outcomes["eval_after"] == [True, False]
    assert session.env_steps >= 30
    assert session.tally("collect").human_steps == 14


def test_what_was_planned_before_standing_still_is_planned_anew():
    """A pause may be long and the world another one after it."""
    rig = running_rig()
    for _ in range(2):
        rig.tick()
    rig.loop.stand_still()
    rig.policy_answers = False
    held = rig.tick()
    assert rig.asked[-1] == rig.number
    assert held.step.source is Source.HOLD
    assert not held.executed.any()


def test_in_real_time_a_policy_that_falls_silent_stops_the_arm_before_its_tail_ends():
    rig = running_rig()
    fresh = {"proprio": 0.0}
    rig.tick(stamps={"proprio": 0.1})
    rig.policy_answers = False
    causes = []
    for _ in range(14):
        rig.loop.lead = 0
        now = (rig.number + 1) * 0.1
        fresh["proprio"] = now
        causes.append(rig.tick(stamps=dict(fresh)).cause)
    late = next(i for i, cause in enumerate(causes) if "policy" in cause)
    assert late * 0.1 <= SAFETY.deadlines["policy"] + 0.1
    assert all(cause for cause in causes[late:])
