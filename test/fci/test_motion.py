# SPDX-License-Identifier: Apache-2.0
"""The twist of a control cycle: watchdog, workspace, joints, acceleration."""

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.fci.messages import ArmCommand
from expo_ft_ros.fci.motion import CartesianMotion
from expo_ft_ros.robots import load_robot

DT = 1e-3
ROBOT = load_robot("franka_fci")
HOME = np.array(ROBOT.home)
PLACE = np.array([0.5, 0.0, 0.3])


class Arm:
    """Does what it is told, with joints 1 to 6 for the six directions."""

    def __init__(self, scale=(1.0,) * 6):
        self.motion = CartesianMotion(ROBOT)
        self.jacobian = np.hstack([np.diag(scale), np.zeros((6, 1))])
        self.position, self.joints, self.now = PLACE.copy(), HOME.copy(), 100.0
        self.joint_speeds = []

    def run(self, seconds, twist, *, age=0.0, cycle=DT):
        """The twists that were sent."""
        sent = []
        for _ in range(round(seconds / cycle)):
            command = ArmCommand(self.now - age, tuple(twist), 0)
            v = self.motion.step(
                command, self.position, self.joints, self.jacobian, self.now, cycle
            )
            self.now += cycle
            self.position = self.position + v[:3] * cycle
            speeds = np.linalg.pinv(self.jacobian) @ v
            self.joints = self.joints + speeds * cycle
            self.joint_speeds.append(speeds)
            sent.append(v)
        return np.array(sent)


X = (0.2, 0, 0, 0, 0, 0)


def test_a_command_is_followed_and_a_zero_is_a_rest():
    arm = Arm()
    assert arm.run(1.0, X)[-1] == pytest.approx(X, abs=1e-4)
    assert not arm.motion.is_at_rest
    sent = arm.run(1.0, (0,) * 6)
    assert arm.motion.is_at_rest
    assert not sent[-1].any()


@pytest.mark.parametrize("age", [0.21, 5.0, np.inf])
def test_an_old_command_is_none(age):
    arm = Arm()
    arm.run(0.5, X)
    sent = arm.run(1.0, X, age=age)
    assert not sent[-1].any()
    assert np.abs(np.diff(sent, axis=0)).max() / DT < 5.0, "it stops smoothly"


@pytest.mark.parametrize("twist", [(np.nan,) * 6, (np.inf, 0, 0, 0, 0, 0)])
def test_what_is_no_number_is_a_rest(twist):
    assert not Arm().run(0.1, twist).any()


def test_it_is_cut_to_the_robot_s_limits():
    sent = Arm().run(1.0, (9, -9, 0, 0, 0, 0))[:, :2]
    assert np.abs(sent).max() <= ROBOT.limits.linear_velocity


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_it_rests_at_a_face_of_the_workspace_and_slides_along_it(axis, sign):
    arm = Arm(scale=(2.0,) * 6)
    arm.joints = np.array([0, 0, 0, -1.6, 0, 2.5, 0])
    twist = np.zeros(6)
    twist[axis], twist[(axis + 1) % 3] = 0.25 * sign, 0.02
    arm.run(4.0, twist)
    face = (ROBOT.workspace.high if sign > 0 else ROBOT.workspace.low)[axis]
    assert sign * (face - arm.position[axis]) == pytest.approx(0.0, abs=2e-3)
    assert arm.position[(axis + 1) % 3] > PLACE[(axis + 1) % 3] + 0.05, "it slides"
    arm.run(1.0, -twist)
    assert sign * (face - arm.position[axis]) > 0.1, "it comes away"


def test_from_outside_the_workspace_it_only_goes_in_and_only_if_told():
    arm = Arm()
    arm.position = np.array([0.5, 0.0, 0.9])
    arm.run(0.5, (0, 0, 0.2, 0, 0, 0))
    arm.run(0.5, (0.1, 0, 0, 0, 0, 0))
    assert arm.position[2] == pytest.approx(0.9, abs=1e-6)
    arm.run(0.5, (0, 0, -0.2, 0, 0, 0))
    assert arm.position[2] < 0.85


def test_a_joint_rests_before_its_end_and_comes_away():
    arm = Arm(scale=(0.2,) * 6)
    arm.run(6.0, (0, 0.2, 0, 0, 0, 0))
    end = ROBOT.fci.joint_high[1] - ROBOT.fci.joint_margin
    assert end - 0.05 < arm.joints[1] < end
    assert np.abs(arm.joint_speeds).max() <= max(ROBOT.fci.joint_velocity)
    arm.run(1.0, (0, -0.2, 0, 0, 0, 0))
    assert arm.joints[1] < end - 0.2


@pytest.mark.parametrize("scale", [0.1, 0.02, 1e-3])
def test_near_a_singularity_it_slows_down(scale):
    arm = Arm(scale=(scale, 1, 1, 1, 1, 1))
    arm.run(0.5, (0.2, 0, 0, 0, 0, 0))
    assert np.abs(np.array(arm.joint_speeds)[:, 0]).max() <= ROBOT.fci.joint_velocity[0] * 1.01


def test_no_joint_accelerates_more_than_it_may():
    arm, random = Arm(scale=(0.3, 0.3, 0.3, 1, 1, 1)), np.random.default_rng(1)
    for _ in range(50):
        twist = random.uniform(-1, 1, 6) * [0.25, 0.25, 0.25, 1, 1, 1]
        twist[:3] -= 0.5 * (arm.position - PLACE)
        arm.run(0.1, twist)
    accelerations = np.diff(arm.joint_speeds, axis=0) / DT
    assert np.abs(accelerations).max() <= ROBOT.fci.joint_acceleration * 1.01
    jerk = np.abs(np.diff(accelerations, axis=0)).max() / DT
    assert jerk < 5000, "an FR3 stops itself"


def test_another_robot_is_refused():
    with pytest.raises(ConfigError, match="sim: fci: the section is missing"):
        CartesianMotion(load_robot("sim"))
