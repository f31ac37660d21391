# SPDX-License-Identifier: Apache-2.0
"""With motion off nothing but zeros leaves for the robot, whoever asks for what."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import yaml
from expo_ft_ros.msg import SessionPlan
from std_msgs.msg import Bool

from expo_ft_ros.control.plan import MOTION_OFF
from expo_ft_ros.data.types import Source
from expo_ft_ros.nodes.arbitration import ArbitrationParameters
from expo_ft_ros.recording.episode_store import load_episode, load_episodes, rescue_episode
from expo_ft_ros.recording.mcap_file import read_bag
from expo_ft_ros.recording.messages import nanoseconds, twist_array
from support.arbitration_world import LIMITS, World
from support.controllers import Controlled
from support.demonstrating import begin, push, push_until
from support.domains import own_domain
from support.foreign_interfaces import environment_with, foreign_interfaces
from support.nodes import Graph
from support.policy_servers import answering, serving

EAGER = np.full((16, 7), 0.5, np.float32)
EAGER[:, 6] = -1.0


class Heard:
    """All that leaves for the robot, and what would have."""

    def __init__(self, probe):
        self.twists = probe.gather("robot/twist_cmd")
        self.grippers = probe.gather("robot/gripper_cmd")
        self.asked = probe.gather("shadow/twist_cmd")
        self.gripped = probe.gather("shadow/gripper_cmd")
        self.motion = probe.gather("robot/motion")

    def nothing_left(self):
        assert self.twists
        assert self.grippers
        assert not any(twist_array(m.twist).any() for m in self.twists)
        assert not any(any(m.velocity) for m in self.grippers)
        assert all(m == Bool(data=False) for m in self.motion)

    def would_move(self):
        return any(twist_array(m.twist).any() for m in self.asked)

    def would_grip(self):
        return any(any(m.velocity) for m in self.gripped)


def test_what_policy_and_operator_ask_for_is_told_and_not_sent(graph):
    heard = Heard(graph.probe)
    world = World(graph, lockstep=True, motion=False)
    world.begin()
    steps = []
    for i in range(8):
        world.human = [0.2, 0.0, -0.1, 0.0, 0.0, 0.0, -1.0] if i in (3, 4) else None
        steps.append(world.tick())
    policy, human = [Source.POLICY] * 3, [Source.HUMAN] * 2
    assert [s.source for s in steps] == [*policy, *human, *policy]
    assert all(s.proposed.any() and not s.executed.any() for s in steps)
    assert all(MOTION_OFF in s.cause for s in steps)
    world.probe.until(lambda: len(heard.asked) >= 8, "what would have been sent")
    asked = {nanoseconds(m.header.stamp): twist_array(m.twist) for m in heard.asked}
    twist = asked[nanoseconds(steps[3].header.stamp)]
    np.testing.assert_allclose(twist[[0, 2]], [0.2 * LIMITS[0], -0.1 * LIMITS[2]], atol=1e-6)
    assert heard.would_grip()
    world.probe.until(
        lambda: any(MOTION_OFF in s.message for m in world.health for s in m.status), "its word"
    )
    world.success = True
    world.show()
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert (world.state.success, world.state.discarded) == (False, True)
    assert MOTION_OFF in world.state.cause
    world.success = False
    world.begin(episode=2)
    world.tick()
    world.tick()
    assert world.probe.call("episode/mark_success").success
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert (world.state.success, world.state.discarded) == (False, True)
    heard.nothing_left()
    assert heard.motion


@pytest.mark.realtime
def test_nor_is_what_a_scripted_reset_asks_for(graph):
    heard = Heard(graph.probe)
    world = World(graph, lockstep=False, scene_reset="scripted", motion=False)
    world.probe.node.create_timer(0.05, world.show)
    world.plan(1)
    world.probe.until(lambda: world.state and world.state.asked, "the question")
    world.probe.until(lambda: world.state.state == "resetting", "the reset")
    assert world.probe.call("/reset_episode").success
    world.probe.until(heard.would_move, "what the script asks for")
    world.probe.spin(1.0)
    assert world.probe.call("estop", data=True).success
    world.node.end()
    heard.nothing_left()


def test_without_a_word_the_arm_stands_and_a_malformed_one_starts_nothing(graph):
    assert ArbitrationParameters.motion is False
    heard = Heard(graph.probe)
    node = graph.start("arbitration", lockstep=True, motion="yes")
    assert node.wait() != 0
    assert not heard.twists


def test_an_adapter_is_not_asked_to_move_its_arm_for_the_scene(graph):
    node = graph.start("arbitration", robot="external", scene_reset="asked", motion=False)
    assert node.wait() == 1
    assert "but motion is off (set it to operator)" in node.log.read_text()


def test_the_monitor_shows_what_would_be_sent(graph):
    shown = graph.probe.gather("monitor/markers")
    graph.start("monitor", lockstep=True, use_sim_time=False)
    world = World(graph, lockstep=True, motion=False)
    world.begin()

    def said():
        return [marker for message in shown[-1:] for marker in message.markers]

    # The monitor may know of arbitration late: what was said before it doesn't hear.
    for _ in range(20):
        world.tick()
        world.probe.spin(1.0)
        if any(m.ns == "shadow" for m in said()):
            break
    (words,) = (m.text for m in said() if m.ns == "state")
    assert words.startswith("Motion off: the arm is commanded to stand\n")
    (arrow,) = (m for m in said() if m.ns == "shadow")
    assert arrow.points[0].x == pytest.approx(0.45)
    assert arrow.points[1].x > arrow.points[0].x


def test_a_plan_for_motion_off_is_refused_where_motion_is_on(graph):
    world = World(graph, lockstep=True)
    plan = SessionPlan(stage="shadow", episode=1, seed=1, max_steps=9, policy="mode")
    plan.operator_mode = "none"
    world.out["session/plan"].publish(plan)
    world.probe.until(
        lambda: any("but motion is on" in s.message for m in world.health for s in m.status),
        "its word",
    )
    assert not world.twists


def evaluate(graph, server, *words):
    """Starts the evaluation of a server's policy, one episode of it."""
    return start_run(graph, "eval", f"policy:={server.address}", "eval_trials:=1", *words)


