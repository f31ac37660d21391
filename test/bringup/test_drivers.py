# SPDX-License-Identifier: Apache-2.0
"""What `ros2 launch` starts beside the graph, and what it refuses to."""

from __future__ import annotations

import pytest

from expo_ft_ros.bringup import drivers
from expo_ft_ros.bringup.drivers import (
    drivers_of,
    notes_of,
    open_beside,
    packages_of,
    require_packages,
)
from expo_ft_ros.bringup.handover import describe_robot
from expo_ft_ros.bringup.launch_plan import LaunchError
from expo_ft_ros.robots import load_robot

NOTHING = {drivers.ROBOT_IP: "", **{name: default for name, default, _ in drivers.ARGUMENTS}}


def described(robot):
    return describe_robot(load_robot(robot))


def asked(robot="franka_ros2", **given):
    return drivers_of(described(robot), {**NOTHING, **given})


def test_without_arguments_nothing_is_started():
    assert asked() == []
    assert packages_of(described("franka_ros2"), NOTHING) == ()


@pytest.mark.parametrize(
    ("robot", "controller", "file"),
    [
        ("franka_ros2", "cartesian_impedance_example_controller", ""),
        ("crisp", "cartesian_impedance_controller", "mine.yaml"),
        ("servo", "fr3_arm_controller", "mine.yaml"),
    ],
)
def test_an_address_starts_the_arm_s_driver_in_its_namespace(robot, controller, file):
    driver, spawner = asked(robot, robot_ip="172.16.0.2", controllers_yaml=file)
    assert (driver.package, driver.file) == ("franka_bringup", "franka.launch.py")
    arguments = dict(driver.arguments)
    assert arguments["robot_ip"] == "172.16.0.2"
    assert arguments["load_gripper"] == "true"
    assert arguments["namespace"] == "fr3"
    assert arguments.get("controllers_yaml", "") == file
    assert spawner.words[:3] == (controller, "-c", "/fr3/controller_manager")


def test_a_controller_that_moves_the_arm_by_itself_is_activated_by_a_human():
    given = {**NOTHING, "robot_ip": "172.16.0.2"}
    _, spawner = drivers_of(described("franka_ros2"), given)
    assert "--inactive" in spawner.words
    (note,) = notes_of(described("franka_ros2"), given)
    assert note.endswith(
        "ros2 control switch_controllers -c /fr3/controller_manager --activate "
        "cartesian_impedance_example_controller"
    )
    _, spawner = drivers_of(described("crisp"), {**given, "controllers_yaml": "mine.yaml"})
    assert "--inactive" not in spawner.words
    assert notes_of(described("crisp"), given) == []
    assert notes_of(described("franka_ros2"), NOTHING) == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cameras": "top=1"}, "no view 'top'"),
        ({"static_transforms": "1 2"}, "is not `x y z"),
        ({"controller": "x"}, "controller:= needs robot_ip:="),
        ({"spacenav_driver": "true"}, "spacenav is not installed"),
    ],
)
def test_what_is_refused_leaves_no_folder(tmp_path, monkeypatch, given, says):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    with pytest.raises(LaunchError, match=says):
        open_beside(
            "collect", {}, {**NOTHING, **given}, "sim", lambda package: package != "spacenav"
        )
    assert not (tmp_path / "runs").exists()


def test_no_camera_has_two_readers(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    given = {"camera_drivers": "wrist=v4l2,side=realsense"}
    beside = {**NOTHING, "cameras": "side=1"}
    with pytest.raises(LaunchError, match="camera_drivers:= names side, too"):
        open_beside("collect", given, beside, "franka_ros2", lambda package: True)
    assert not (tmp_path / "runs").exists()


def test_an_arm_that_its_adapter_reaches_by_itself_has_no_driver():
    assert asked("franka_fci", robot_ip="172.16.0.2") == []
    assert packages_of(described("franka_fci"), {**NOTHING, "robot_ip": "172.16.0.2"}) == ()


def test_controllers_and_their_file_may_be_others():
    driver, spawner = asked(robot_ip="a", controllers_yaml="mine.yaml", controller="mine")
    assert dict(driver.arguments)["controllers_yaml"] == "mine.yaml"
    assert spawner.words[0] == "mine"


def test_each_camera_gets_the_name_that_its_view_s_topic_has():
    side, wrist = asked(cameras="side=112233, wrist=445566")
    assert side.package == wrist.package == "realsense2_camera"
    assert dict(side.arguments)["camera_name"] == "side_camera"
    assert dict(wrist.arguments)["camera_name"] == "wrist_camera"
    assert dict(wrist.arguments)["camera_namespace"] == "camera"
    assert dict(wrist.arguments)["serial_no"] == "_445566"
    assert dict(wrist.arguments)["rgb_camera.color_profile"] == "640x480x30"


def test_space_mouse_and_mounts():
    mounts = "1 0 0.5 0 0 0 1 fr3_link0 side_camera_link; 0 0 0.05 0 0 0 1 tcp wrist_camera_link"
    spacenav, side, wrist = asked(spacenav_driver="true", static_transforms=mounts)
    assert (spacenav.package, spacenav.executable) == ("spacenav", "spacenav_node")
    assert side.words[:4] == ("--x", "1", "--y", "0")
    assert wrist.words[-4:] == ("--frame-id", "tcp", "--child-frame-id", "wrist_camera_link")


@pytest.mark.parametrize(
    ("robot", "given", "says"),
    [
        ("franka_fci", {"robot_ip": "a", "controller": "x"}, "not robot:=franka_fci"),
        ("franka_ros2", {"controller": "x"}, "controller:= needs robot_ip:="),
        ("franka_ros2", {"cameras": "top=1"}, "no view 'top' (has: side, wrist)"),
        ("franka_ros2", {"cameras": "side"}, "'side' is not view=serial"),
        ("franka_ros2", {"cameras": "side=1,wrist=1"}, "1 is named twice"),
        ("franka_ros2", {"cameras": "side=1,side=2"}, "side is named twice"),
        ("crisp", {"robot_ip": "a"}, "needs controllers_yaml:="),
        ("servo", {"robot_ip": "a"}, "has no fr3_arm_controller"),
        ("external", {"cameras": "side=1"}, "side_camera/color/image_raw, which is not"),
        ("sim", {"spacenav_driver": "yes"}, "is neither true nor false"),
        ("sim", {"static_transforms": "1 2 3 a b"}, "is not `x y z"),
        ("sim", {"static_transforms": "nan 0 0 0 0 0 1 a b"}, "is not `x y z"),
    ],
)
def test_what_cannot_be_started_is_refused_in_a_line(robot, given, says):
    with pytest.raises(LaunchError) as error:
        asked(robot, **given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_package_names_where_it_is(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    everything = {
        **NOTHING,
        "robot_ip": "a",
        "cameras": "side=1",
        "spacenav_driver": "true",
        "static_transforms": "x",
    }
    needed = packages_of(described("servo"), everything)
    assert needed == (
        "franka_bringup",
        "controller_manager",
        "realsense2_camera",
        "spacenav",
        "tf2_ros",
    )
    require_packages(needed, lambda package: True)
    for package, source in (
        ("franka_bringup", "github.com/frankarobotics/franka_ros2"),
        ("realsense2_camera", "apt install ros-jazzy-realsense2-camera"),
    ):
        with pytest.raises(LaunchError, match=f"{package} is not installed .*{source}"):
            require_packages(needed, lambda name, absent=package: name != absent)
