# SPDX-License-Identifier: Apache-2.0
"""Every robot file is valid, a bad one is refused with its place, and a user adds one by a file."""

from __future__ import annotations

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.robots import (
    ROBOTS,
    RobotConfig,
    RobotLimits,
    Workspace,
    known_robots,
    load_robot,
)
from expo_ft_ros.sim import franka
from expo_ft_ros.tasks import known_tasks, load_task

GOOD = """\
name: toy
adapter: external
joints: [a, b]
fingers: [grip]
home: [0.0, 1.0]
workspace: {low: [0, 0, 0], high: [1, 1, 1]}
views:
  - {name: side, topic: side/image_raw, frame: side_optical}
  - name: wrist
    topic: /cam/wrist/image_raw
    frame: wrist_optical
    crop: [0, 0, 480, 480]
"""


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("name", known_robots())
def test_every_shipped_robot_loads(name):
    assert load_robot(name).name == name


FRANKA = (config_dir() / "robots" / "franka_fci.yaml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "adapter: expo_ft_ros.nodes.franka_fci",
            "adapter: external",
            "section fci is of no use to the adapter external",
        ),
        ("address: 172.16.0.2", "address: '; reboot'", "fci.address"),
        (
            "realtime: required",
            "joint_margin: 0.4\n  joint_low: [2, 0, 0, -3, 0, 0, 0]",
            "joint 1:",
        ),
        ("realtime: required", "joint_velocity: [1, 1, 1, 0, 1, 1, 1]", "must be positive"),
        ("fr3_joint6, fr3_joint7]", "fr3_joint6]", "angles for 6 joints"),
    ],
)
def test_a_franka_arm_s_section_is_checked(tmp_path, old, new, message):
    path = tmp_path / "franka_fci.yaml"
    assert old in FRANKA
    path.write_text(FRANKA.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        load_robot(path)


def test_every_field_is_described():
    robot = load_robot("franka_fci")
    parts = (robot, robot.limits, robot.workspace, robot.frames, robot.capabilities, robot.fci)
    for part in parts:
        for name, field in type(part).model_fields.items():
            assert field.description, f"{type(part).__name__}.{name}"


def test_the_simulated_robot_is_the_simulation_s():
    robot = load_robot("sim")
    assert robot.joints == franka.JOINTS
    assert robot.fingers == franka.FINGERS
    assert robot.limits.gripper_max_width == franka.MAX_WIDTH
    assert robot.home == pytest.approx(franka.HOME, abs=1e-6)
    assert robot.view_names == ("side", "wrist")


def test_the_scale_of_an_action():
    scale = RobotLimits(linear_velocity=0.1).scale()
    assert np.allclose(scale, [0.1] * 3 + [1.0] * 3 + [0.12])


@pytest.mark.parametrize("name", known_tasks())
def test_the_simulated_robot_reaches_every_task(name):
    assert load_robot("sim").workspace.contains(load_task(name).workspace)


def test_a_box_contains_itself_and_none_that_leaves_it_by_one_face():
    box = Workspace(low=(0, 0, 0), high=(1, 1, 1))
    assert box.contains(box)
    for axis in range(3):
        low, high = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
        low[axis] = -0.01
        assert not box.contains(Workspace(low=tuple(low), high=(1, 1, 1)))
        high[axis] = 1.01
        assert not box.contains(Workspace(low=(0, 0, 0), high=tuple(high)))


def test_a_robot_is_added_by_its_path(toy):
    robot = load_robot(toy)
    assert isinstance(robot, RobotConfig)
    assert robot.view_names == ("side", "wrist")
    assert robot.is_external
    assert robot.views[0].crop is None
    assert robot.views[1].crop == (0, 0, 480, 480)


def test_a_robot_is_added_by_a_folder(toy, monkeypatch):
    monkeypatch.setenv(ROBOTS.variable, str(toy.parent))
    assert "toy" in known_robots()
    assert load_robot("toy") == load_robot(toy)
    assert load_robot("sim").name == "sim"


def test_an_unknown_robot_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no robot 'simm' \(did you mean sim\? known: .*sim"):
        load_robot("simm")


def test_a_folder_that_is_none_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(ROBOTS.variable, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"EXPO_FT_ROBOTS=.*nowhere: no such folder"):
        known_robots()


def test_two_robots_of_one_name_are_refused(monkeypatch, tmp_path):
    (tmp_path / "sim.yaml").write_text((config_dir() / "robots" / "sim.yaml").read_text())
    monkeypatch.setenv(ROBOTS.variable, str(tmp_path))
    with pytest.raises(ConfigError, match="there is one of this name"):
        load_robot("sim")


def test_a_file_of_another_name_is_refused(toy):
    other = toy.rename(toy.with_name("other.yaml"))
    with pytest.raises(ConfigError, match="'toy' is not the file's name"):
        load_robot(other)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("adapter: external", "adapter: franka", 2, "adapter", "neither sim, external nor"),
        ("[a, b]", "[a, a]", 3, "joints", "a given twice"),
        ("[grip]", "[b]", 4, "fingers", "b in joints, too"),
        ("[0.0, 1.0]", "[0.0]", 5, "home", "1 angles for 2 joints"),
        ("[1, 1, 1]", "[1, 0, 1]", 6, "workspace", "must be less than"),
        ("name: wrist", "name: side", 7, "views", "name side given twice"),
        ("name: wrist", "name: Wrist", 9, "views.1.name", "pattern"),
        ("/cam/wrist/image_raw", "side/image_raw", 7, "views", "topic side/image_raw given twice"),
        ("/cam/wrist/image_raw", "a topic", 10, "views.1.topic", "pattern"),
        ("[0, 0, 480, 480]", "[-1, 0, 480, 480]", 12, "views.1.crop", "start from 0"),
        ("[0, 0, 480, 480]", "[0, 0, 480]", 12, "views.1.crop", "missing"),
        ("frame: wrist_optical", "fram: wrist_optical", 9, "views.1.frame", "missing"),
        (
            "name: toy",
            "name: toy\nlimits: {linear_velocity: 3}",
            2,
            "limits.linear_velocity",
            "1.5",
        ),
        ("name: toy", "name: toy\nframes: {base: x, tool: x}", 2, "frames", "both 'x'"),
        ("name: toy", "name: toy\nnode: camera", 2, "node", "a node of the graph has this name"),
        ("name: toy", "name: toy\nspeed: 1", 2, "speed", "no such field"),
    ],
)
def test_a_bad_file_names_line_field_and_remedy(toy, old, new, line, field, says):
    assert old in GOOD
    toy.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as error:
        load_robot(toy)
    text = str(error.value)
    assert text.startswith(f"{toy}:{line}: {field}"), text
    assert says in text
    assert "\n" not in text


def test_more_views_than_four_or_none_are_refused(toy):
    head = GOOD[: GOOD.index("views:")]
    view = "  - {{name: v{0}, topic: v{0}/image, frame: v{0}}}\n"
    for count, accepted in ((0, False), (1, True), (4, True), (5, False)):
        views = "".join(view.format(number) for number in range(count)) or " []\n"
        toy.write_text(f"{head}views:\n{views}" if count else f"{head}views:{views}")
        if accepted:
            assert len(load_robot(toy).views) == count
        else:
            with pytest.raises(ConfigError, match="views: "):
                load_robot(toy)
