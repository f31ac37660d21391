# SPDX-License-Identifier: Apache-2.0
"""Joint speeds for a velocity of the tool: exact where they may be, within all limits always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.rotation import turn_to
from expo_ft_ros.robots import load_robot
from support.arms import SEVEN, SEVEN_JOINTS, UR5E

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (requirements/dev.lock)")

from expo_ft_ros.robots.arm_model import ArmModel
from expo_ft_ros.robots.joint_motion import JointMotion, JointReference, limits_of

SIX = load_robot("ur5e")
DT = 1 / SIX.state_rate
SEVEN_NAMES = tuple(joint.name for joint in SEVEN_JOINTS)
HOME_OF_SEVEN = (0.0, -0.4, 0.0, -2.0, 0.0, 1.6, 0.8)


def made(count: int, **changes: object):
    """Robot, section and model of the arm of six or seven joints."""
    robot = SIX
    if count == 7:
        robot = SIX.model_copy(update={"joints": SEVEN_NAMES, "home": HOME_OF_SEVEN})
    model = ArmModel(UR5E if count == 6 else SEVEN, robot.joints, "base_link", "tool0")
    return robot, robot.joint_group.model_copy(update=changes), model


ARMS = {count: made(count) for count in (6, 7)}
counts = st.sampled_from([6, 7])
shares = st.lists(st.floats(-1, 1), min_size=6, max_size=6).map(np.array)


def near_home(count: int, away: float, seed: int):
    """A posture up to so far from home."""
    rng = np.random.default_rng(seed)
    return np.array(ARMS[count][0].home) + rng.uniform(-away, away, count)


def condition(model, joints):
    return float(np.linalg.cond(model.jacobian(joints)))


def held(motion, twist, joints, cycles=60):
    """Speeds once the joints have had the time to take them up, standing."""
    for _ in range(cycles):
        speeds = motion.step(twist, joints, DT)
    return speeds


@given(count=counts, share=shares, seed=st.integers(0, 10_000))
def test_the_tool_moves_as_commanded_away_from_limits(count, share, seed):
    robot, config, model = ARMS[count]
    joints = near_home(count, 0.4, seed)
    assume(condition(model, joints) < 15)
    twist = 0.3 * share * robot.limits.scale()[:6]
    motion = JointMotion(robot, config, model)
    speeds = held(motion, twist, joints)
    assume(not motion.note)
    # By differences of the tool's pose, which the speeds were not made by.
    step = 1e-4
    (before, facing), (after, turned) = (
        model.pose(joints + sign * step / 2 * speeds) for sign in (-1, 1)
    )
    found = np.concatenate([after - before, turn_to(facing, turned)]) / step
    assert np.abs(found - twist).max() < 1e-6 + 1e-4 * np.abs(twist).max()


@given(count=counts, seed=st.integers(0, 10_000), cycles=st.integers(1, 5))
def test_zero_stays_zero(count, seed, cycles):
    robot, config, model = ARMS[count]
    motion = JointMotion(robot, config, model)
    for _ in range(cycles):
        assert not motion.step(np.zeros(6), near_home(count, 2.0, seed), DT).any()
    assert motion.note == ""


@given(
    count=counts,
    seed=st.integers(0, 10_000),
    twists=st.lists(shares, min_size=1, max_size=6),
    late=st.integers(0, 3),
)
def test_no_limit_is_ever_exceeded(count, seed, twists, late):
    """Wherever the arm begins, whatever is commanded, at action 1, and with a state that is up to
    three cycles late."""
    robot, config, model = ARMS[count]
    limits, rng = limits_of(config, model), np.random.default_rng(seed)
    most = np.where(np.isinf(limits.high), np.pi, limits.high)
    joints = rng.uniform(-most, most)
    motion, before = JointMotion(robot, config, model), np.zeros(count)
    seen = [joints]
    for share in twists:
        for _ in range(60):
            speeds = motion.step(share * robot.limits.scale()[:6], seen[-1 - late :][0], DT)
            assert (np.abs(speeds) <= limits.velocity + 1e-9).all()
            assert np.abs(speeds - before).max() <= config.joint_acceleration * DT + 1e-9
            joints, before = joints + DT * speeds, speeds
            seen.append(joints)
            # limits are the URDF's less the margin, a fifth of which may be taken.
            assert (joints <= limits.high + 0.2 * config.joint_margin).all()
            assert (joints >= limits.low - 0.2 * config.joint_margin).all()


def test_the_whole_velocity_is_scaled_where_one_joint_is_too_slow():
    robot, config, model = made(6, joint_velocity=(0.02,) * 6)
    joints, twist = np.array(robot.home), np.array([0.1, 0.05, 0, 0, 0, 0.2])
    motion = JointMotion(robot, config, model)
    speeds = held(motion, twist, joints)
    assert np.abs(speeds).max() == pytest.approx(0.02)
    found = model.jacobian(joints) @ speeds
    share = np.linalg.norm(found) / np.linalg.norm(twist)
    np.testing.assert_allclose(found, share * twist, atol=1e-9)
    assert "is as fast as it may be" in motion.note


def test_a_joint_s_end_stops_the_arm_with_its_cause_and_is_left_freely():
    robot, config, model = made(6, joint_low=(-0.3, *[-6.0] * 5), joint_high=(0.3, *[6.0] * 5))
    motion, joints = JointMotion(robot, config, model), np.array(robot.home)
    aside = np.array([0.0, 0.1, 0, 0, 0, 0])
    for _ in range(2000):
        joints = joints + DT * motion.step(aside, joints, DT)
    assert joints[0] == pytest.approx(0.25, abs=0.005)
    assert motion.note == "joint shoulder_pan_joint is at 0.25 rad, and may go to 0.25"
    found = model.jacobian(joints) @ held(motion, -aside, joints)
    np.testing.assert_allclose(found, -aside, atol=1e-9)
    assert motion.note == ""


def test_a_singularity_is_not_reached_and_left_freely():
    """The arm is stretched out until it would be straight."""
    robot, config, model = ARMS[6]
    motion, joints = JointMotion(robot, config, model), np.array(robot.home)
    out = np.array([0.1, 0, 0, 0, 0, 0])
    worst = 0.0
    for _ in range(4000):
        joints = joints + DT * motion.step(out, joints, DT)
        worst = max(worst, condition(model, joints))
    assert 0.9 * config.max_condition < worst <= 1.02 * config.max_condition
    assert np.abs(model.jacobian(joints) @ motion.step(out, joints, DT)).max() < 2e-3
    assert motion.note.startswith(
        f"near a singularity: condition {worst:.0f}, at most 30 (move away"
    )
    found = model.jacobian(joints) @ held(motion, -out, joints)
    np.testing.assert_allclose(found, -out, atol=2e-3)


def test_a_straight_arm_goes_where_it_can_and_says_why_not_elsewhere():
    """Upright, it can't go up; the joints that could help would have to be infinitely fast."""
    robot, config, model = ARMS[6]
    motion, joints = JointMotion(robot, config, model), np.array([0.0, -1.57, 0, -1.57, 0, 0])
    speeds = held(motion, np.array([0.05, 0.0, 0.1, 0, 0, 0]), joints)
    assert (np.abs(speeds) <= limits_of(config, model).velocity).all()
    found = model.jacobian(joints) @ speeds
    assert found[0] > 0.02
    assert abs(found[2]) < 0.01
    assert motion.note.startswith("near a singularity: condition ")


