# SPDX-License-Identifier: Apache-2.0
"""Kinematics from a URDF, against MuJoCo's of the same."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.rotation import matrix_of
from support.arms import SEVEN, SEVEN_JOINTS, UR5E, UR5E_JOINTS

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (requirements/dev.lock)")

from expo_ft_ros.robots.arm_model import ArmModel

UR5E_NAMES = tuple(joint.name for joint in UR5E_JOINTS)
ARMS = {"ur5e": (UR5E, UR5E_NAMES), "seven": (SEVEN, tuple(j.name for j in SEVEN_JOINTS))}


@pytest.mark.parametrize("turned_over", [False, True], ids=["in order", "in another order"])
@pytest.mark.parametrize("name", ARMS)
def test_pose_and_jacobian_are_those_of_another_engine(name, turned_over):
    text, names = ARMS[name]
    names = names[::-1] if turned_over else names
    arm = ArmModel(text, names, "base_link", "tool0")
    kept = '<mujoco><compiler fusestatic="false"/></mujoco></robot>'
    model = mujoco.MjModel.from_xml_string(text.replace("</robot>", kept))
    data = mujoco.MjData(model)
    joints = [model.joint(name) for name in names]
    base, tip = model.body("base_link").id, model.body("tool0").id
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = rng.uniform(-3.0, 3.0, len(names))
        for joint, angle in zip(joints, angles, strict=True):
            data.qpos[joint.qposadr[0]] = angle
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        axes = data.xmat[base].reshape(3, 3)
        position, quaternion = arm.pose(angles)
        np.testing.assert_allclose(position, axes.T @ (data.xpos[tip] - data.xpos[base]), atol=1e-9)
        turned = axes.T @ data.xmat[tip].reshape(3, 3)
        np.testing.assert_allclose(matrix_of(quaternion), turned, atol=1e-9)
        whole = np.zeros((6, model.nv))
        mujoco.mj_jacBody(model, data, whole[:3], whole[3:], tip)
        wanted = np.kron(np.eye(2), axes.T) @ whole[:, [joint.dofadr[0] for joint in joints]]
        np.testing.assert_allclose(arm.jacobian(angles), wanted, atol=1e-9)


def test_a_ur5e_is_where_universal_robots_dh_parameters_have_it():
    """Their forward kinematics, written out for the straight arm and for the upright one."""
    arm = ArmModel(UR5E, UR5E_NAMES, "base_link", "tool0")
    position, _ = arm.pose(np.zeros(6))
    np.testing.assert_allclose(position, [0.8172, 0.1333 + 0.0996, 0.1625 - 0.0997], atol=1e-6)
    position, _ = arm.pose(np.array([0, -np.pi / 2, 0, -np.pi / 2, 0, 0]))
    np.testing.assert_allclose(position, [0, 0.2329, 0.1625 + 0.8172 + 0.0997], atol=1e-6)


def test_limits_are_the_urdf_s_and_a_joint_without_any_has_none():
    names = ARMS["seven"][1][::-1]
    arm = ArmModel(SEVEN, names, "base_link", "tool0")
    assert arm.joints == names
    np.testing.assert_allclose(arm.high, [np.inf, 3.7, np.inf, 3.0, np.inf, 1.8, np.inf])
    np.testing.assert_allclose(arm.low, -arm.high)
    np.testing.assert_allclose(arm.velocity, 2.0)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"urdf": "no XML"}, "the URDF can't be read"),
        ({"urdf": "<robot name='x'/>"}, "the URDF can't be read"),
        ({"tip": "hand"}, "the URDF has no link 'hand' (known: world, base_link, root"),
        ({"base": "ground"}, "the URDF has no link 'ground'"),
        ({"joints": (*UR5E_NAMES[:5], "wrist")}, "the URDF has no moving joint wrist (known: "),
        ({"joints": UR5E_NAMES[:5]}, "the URDF's joints that move 'tool0' are elbow_joint, "),
        ({"tip": "knuckle"}, "that move 'knuckle' are elbow_joint, robotiq_85_left_knuckle_joint"),
        ({"tip": "wrist_2_joint_link"}, "but joints has shoulder_pan_joint, "),
        (
            {"base": "elbow_joint_link"},
            "link 'elbow_joint_link' is moved by elbow_joint, shoulder_",
        ),
    ],
)
def test_what_is_no_chain_of_the_joints_is_refused(changes, says):
    given = {"urdf": UR5E, "joints": UR5E_NAMES, "base": "base_link", "tip": "tool0", **changes}
    with pytest.raises(ConfigError) as error:
        ArmModel(**given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
