# SPDX-License-Identifier: Apache-2.0
"""The arm's line against the simulation's own kinematics."""

import mujoco
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.monitor.arm import arm_points
from expo_ft_ros.sim import franka

MODEL = mujoco.MjModel.from_xml_string(franka.robot_xml())
DATA = mujoco.MjData(MODEL)


@given(st.lists(st.floats(-3, 3), min_size=7, max_size=7))
def test_joints_and_flange_are_where_the_simulation_has_them(joints):
    for name, angle in zip(franka.JOINTS, joints, strict=True):
        DATA.joint(name).qpos = angle
    mujoco.mj_kinematics(MODEL, DATA)
    names = [*(f"link{n}" for n in range(1, 8)), franka.HAND]
    places = [DATA.body(name).xpos for name in names]
    np.testing.assert_allclose(arm_points(np.array(joints)), [np.zeros(3), *places], atol=1e-9)