def test_joints_beyond_six_go_home_without_moving_the_tool():
    robot, config, model = made(7, rest_gain=2.0)
    home = np.array(robot.home)
    # Away from home along what leaves the tool in place, and a turn about a joint without ends.
    joints = home.copy()
    for _ in range(200):
        free = np.linalg.svd(model.jacobian(joints))[2][6]
        joints = joints + 0.003 * free * np.sign(free[0])
    start, facing = model.pose(joints)
    motion, away = JointMotion(robot, config, model), np.abs(joints - home).max()
    joints[0] += 2 * np.pi
    for cycle in range(1500):
        sign = 1 if cycle % 250 < 125 else -1
        joints = joints + DT * motion.step(sign * np.array([0, 0, 0.05, 0, 0, 0.0]), joints, DT)
    joints[0] -= 2 * np.pi
    position, quaternion = model.pose(joints)
    assert np.abs(joints - home).max() < 0.5 * away
    assert np.abs(position - start).max() < 0.01
    assert np.abs(turn_to(facing, quaternion)).max() < 0.02


@given(
    seed=st.integers(0, 10_000),
    speeds=st.lists(shares, min_size=1, max_size=40),
    follows=st.sampled_from([0.0, 0.02, 1.0]),
)
def test_a_commanded_position_is_within_lead_and_limits_of_an_arm_that_lags_or_is_held(
    seed, speeds, follows
):
    limits = limits_of(*ARMS[6][1:])
    joints = np.random.default_rng(seed).uniform(-1, 1, 6) * np.minimum(limits.high, 6)
    reference = JointReference(limits, lead := 0.1)
    assert reference.angles is None
    for share in speeds:
        angles = reference.advance(1.5 * share, joints, 0.05)
        assert np.abs(angles - joints).max() <= lead + 1e-12
        assert (angles <= np.maximum(limits.high, joints)).all()
        assert (angles >= np.minimum(limits.low, joints)).all()
        joints = joints + follows * (angles - joints)
    reference.forget()
    np.testing.assert_array_equal(reference.advance(np.zeros(6), joints, 0.05), joints)


def test_a_stop_is_at_once():
    robot, config, model = ARMS[6]
    motion, joints = JointMotion(robot, config, model), np.array(robot.home)
    assert held(motion, np.array([0.1, 0, 0, 0, 0, 0]), joints).any()
    motion.stop()
    assert not motion.step(np.zeros(6), joints, DT).any()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"joint_low": (0.0,) * 6, "joint_high": (0.09,) * 6}, "nothing is left between margins"),
        ({"joint_velocity": (np.inf,) * 6}, "limits no speed of it (set joint_velocity)"),
        ({"joint_acceleration": 0.5}, "is too little to brake 1.57 rad/s before an end (set 3.1"),
    ],
)
def test_limits_that_leave_nothing_are_refused(changes, says):
    robot, config, model = made(6, **changes)
    with pytest.raises(ConfigError, match="joint shoulder_pan_joint: ") as error:
        JointMotion(robot, config, model)
    assert says in str(error.value)