def start_run(graph, command, *words):
    """Starts a run in a process, of whose robots nobody has said that they may move."""
    run = f"run_dir:={graph.folder / 'run'}"
    return subprocess.Popen(
        [sys.executable, "-m", "expo_ft_ros.cli", command, run, *words],
        env={
            **os.environ,
            "ROS_DOMAIN_ID": str(graph.domain),
            "EXPO_FT_RUNS": str(graph.folder / "runs"),
        },
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def ended(process):
    """A run's process, which has come to its end, or is asked to."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(90)


def kept_of(run):
    """What is kept of a whole episode, which nobody takes for one to learn from."""
    (file,) = (run / "episodes").glob("*.mcap")
    assert file.stem == "000001.discarded"
    assert not list(load_episodes(run / "episodes"))
    with pytest.raises(ValueError, match=MOTION_OFF):
        load_episode(file)
    episode = rescue_episode(file, 8)
    assert episode.outcome.stage == "shadow"
    assert (episode.outcome.discarded, episode.outcome.success) == (True, False)
    assert not episode.executed.any()
    assert episode.proposed.any()
    said = read_bag(file, lambda name: name.startswith("shadow/"))
    assert {each.topic for each in said} == {"shadow/twist_cmd", "shadow/gripper_cmd"}
    (line,) = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    assert (line["stage"], line["discarded"], line["success"]) == ("shadow", True, False)
    summary = json.loads((run / "summary.json").read_text())
    assert summary["kind"] == "shadow"
    assert summary["eval_before"] is None
    assert summary["eval_after"] is None
    assert summary["episodes"]["shadow"] == 1
    return episode


def said_by(*words):
    """Exit code and words of a command about a run."""
    done = subprocess.run(
        [sys.executable, "-m", "expo_ft_ros.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_whole_episode_in_the_simulation_moves_nothing_and_counts_for_nothing(graph):
    heard, states = Heard(graph.probe), graph.probe.gather("episode/state")
    with (
        serving(answering(EAGER)) as server,
        ended(evaluate(graph, server, "motion:=off")) as process,
    ):
        graph.probe.until(lambda: any(s.state == "running" for s in states), "it", timeout=60)
        graph.probe.until(lambda: process.poll() is not None, "the end", timeout=120)
    assert process.returncode == 0
    heard.nothing_left()
    assert heard.would_move()
    assert heard.would_grip()
    run = graph.folder / "run"
    episode = kept_of(run)
    assert np.ptp(episode.state[:, :3], axis=0).max() < 2e-3, "the arm stands"
    assert yaml.safe_load((run / "config.yaml").read_text())["resolved"]["motion"] == "off"
    code, said = said_by("episodes", "list", run)
    assert code == 0, said
    assert "shadow" in said
    code, said = said_by("episodes", "restore", 1, run)
    assert code == 2, said
    assert "was discarded as it ended" in said
    code, said = said_by("report", run)
    assert code == 0, said
    assert "Motion off: 1 episodes, none of which counts" in said


ON_A_ROBOT = ("robot:=crisp", "realtime:=true", "scene_reset:=operator")


@pytest.fixture
def crisp(tmp_path, monkeypatch):
    """robot:=crisp's peer; nobody has moved it yet, and nothing is typed."""
    for name, value in environment_with(foreign_interfaces()).items():
        monkeypatch.setenv(name, value)
    with own_domain() as domain:
        graph = Graph(tmp_path, domain)
        try:
            yield Controlled(graph, "crisp", alone=False)
        finally:
            graph.close()


def stood(it, start):
    """The controller got nothing: a pose that it takes for another tool's would move it."""
    assert not it.targets
    assert it.x == pytest.approx(start, abs=1e-4)
    assert not it.heard.get("goals")


@pytest.mark.slow
@pytest.mark.realtime
@pytest.mark.process
@pytest.mark.timeout(400)  # The interfaces may have to be generated.
def test_a_controller_that_a_policy_commands_is_left_alone(crisp):
    it, start = crisp, crisp.x
    heard, states = Heard(it.probe), it.probe.gather("episode/state")
    with (
        serving(answering(EAGER)) as server,
        ended(evaluate(it.graph, server, *ON_A_ROBOT)) as process,
    ):
        begin(it.probe, states)
        it.probe.until(lambda: states[-1].steps > 30, "steps", timeout=60)
        assert it.probe.call("episode/mark_success").success
        it.probe.until(lambda: process.poll() is not None, "the end", timeout=60)
    assert process.returncode == 0
    heard.nothing_left()
    assert heard.would_move()
    assert heard.would_grip()
    stood(it, start)
    kept_of(it.graph.folder / "run")


@pytest.mark.slow
@pytest.mark.realtime
@pytest.mark.process
@pytest.mark.timeout(400)
def test_who_pushes_a_device_at_a_robot_that_was_never_moved_sees_where_it_would_go(crisp):
    it, start = crisp, crisp.x
    heard, states = Heard(it.probe), it.probe.gather("episode/state")
    spacemouse = it.probe.publisher("spacenav/twist")
    with ended(start_run(it.graph, "sim", *ON_A_ROBOT, "operator:=spacemouse")):
        begin(it.probe, states)
        push_until(it.probe, spacemouse, heard.would_move, "what is asked for", x=0.8)
        for _ in range(20):
            push(it.probe, spacemouse, 0.8)
    moving = [m for m in heard.asked if twist_array(m.twist).any()]
    assert moving[-1].twist.linear.x > 0.0
    assert moving[-1].header.frame_id == it.robot.frames.base
    heard.nothing_left()
    stood(it, start)
