# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bringup` over real DDS: the whole guide, its ends, its record."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from expo_ft_ros.experiment.brought_up import CHECKS, missing_checks
from expo_ft_ros.recording.messages import twist_array
from expo_ft_ros.robots import load_robot
from support.controllers import Controlled
from support.domains import own_domain
from support.foreign_interfaces import environment_with, foreign_interfaces
from support.guided import ESTOP, RELEASE, Guided
from support.motion import let_move
from support.nodes import Graph

pytestmark = [pytest.mark.process, pytest.mark.realtime]


@pytest.fixture
def guided(graph):
    """Starts the command; its process is ended."""
    started = []

    def start(*words, **given):
        started.append(Guided(graph, "robot:=sim", "console:=false", *words, **given))
        return started[-1]

    yield start
    for each in started:
        each.end()


def checks_in(record):
    ((target, checks),) = json.loads(record.read_text()).items()
    assert target.startswith("sim at the node /sim, from ")
    return checks


class Stopper:
    """Presses E-STOP and Release as they are asked for."""

    def __init__(self, probe):
        self._probe, self._done = probe, set()

    def __call__(self, text):
        for words, data in ((ESTOP, True), (RELEASE, False)):
            if words in text and (words, text.count(words)) not in self._done:
                self._done.add((words, text.count(words)))
                self._probe.spin(1.2)
                assert self._probe.call("estop", data=data).success


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_simulated_robot_passes_all_of_it(graph, guided):
    commands = graph.probe.gather("robot/twist_cmd")
    it = guided()

    def answer(asked):
        return "no" if "The lower four as well?" in asked else "yes"

    assert it.go_through(answer, on_text=Stopper(graph.probe)) == 0, it.text
    checks = checks_in(it.record)
    assert list(checks) == list(CHECKS)
    assert {entry["status"] for entry in checks.values()} == {"passed"}, it.text
    assert not missing_checks(checks, load_robot("sim"))
    assert checks_in(it.run / "bringup.json") == checks
    assert checks["stop"]["numbers"]["stood_after"] <= 0.25
    for view in ("side", "wrist"):
        for name in (f"sim_{view}.png", f"sim_{view}_workspace.png"):
            assert cv2.imread(str(it.runs / "brought_up" / name)) is not None
    twists = np.array([twist_array(m.twist) for m in commands])
    scale = load_robot("sim").limits.scale()[:6]
    share = np.abs(twists).max(axis=0) / scale
    assert (share >= 0.09).all(), "each axis was jogged"
    assert share.max() < 0.21, "and slowly"
    assert not twists[-1].any()
    assert "Brought up: sim" in it.text


def test_ctrl_c_ends_it_in_the_middle_of_a_motion(graph, guided):
    commands = graph.probe.gather("robot/twist_cmd")
    it = guided("checks:=axes", terminal=True)

    def interrupt(text):
        if any(twist_array(m.twist).any() for m in commands) and it.process.poll() is None:
            it.press_ctrl_c()
            graph.probe.until(lambda: it.process.poll() is not None, "its end")

    assert it.go_through(lambda asked: "yes", on_text=interrupt) == 130, it.text
    assert not twist_array(commands[-1].twist).any()
    assert "nothing commands the arm any more" in it.text
    assert "not done" in it.text
    assert not it.record.exists()


def test_where_nobody_can_answer_it_ends(graph, guided):
    it = guided("checks:=still")
    it.until("Begin?")
    it.process.stdin.close()
    graph.probe.until(lambda: it.process.poll() is not None, "its end")
    assert it.process.returncode == 1
    assert "nobody can answer" in it.text


def test_a_no_ends_it_and_what_was_done_is_kept(guided):
    it = guided("checks:=still,stop")
    answers = iter(["yes", "no"])
    assert it.go_through(lambda asked: next(answers)) == 1, it.text
    checks = checks_in(it.record)
    assert list(checks) == ["still"]
    assert checks["still"]["status"] == "passed"
    assert "Not brought up yet: axes, workspace, stop, cameras." in it.text


@pytest.fixture
def crisp(tmp_path, monkeypatch):
    """robot:=crisp's peer, which somebody has said yes to moving."""
    for name, value in environment_with(foreign_interfaces()).items():
        monkeypatch.setenv(name, value)
    with own_domain() as domain:
        graph = Graph(tmp_path, domain)
        try:
            let_move(graph.folder / "runs", "crisp")
            yield Controlled(graph, "crisp", alone=False)
        finally:
            graph.close()


@pytest.mark.slow
@pytest.mark.timeout(400)  # The interfaces may have to be generated.
def test_a_controller_that_follows_poses_passes(crisp):
    it = Guided(crisp.graph, "robot:=crisp", "console:=false", "checks:=still,axes,stop,cameras")
    try:
        assert it.go_through(lambda asked: "yes", on_text=Stopper(crisp.probe)) == 0, it.text
        assert "Not brought up yet: workspace." in it.text
    finally:
        it.end()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_base_that_is_another_than_the_commands_ends_it_at_once(crisp):
    crisp.do("mirror")
    it = Guided(crisp.graph, "robot:=crisp", "console:=false")
    try:
        assert it.go_through(lambda asked: "yes") == 1, it.text
    finally:
        it.end()
    assert "y: commanded" in it.text, it.text
    assert "frames.base of the robot's file" in it.text, it.text
    ((_, checks),) = json.loads(it.record.read_text()).items()
    assert {name: entry["status"] for name, entry in checks.items()} == {
        "still": "passed",
        "axes": "failed",
    }
    # It was stopped on its way, and stands: a whole jog is a centimetre.
    y = [m.pose.position.y for m in crisp.tools]
    assert max(y) - min(y) < 0.01, it.text
    crisp.rest()
