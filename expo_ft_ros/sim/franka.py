# SPDX-License-Identifier: Apache-2.0
"""An FR3 with a box gripper from primitive shapes: published kinematics, no meshes.

Names other modules rely on: joints JOINTS and FINGERS, actuators of the same names, site TCP,
body HAND, cameras "wrist" on the hand and "top" above the table. Base frame = world frame, z up,
x forward [m, rad].
"""

from __future__ import annotations

import numpy as np

JOINTS = tuple(f"fr3_joint{i}" for i in range(1, 8))
FINGERS = ("fr3_finger_joint1", "fr3_finger_joint2")
TCP = "tcp"
HAND = "hand"
MAX_WIDTH = 0.08

HOME = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
LOWER = np.array([-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159])
UPPER = np.array([2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159])
VELOCITY = np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26])

# Servo gains of the arm; KV / KP is the lag [s] that the feed-forward of ik.py takes out.
KP = np.array([4500.0, 4500.0, 3500.0, 3500.0, 800.0, 800.0, 800.0])
KV = KP / 10.0
_TORQUE = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)

_HALF_PI = np.pi / 2
# x y z, roll about x, mass, capsules (fromto, radius) in the link's frame.
_LINKS: tuple[tuple[str, float, float, tuple[tuple[str, float], ...]], ...] = (
    ("0 0 0.333", 0.0, 4.0, (("0 0 -0.19 0 0 0", 0.062), ("0 -0.06 0 0 0.06 0", 0.06))),
    ("0 0 0", -_HALF_PI, 3.0, (("0 0 0 0 -0.19 0", 0.06),)),
    ("0 -0.316 0", _HALF_PI, 3.0, (("0 0 -0.1 0.0825 0 0", 0.055),)),
    ("0.0825 0 0", _HALF_PI, 3.0, (("0 0 -0.05 0 0 0.05", 0.055), ("0 0 0 -0.0825 0.12 0", 0.05))),
    ("-0.0825 0.384 0", -_HALF_PI, 3.0, (("0 0 -0.25 0 0.03 -0.02", 0.05),)),
    ("0 0 0", _HALF_PI, 1.5, (("0 0 -0.05 0 0 0.05", 0.045), ("0 0 0 0.088 0 0", 0.045))),
    ("0.088 0 0", _HALF_PI, 0.7, (("0 0 0.02 0 0 0.09", 0.042),)),
)

# Contact bits: table 1, objects 2. Arm links meet the table only, gripper parts both.
TABLE_BIT, OBJECT_BIT = 1, 2
_ARM = 'contype="0" conaffinity="1"'
_GRIP = 'contype="0" conaffinity="3"'


def robot_xml() -> str:
    """Returns the MJCF of the arm on an otherwise empty world."""
    opened, closed = "", ""
    for i, (pos, roll, mass, capsules) in enumerate(_LINKS):
        geoms = "".join(
            f'<geom type="capsule" fromto="{fromto}" size="{radius}" mass="{mass / len(capsules)}"'
            f' rgba="{".86 .87 .9 1" if i % 2 else ".95 .95 .96 1"}" {_ARM}/>'
            for fromto, radius in capsules
        )
        opened += (
            f'<body name="link{i + 1}" pos="{pos}" euler="{roll} 0 0" gravcomp="1">'
            f'<joint name="{JOINTS[i]}" axis="0 0 1" range="{LOWER[i]} {UPPER[i]}"'
            f' armature="0.1" damping="1"/>{geoms}'
        )
        closed += "</body>"
    actuators = "".join(
        f'<position name="{name}" joint="{name}" kp="{KP[i]}" kv="{KV[i]}"'
        f' ctrlrange="-6.3 6.3" forcerange="-{_TORQUE[i]} {_TORQUE[i]}"/>'
        for i, name in enumerate(JOINTS)
    )
    fingers = "".join(
        f'<position name="{name}" joint="{name}" kp="4000" kv="120" ctrlrange="-0.02 0.06"'
        f' forcerange="-70 70"/>'
        for name in FINGERS
    )
    return f"""
<mujoco model="fr3">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.002" integrator="implicitfast" cone="elliptic" impratio="10"/>
  <visual><global offwidth="640" offheight="640"/><quality offsamples="0" shadowsize="0"/>
    <headlight ambient=".42 .42 .42" diffuse=".3 .3 .3" specular="0 0 0"/>
    <map znear="0.005" zfar="20"/></visual>
  <worldbody>
    <light pos="0.3 -0.6 1.8" dir="0.1 0.3 -1" directional="true" diffuse=".4 .4 .4"
      specular="0 0 0" castshadow="false"/>
    <geom name="base" type="capsule" fromto="0 0 0.05 0 0 0.14" size="0.075" rgba=".95 .95 .96 1"
      contype="0" conaffinity="0"/>
    <camera name="top" pos="0.5 0 1.1" xyaxes="0 -1 0 1 0 0" fovy="50"/>
    {opened}
      <body name="{HAND}" pos="0 0 0.107" euler="0 0 {-np.pi / 4}" gravcomp="1">
        <geom name="hand" type="box" size="0.028 0.1 0.033" pos="0 0 0.033" mass="0.7"
          rgba=".75 .76 .8 1" {_GRIP}/>
        <site name="{TCP}" pos="0 0 0.1034" size="0.004" rgba="0 0 0 0"/>
        <camera name="wrist" pos="0.078 0 0.03" xyaxes="0 1 0 0.966 0 0.259" fovy="88"/>
        {_finger("1", 1)}{_finger("2", -1)}
      </body>
    {closed}
  </worldbody>
  <equality><joint joint1="{FINGERS[0]}" joint2="{FINGERS[1]}" polycoef="0 1 0 0 0"
    solref="0.004 1"/></equality>
  <actuator>{actuators}{fingers}</actuator>
</mujoco>"""


def _finger(number: str, side: int) -> str:
    """One finger; joint 0 puts its pad's face on the tool's middle plane."""
    friction = 'friction="1.6 0.02 0.001" condim="4" solimp="0.95 0.99 0.001" solref="0.006 1"'
    return f"""
<body name="finger{number}" pos="0 0 0.066" gravcomp="1">
  <joint name="{FINGERS[int(number) - 1]}" type="slide" axis="0 {side} 0" range="0 {MAX_WIDTH / 2}"
    armature="0.1" damping="5"/>
  <geom name="finger{number}" type="box" size="0.011 0.006 0.012" pos="0 {side * 0.008} 0.012"
    mass="0.015" rgba=".3 .34 .42 1" {_GRIP}/>
  <geom name="pad{number}" type="box" size="0.011 0.004 0.0115" pos="0 {side * 0.004} 0.0355"
    mass="0.01" rgba=".1 .55 .95 1" {_GRIP} {friction}/>
</body>"""
