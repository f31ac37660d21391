# SPDX-License-Identifier: Apache-2.0
"""Files of robots behind ros2_control: their sections, and what they need to be installed."""

from __future__ import annotations

import pytest

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment import environment
from expo_ft_ros.robots import load_robot

KINDS = ("crisp", "franka_ros2", "servo")


def edited(folder, kind, old, new):
    text = (config_dir() / "robots" / f"{kind}.yaml").read_text()
    assert old in text
    path = folder / "arm.yaml"
    path.write_text(text.replace(f"name: {kind}\n", "name: arm\n", 1).replace(old, new, 1))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_shipped_robot_has_the_section_of_its_adapter(kind):
    robot = load_robot(kind)
    assert robot.controller is getattr(robot, kind)
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
