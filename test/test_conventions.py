# SPDX-License-Identifier: Apache-2.0
"""docs/conventions.md: what goes from one unit, frame or notation to another comes back as it
was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from std_msgs.msg import Header

from expo_ft_ros.control.safety_filter import SafetyConfig, SafetyFilter
from expo_ft_ros.data.rotation import (
    TOOL_DOWN,
    compose,
    inverse,
    matrix_of,
    quaternion_of,
    rotation_of,
    rotation_vector,
    turn_to,
)
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.devices.teleop import TeleopConfig, TeleopMapper
from expo_ft_ros.devices.view_frame import axes_of_picture, turned
from expo_ft_ros.doctor.guide.seen import Pose, displacement
from expo_ft_ros.monitor.calibration import Placed
from expo_ft_ros.recording.messages import proprio_from_msg, twist_array
from expo_ft_ros.robots import RobotLimits, load_robot
from expo_ft_ros.robots.pose_twist import TwistFromPoses
from expo_ft_ros.robots.twist_follower import TwistFollower
from expo_ft_ros.ros.messages import command_to_msgs, proprio_to_msg

ROBOT = load_robot("external")
MIDDLE = (np.array(ROBOT.workspace.low) + ROBOT.workspace.high) / 2
DT = 0.005

numbers = st.floats(-1.0, 1.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
sixes = st.lists(numbers, min_size=6, max_size=6).map(np.array)
actions = st.lists(numbers, min_size=7, max_size=7).map(np.array)
# Up to half a turn, also tiny ones.
turns = st.builds(
    lambda v, angle: angle * v / max(np.linalg.norm(v), 1e-12),
    vectors.filter(lambda v: np.linalg.norm(v) > 1e-3),
    st.sampled_from([0.0, 1e-12, 1e-7, 1e-3, 3.1415]) | st.floats(0.0, 3.1415),
)
limits = st.builds(
    RobotLimits,
    linear_velocity=st.floats(0.05, 0.5),
    angular_velocity=st.floats(0.1, 1.5),
    gripper_velocity=st.floats(0.01, 0.4),
)


def same_turn(a, b):
    """Whether two quaternions, of whatever sign, are one rotation."""
    return 1 - abs(float(a @ b)) < 1e-12


# -- rotations ------------------------------------------------------------------------------------
@given(turns)
def test_a_rotation_vector_is_the_quaternion_and_the_matrix_and_back(turn):
    quaternion, matrix = rotation_of(turn), matrix_of(rotation_of(turn))
    np.testing.assert_allclose(rotation_vector(quaternion), turn, atol=1e-9)
    np.testing.assert_allclose(rotation_vector(-quaternion), turn, atol=1e-9)
    np.testing.assert_allclose(matrix, cv2.Rodrigues(turn)[0], atol=1e-9)
    np.testing.assert_allclose(rotation_vector(quaternion_of(matrix)), turn, atol=1e-7)
    # The short way of a controller: twice the sine of half the angle, along the same axis.
    short = turn_to(np.array([0, 0, 0, 1.0]), quaternion)
    angle = np.linalg.norm(turn)
    np.testing.assert_allclose(short * angle, turn * 2 * np.sin(angle / 2), atol=1e-9)


@given(turns, turns, vectors)
def test_turns_one_after_another_are_the_product_of_their_matrices(first, second, point):
    a, b = rotation_of(second), rotation_of(first)
    both = matrix_of(compose(a, b))
    np.testing.assert_allclose(both, matrix_of(a) @ matrix_of(b), atol=1e-9)
    np.testing.assert_allclose(matrix_of(inverse(a)), matrix_of(a).T, atol=1e-12)
    assert same_turn(compose(inverse(a), compose(a, b)), b)
    placed, other = Placed(point, a), Placed(-2 * point, b)
    back = placed.inverse() @ (placed @ other)
    np.testing.assert_allclose(back.position, other.position, atol=1e-9)
    assert same_turn(back.quaternion, b)


@given(turns, vectors)
def test_the_state_has_the_tool_s_first_two_axes(turn, position):
    state = Proprio(position=position, quaternion=rotation_of(turn), gripper_width=0.04).vector()
    x, y = state[3:6].astype(float), state[6:9].astype(float)
    matrix = np.stack([x, y, np.cross(x, y)], axis=1)
    np.testing.assert_allclose(matrix, matrix_of(rotation_of(turn)), atol=1e-6)
    np.testing.assert_allclose([*state[:3], state[9]], [*position, 0.04], atol=1e-6)


# -- twists and poses -----------------------------------------------------------------------------
@given(sixes, turns)
def test_a_velocity_is_in_base_axes_and_the_same_in_the_tool_s(twist, facing):
    """The tool's own axes are columns of its rotation; there is no other frame of a twist here."""
    tool, seconds = rotation_of(facing), 0.3
    axes = matrix_of(tool)
    in_tool = np.concatenate([axes.T @ twist[:3], axes.T @ twist[3:]])
    back = np.concatenate([axes @ in_tool[:3], axes @ in_tool[3:]])
    np.testing.assert_allclose(back, twist, atol=1e-12)
    by_base = compose(rotation_of(seconds * twist[3:]), tool)
    by_tool = compose(tool, rotation_of(seconds * in_tool[3:]))
    assert same_turn(by_base, by_tool)


