# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of a robot's drivers, by what was heard of them."""

from __future__ import annotations

import socket
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.doctor import robot as of_robot
from expo_ft_ros.doctor import stream
from expo_ft_ros.doctor.check import Check
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.topic_survey import Heard, Survey

EPOCH = 1.8e9


def heard(rate: float = 100.0, *, seconds: float = 5.0, age: float = 0.002) -> Heard:
    """A driver that does well."""
    stamps = EPOCH + np.arange(round(seconds * rate)) / rate
    return Heard(1, (), stamps + age, stamps)


def without(driver: Heard, numbers: object) -> Heard:
    kept = np.delete(np.arange(len(driver.stamps)), numbers)
    return replace(driver, arrivals=driver.arrivals[kept], stamps=driver.stamps[kept])


def check(driver: Heard, rate: float = 100.0) -> Check:
    return stream.check_stream("pose", driver, "the/topic", rate, 0.15)


def test_a_driver_that_does_well_is_told_with_its_figures():
    seen = check(heard())
    assert seen.status == "ok"
    assert (
        seen.text
        == "the/topic: 100 Hz, 10 ms between two at most, 2 ms old (2 at most), 0 of 500 lost"
    )


@pytest.mark.parametrize(
    ("driver", "status", "text", "remedy"),
    [
        (Heard(), "fail", "nobody publishes it", "start its driver"),
        (replace(heard(), arrivals=np.zeros(0), stamps=np.zeros(0)), "fail", "0 messages", "start"),
        (replace(heard(), publishers=2), "fail", "2 publishers", "end all but"),
        (replace(heard(), types=("a/msg/B",)), "fail", "published as a/msg/B", "robot's file"),
        (heard(50), "fail", "50 Hz", "100 Hz are expected"),
        (heard(age=0.3), "fail", "300 ms old", "older than 0.15 s"),
        (heard(age=-0.5), "fail", "-500 ms old", "ahead of this machine's"),
        (heard(age=-0.05), "missing", "-50 ms old", "ahead of this machine's"),
        (replace(heard(), stamps=np.zeros(500)), "fail", "stamped 0 s after 1970", "doesn't stamp"),
        (without(heard(), range(100, 120)), "missing", "210 ms between two", "the arm stands"),
        (without(heard(), range(100, 300, 10)), "missing", "20 of 500 lost", "busy machine"),
        (without(heard(), [100]), "ok", "1 of 500 lost", ""),
    ],
    ids=[
        "nobody",
        "silent",
        "two",
        "type",
        "slow",
        "old",
        "ahead",
        "slightly",
        "unstamped",
        "a gap",
        "losses",
        "one lost",
    ],
)
def test_what_is_wrong_with_a_driver_is_told_with_what_to_do(driver, status, text, remedy):
    seen = check(driver)
    assert (seen.status, text in seen.text, remedy in seen.remedy) == (status, True, True), seen


@given(
    period=st.floats(0.001, 0.1),
    gone=st.sets(st.integers(1, 98), max_size=15),
    jitter=st.floats(0, 0.1),
)
def test_what_was_lost_is_counted_whatever_the_rate(period, gone, jitter):
    rng = np.random.default_rng(0)
    stamps = period * (np.arange(100) + jitter * rng.uniform(-1, 1, 100))
    assert stream.lost(np.delete(stamps, sorted(gone))) == len(gone)


def survey(name: str, **changes: object) -> Survey:
    """All is well with a robot."""
    robot = load_robot(name)
    topics = {topic.name: heard(max(100.0, robot.state_rate)) for topic in of_robot.expected(robot)}
    for view in robot.views:
        topics[view.topic] = heard(view.rate)
    topics["spacenav/twist"] = replace(heard(), messages=(reading(0.9), reading(-0.8)))
    config = robot.controller
    asked = of_robot.asked(robot)
    actions = set()
    if config is not None:
        gripper = config.gripper.name
        actions = {gripper, f"{gripper}/move", f"{gripper}/grasp", getattr(config, "recovery", "")}
    node = getattr(config, "node", "servo_node").lstrip("/")
    controller = getattr(config, "controller", "")
    made = Survey(
        topics,
        dict.fromkeys(asked, 1),
        dict.fromkeys(asked, 0),
        frozenset(f"/{action.lstrip('/')}" for action in actions),
        frozenset({f"/{node}/switch_command_type", f"{controller}/get_parameters"}),
        ("/driver",),
    )
    return replace(made, **changes)


