# SPDX-License-Identifier: Apache-2.0
"""Files of robots behind ros2_control: their sections, and what they need to be installed."""

from __future__ import annotations

import pytest

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment import environment
from expo_ft_ros.robots import load_robot

KINDS = {"crisp": "crisp", "franka_ros2": "franka_ros2", "servo": "servo", "ur5e": "joint_group"}
"""A shipped robot, and the section that is its adapter's."""


def edited(folder, kind, old, new):
    text = (config_dir() / "robots" / f"{kind}.yaml").read_text()
    assert old in text
    path = folder / "arm.yaml"
    path.write_text(text.replace(f"name: {kind}\n", "name: arm\n", 1).replace(old, new, 1))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_shipped_robot_has_the_section_of_its_adapter(kind):
    robot = load_robot(kind)
    assert robot.controller is getattr(robot, KINDS[kind])
    assert robot.state_rate >= (50 if kind == "servo" else 100)
    for name, field in type(robot.controller).model_fields.items():
        assert field.description, name
    # The driver's joint_states are not the graph's, which one node publishes.
    assert robot.controller.joints.strip("/") != "joint_states"


def test_a_robot_with_another_adapter_has_none():
    assert load_robot("external").controller is None


@pytest.mark.parametrize(
    ("kind", "old", "new", "says"),
    [
        ("crisp", "nodes.crisp", "nodes.servo", "needs the section servo"),
        ("crisp", "adapter: expo_ft_ros.nodes.crisp", "adapter: external", "is of no use to"),
        ("servo", "  node: /servo_node", "  nod: /servo_node", "servo.node: missing"),
        ("franka_ros2", "kind: franka", "kind: frank", "franka_ros2.gripper.kind: 'frank'"),
        ("franka_ros2", "  pose: /fr3", "  pose: /fr3 ", "franka_ros2.pose: "),
        ("franka_ros2", "force: 20", "force: 2000", "allowed: > 0, <= 140"),
        ("crisp", "  target: /fr3/target_pose", "  target: ''", "crisp.target: ''"),
        ("ur5e", "_controller/commands", "_controller/cmd", "is not <controller>/commands"),
        ("ur5e", "  description: ", "  urdf: /a.urdf\n  description: ", "needs one of description"),
        ("ur5e", "  tip: tool0", "  tip: tool0\n  joint_low: [0, 0]", "2 numbers for 6 joints"),
        ("ur5e", "interface: velocity", "interface: effort", "joint_group.interface: 'effort'"),
        ("ur5e", "wrist_3_joint]", "wrist_3_joint, a]", "6 angles for 7 joints"),
        ("ur5e", "open_position: 0.0", "open_position: 0.7929", "are both 0.7929"),
        ("crisp", "kind: franka", "open_position: 0, kind: franka", "is told in metres"),
    ],
)
def test_a_bad_file_is_refused_with_field_and_remedy(tmp_path, kind, old, new, says):
    with pytest.raises(ConfigError) as error:
        load_robot(edited(tmp_path, kind, old, new))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "absent", "says"),
    [
        ("franka_ros2", "franka_msgs", "https://github.com/frankarobotics/franka_ros2"),
        ("crisp", "franka_msgs", "https://github.com/frankarobotics/franka_ros2"),
        ("servo", "moveit_msgs", "apt install ros-jazzy-moveit-msgs"),
        ("servo", "control_msgs", "apt install ros-jazzy-control-msgs"),
        ("ur5e", "control_msgs", "apt install ros-jazzy-control-msgs"),
        ("ur5e", "pinocchio", "pip install pin=="),
    ],
)
def test_an_absent_package_is_one_line_that_says_where_it_is(monkeypatch, kind, absent, says):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(
        environment.importlib.util, "find_spec", lambda name: None if name == absent else object()
    )
    with pytest.raises(ConfigError) as error:
        environment.require_robot_packages(load_robot(kind))
    text = str(error.value)
    assert text.startswith(f"robot:={kind}: {absent} is not installed")
    assert says in text
    assert "\n" not in text


def test_a_robot_that_needs_none_is_not_asked():
    environment.require_robot_packages(load_robot("sim"))


def test_only_the_driver_of_a_franka_arm_is_started_by_the_launch_files():
    assert {kind: load_robot(kind).franka_driver is not None for kind in KINDS} == {
        "crisp": True,
        "franka_ros2": True,
        "servo": True,
        "ur5e": False,
    }


def test_a_knuckle_s_angle_is_an_opening_and_back():
    gripper, width = load_robot("ur5e").controller.gripper, 0.085
    assert gripper.position_of(width, width) == pytest.approx(0.0)
    assert gripper.position_of(0.0, width) == pytest.approx(0.7929)
    for opening in (0.0, 0.02, 0.085):
        position = gripper.position_of(opening, width)
        assert gripper.opening_of(position, width) == pytest.approx(opening)
    assert gripper.opening_of(0.9, width) == 0.0, "a reading beyond its end"


def test_a_finger_s_way_is_half_of_the_opening_where_the_file_says_so():
    gripper = load_robot("servo").controller.gripper
    assert gripper.position_of(0.08, 0.08) == pytest.approx(0.04)
    assert gripper.opening_of(0.08, 0.08) == pytest.approx(0.08), "the sum of both fingers"