@settings(max_examples=30)
@given(sixes, turns)
def test_a_velocity_that_is_integrated_is_measured_again(twist, facing):
    """Position [m] and rotation vector [rad] of a way, and the poses' velocity, are the twist's."""
    pose, found = (MIDDLE, rotation_of(facing)), TwistFromPoses(0.05)
    began = pose
    for cycle in range(60):
        velocity = found.update(round(1e9 * cycle * DT), *pose)
        pose = pose[0] + DT * twist[:3], compose(rotation_of(DT * twist[3:]), pose[1])
    np.testing.assert_allclose(velocity, twist, atol=1e-6)
    way = displacement(Pose(0.0, *began), Pose(0.3, *pose))
    np.testing.assert_allclose(way, 60 * DT * twist, atol=1e-6)


# -- actions --------------------------------------------------------------------------------------
@settings(max_examples=10)
@given(actions, limits)
def test_an_action_is_executed_and_measured_as_what_it_was(action, limits):
    """[-1, 1] -> m/s and rad/s -> command -> adapter -> poses -> m/s and rad/s -> [-1, 1]."""
    robot = ROBOT.model_copy(update={"limits": limits})
    scale = limits.scale()
    assert scale == pytest.approx([*[limits.linear_velocity] * 3, *[limits.angular_velocity] * 3,
                                   limits.gripper_velocity])  # fmt: skip
    action = action * np.array([*[0.1 / limits.linear_velocity] * 3, 1, 1, 1, 1]).clip(max=1)
    twist, gripper = command_to_msgs(action * scale, Header(frame_id="base"))
    assert gripper.velocity[0] == pytest.approx(action[6] * limits.gripper_velocity)
    follower = TwistFollower(robot, MIDDLE, TOOL_DOWN)
    target, found = follower.target, TwistFromPoses(0.05)
    for cycle in range(round(1.2 / DT)):
        wanted = twist_array(twist.twist)
        target = follower.advance(wanted, target.position, target.quaternion, DT)
        state = Proprio(target.position, target.quaternion, 0.04)
        told = proprio_from_msg(proprio_to_msg(state, Header()))
        measured = found.update(round(1e9 * cycle * DT), told.position, told.quaternion)
    np.testing.assert_allclose(measured / scale[:6], action[:6], atol=1e-5)
    np.testing.assert_allclose(target.twist / scale[:6], action[:6], atol=1e-5)


@settings(max_examples=20)
@given(actions, limits)
def test_the_safety_filter_hands_on_an_action_in_its_own_units(action, limits):
    """From rest and in the box, where nothing is to be altered."""
    config = SafetyConfig.load()
    safety = SafetyFilter(config, limits, ROBOT.workspace)
    state = Proprio(MIDDLE, TOOL_DOWN, 0.04)
    soft = action * 0.5
    for _ in range(20):
        filtered = safety.filter(soft.astype(np.float32), state, 0.1)
    np.testing.assert_allclose(filtered.action, soft, atol=1e-6)


signs_of_axes = st.tuples(*[st.sampled_from([1, -1])] * 6)


@given(sixes, turns.map(rotation_of), st.permutations(range(6)), signs_of_axes)
def test_a_push_comes_out_along_the_axes_it_was_meant_in(push, camera, axes, signs):
    """Device's readings -> by axes and signs -> the view's frame -> base, and all the way back."""
    if np.linalg.norm(matrix_of(camera)[:2, 0]) < 0.55:
        return
    config = TeleopConfig(
        full_scale=2.0, dead_zone=0.0, axes=tuple(axes), signs=signs, frame="side"
    )
    mapper = TeleopMapper(config)
    mapper.axes = axes_of_picture(camera)
    pushed = push if np.abs(push).max() > 0.2 else np.array([0.5, 0, 0, 0, 0, 0])
    readings = np.zeros(6)
    readings[list(axes)] = 2.0 * np.array(signs) * pushed
    state = mapper.update(readings, None, 0.0)
    assert state.engaged
    np.testing.assert_allclose(state.action[:6], turned(pushed, mapper.axes), atol=1e-6)
    back = np.concatenate([mapper.axes.T @ state.action[:3], mapper.axes.T @ state.action[3:6]])
    np.testing.assert_allclose(back / np.abs(back).max(), pushed / np.abs(pushed).max(), atol=1e-5)