def reading(x: float) -> SimpleNamespace:
    none = SimpleNamespace(x=0.0, y=0.0, z=0.0)
    return SimpleNamespace(linear=SimpleNamespace(x=x, y=0.0, z=0.0), angular=none)


def judged(name: str, found: Survey) -> list[Check]:
    return list(of_robot.judge(load_robot(name), found))


ROBOTS = ("crisp", "franka_ros2", "servo", "ur5e", "external", "franka_fci")


@pytest.mark.parametrize("name", ROBOTS)
def test_where_all_is_there_all_is_well(name):
    checks = judged(name, survey(name))
    assert {each.status for each in checks} == {"ok"}, checks
    assert "linear.x -0.80 to +0.90" in checks[-1].text


@pytest.mark.parametrize("name", ROBOTS)
def test_each_thing_that_is_missing_is_found(name):
    whole, robot = survey(name), load_robot(name)
    for topic in whole.topics:
        checks = judged(name, replace(whole, topics={**whole.topics, topic: Heard()}))
        (bad,) = [each for each in checks if each.status != "ok"]
        assert topic in bad.text
        wanted = "missing" if topic.endswith("camera_info") or "spacenav" in topic else "fail"
        assert bad.status == wanted, bad
    for topic in of_robot.asked(robot):
        for change in ({"listeners": {topic: 0}}, {"writers": {topic: 1}}):
            assert "fail" in {each.status for each in judged(name, replace(whole, **change))}
    if robot.controller is not None:
        none = judged(name, replace(whole, actions=frozenset(), services=frozenset()))
        assert all(each.status == "fail" for each in none if each.name in ("action", "service"))
    (first, *_) = judged(name, replace(whole, nodes=()))
    assert (first.status, "SUBNET" in first.remedy) == ("fail", True)
    (first, *_) = judged(name, replace(whole, nodes=("/arbitration",)))
    assert (first.status, "running graph" in first.text) == ("fail", True)
    (first, *_) = judged(name, replace(whole, nodes=("/left/arbitration",)))
    assert first.status == "ok", "in another namespace"


def test_an_arm_that_does_not_answer_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert of_robot.check_reach("127.0.0.1", port).status == "ok"
    found = of_robot.check_reach("127.0.0.1", port)
    assert (found.status, str(port) in found.text) == ("fail", True)
    assert "robot_ip:=" in found.remedy


def test_a_device_that_says_more_than_a_full_push_is_told():
    found = survey("external")
    mouse = {"spacenav/twist": replace(heard(), messages=(reading(350.0),))}
    *_, seen = judged("external", replace(found, topics={**found.topics, **mouse}))
    assert (seen.status, "full_scale" in seen.remedy) == ("missing", True)


def test_an_adapter_that_is_not_known_here_is_said_to_be_so():
    own = load_robot("external").model_copy(update={"adapter": "my_robot.adapter"})
    arm = [each for each in of_robot.judge(own, survey("external")) if each.name == "arm"]
    assert [each.status for each in arm] == ["missing"]


@pytest.mark.parametrize(
    ("mode", "errors", "status", "words"),
    [
        (2, (), "ok", "; move"),
        (1, (), "missing", "idle"),
        (5, (), "fail", "user stop"),
        (2, ("cartesian_reflex",), "fail", "move: cartesian_reflex"),
    ],
)
def test_what_a_franka_says_of_itself_counts(mode, errors, status, words):
    class Errors(SimpleNamespace):
        def get_fields_and_field_types(self):
            return {"joint_reflex": "boolean", "cartesian_reflex": "boolean"}

    flags = {name: name in errors for name in ("joint_reflex", "cartesian_reflex")}
    message = SimpleNamespace(robot_mode=mode, current_errors=Errors(**flags))
    place = load_robot("franka_ros2").controller.robot_state
    found = survey("franka_ros2")
    told = {place: replace(heard(), messages=(message,))}
    checks = judged("franka_ros2", replace(found, topics={**found.topics, **told}))
    (seen,) = [each for each in checks if each.name == "mode"]
    assert (seen.status, words in seen.text) == (status, True), seen


def test_what_a_run_would_refuse_is_refused():
    for words, cause in (
        ({"robot_ip": "10.0.0.7"}, "has no address"),
        ({"namespace": "9left"}, "namespace:=9left"),
        ({"camera_topics": "front=a/b"}, "has no view 'front'"),
    ):
        with pytest.raises(ConfigError, match=cause):
            list(of_robot.checks({"robot": "external", **words}))
