# SPDX-License-Identifier: Apache-2.0
"""What the arm does by itself between episodes: in MuJoCo, and when somebody steps in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.episode_machine import SceneReset, State
from expo_ft_ros.control.loop import ControlLoop
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.control.reset_script import ResetScript
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.rotation import TOOL_DOWN, turn_to
from expo_ft_ros.data.types import Proprio
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import known_tasks, load_task
from expo_ft_ros.tasks.scenes import make_world
from support.machines import Clock

LIMITS = load_robot("sim").limits

SAFETY = SafetyConfig.load()
IDLE = TeleopState.idle()
PLAN = Plan("rl", 1, 5, 100, "sample", "correct", True)
NEAR = 0.008
POINTS = [{"position": [0.45, 0.0, 0.2], "within": 2.0}]


def pushing(speed: float = 0.5, connected: bool = True) -> TeleopState:
    return TeleopState(connected, True, np.array([speed] * 3 + [0.0] * 4, np.float32))


class Robot:
    """Moves as it is told; the loop in front of it resets by a script."""

    def __init__(self, task_name: str = "cube_pick", seed: int = PLAN.seed, **changes) -> None:
        self.task, self.clock = load_task(task_name, changes), Clock()
        self.loop = ControlLoop(
            self.task, LIMITS, SAFETY, scene_reset=SceneReset.SCRIPTED, clock=self.clock
        )
        self.position, self.now = np.array([0.5, 0.1, 0.3]), 0.0
        self.loop.begin(replace(PLAN, seed=seed))

    def look(self) -> None:
        """The operator has looked at the scene, long after they were asked to."""
        self.clock.pass_time()
        assert self.loop.episode.reset_requested().accepted

    def tick(self, teleop: TeleopState = IDLE, cause: str = "", age: float = 0.0):
        self.now += self.task.period
        stamp = self.now - age
        stamps = dict.fromkeys(("camera/side", "camera/wrist", "proprio", "teleop"), stamp)
        proprio = Proprio(self.position.copy(), TOOL_DOWN, 0.08)
        result = self.loop.reset_tick(proprio, teleop, self.now, stamps, cause)
        speed = result.executed[:3].astype(float) * LIMITS.scale()[:3]
        self.position += speed * self.task.period
        return result

    def until_done(self, most: int = 300) -> int:
        for ticks in range(most):
            if self.loop.script_done or not self.loop.resets_itself:
                return ticks
            self.tick()
        raise AssertionError(f"at {self.position} after {most} ticks")


@pytest.mark.parametrize("name", [n for n in known_tasks() if load_task(n).reset_script])
def test_in_the_simulation_every_task_gets_through_its_script(name):
    task = load_task(name)
    world = make_world(task, LIMITS, render_size=16, seed=3)
    clock = Clock()
    loop = ControlLoop(task, LIMITS, SAFETY, scene_reset=SceneReset.SCRIPTED, clock=clock)
    loop.begin(PLAN)
    clock.pass_time()
    loop.episode.reset_requested()
    now = 0.0
    while not loop.script_done:
        result = loop.reset_tick(world.proprio(), IDLE, now, {"proprio": now})
        world.step(result.executed * LIMITS.scale(), task.period)
        now += task.period
        assert now < 60.0, loop.reset_tick(world.proprio(), IDLE, now, {}).cause
        assert loop.resets_itself, loop.snapshot.asked
    last = task.reset_script[-1]
    off = np.abs(world.proprio().position - np.array(last.position, dtype=float))
    assert (off <= np.array(last.spread) + 2 * NEAR).all()
    turned = [point.quaternion for point in task.reset_script if point.quaternion is not None][-1]
    assert np.abs(turn_to(world.proprio().quaternion, np.array(turned))).max() < 0.1
    assert loop.reset_done().accepted
    world.close()


def play(world: World, task, script: ResetScript) -> None:
    while not script.done:
        world.step(script.advance(world.proprio()) * LIMITS.scale(), task.period)
        assert not script.failed, script.failed


def test_a_cube_that_is_held_is_put_down_and_let_go_of_whatever_the_episode_has_come_to():
    task = load_task("cube_pick")
    world = make_world(task, LIMITS, render_size=16, seed=4)
    lift(world, task)
    assert world.success()
    before = world.objects()["cube"][0]
    script = ResetScript(task.reset_script, LIMITS, task.period, seed=1)
    while world.proprio().gripper_width < 0.06:
        world.step(script.advance(world.proprio()) * LIMITS.scale(), task.period)
    let_go_of = world.objects()["cube"][0]
    assert let_go_of[2] < 0.03, "it is not dropped"
    play(world, task, script)
    cube = world.objects()["cube"][0]
    np.testing.assert_allclose(cube, let_go_of, atol=0.01)
    assert np.linalg.norm((cube - before)[:2]) > 0.02
    assert world.proprio().gripper_width > 0.07
    world.close()


def test_an_empty_gripper_is_put_down_nowhere():
    task = load_task("cube_pick")
    world = make_world(task, LIMITS, render_size=16, seed=4)
    script = ResetScript(task.reset_script, LIMITS, task.period, seed=1)
    low = np.inf
    while not script.done:
        world.step(script.advance(world.proprio()) * LIMITS.scale(), task.period)
        low = min(low, world.proprio().position[2])
    assert low > 0.1
    world.close()


def lift(world: World, task) -> None:
    """By the truth: over the cube, down, closed, up."""
    cube = world.objects()["cube"][0]
    points = [
        {"position": [*cube[:2], 0.10], "quaternion": [1, 0, 0, 0]},
        {"position": [*cube[:2], 0.02]},
        {"gripper": "close", "hold": 1.0},
        {"position": [None, None, 0.2]},
    ]
    changed = task.model_validate({**task.model_dump(), "reset_script": points})
    script = ResetScript(changed.reset_script, LIMITS, 0.1, seed=0)
    closed = False
    while not script.done:
        action = script.advance(world.proprio())
        closed |= action[6] < 0
        if closed:  # What is held stays held.
            action[6] = -1.0
        world.step(action * LIMITS.scale(), task.period)
        assert not script.failed


def test_nothing_moves_before_the_operator_has_looked_at_the_scene():
    robot = Robot()
    start = robot.position.copy()
    assert not robot.loop.resets_itself
    robot.tick()
    np.testing.assert_array_equal(robot.position, start)
    robot.look()
    robot.until_done()
    assert np.abs(robot.position - start).max() > NEAR


def test_the_operator_who_takes_over_drives_and_the_script_goes_on_after_him():
    robot = Robot(reset_script=POINTS)
    robot.look()
    robot.tick()
    for _ in range(3):
        result = robot.tick(pushing(0.4))
        np.testing.assert_allclose(result.executed[:3], 0.4)
    robot.until_done()
    np.testing.assert_allclose(robot.position, [0.45, 0.0, 0.2], atol=2 * NEAR)


@pytest.mark.parametrize(
    ("held", "word"),
    [
        ({"cause": "no sign of life from camera"}, "no sign of life"),
        ({"age": 1.0}, "stale"),
        ({"teleop": pushing(connected=False)}, "lost"),
    ],
)
def test_what_holds_an_episode_holds_a_reset(held, word):
    robot = Robot()
    robot.look()
    robot.tick()
    before = robot.position.copy()
    for _ in range(200):
        result = robot.tick(**held)
    assert word in result.cause
    np.testing.assert_array_equal(robot.position, before)
    # Nor is the time counted against it.
    assert robot.loop.resets_itself
    robot.until_done()


@pytest.mark.parametrize("event", ["pause", "estop"])
def test_pause_and_stop_hold_it_and_what_follows_goes_through_it(event):
    robot = Robot(reset_script=POINTS)
    robot.look()
    robot.tick()
    before = robot.position.copy()
    episode = robot.loop.episode
    if event == "pause":
        episode.pause()
    else:
        episode.estop(True)
    robot.tick()
    np.testing.assert_array_equal(robot.position, before)
    assert not robot.loop.resets_itself
    if event == "pause":
        episode.resume()
    else:
        episode.estop(False)
        assert robot.loop.begin(replace(PLAN, episode=2)).accepted
        assert not robot.loop.resets_itself, "the operator looks first"
        robot.look()
    robot.until_done()
    np.testing.assert_allclose(robot.position, [0.45, 0.0, 0.2], atol=2 * NEAR)
    assert robot.loop.reset_done().accepted


@pytest.mark.parametrize("by", ["human", "pause"])
def test_what_a_waypoint_leaves_as_it_is_is_as_others_have_left_it(by):
    robot = Robot(reset_script=[{"position": [None, None, 0.35], "speed": 0.1}])
    robot.look()
    robot.tick()
    if by == "human":
        for _ in range(10):
            robot.tick(pushing(-0.2))
    else:
        robot.loop.episode.pause()
        robot.loop.stand_still()  # as the schedule's hold does
        robot.position -= 0.05
        robot.loop.episode.resume()
    left = robot.position.copy()
    robot.until_done()
    np.testing.assert_allclose(robot.position[:2], left[:2], atol=1e-6)
    np.testing.assert_allclose(robot.position[2], 0.35, atol=2 * NEAR)


def test_each_waypoint_has_its_own_time():
    points = [
        {**POINTS[0], "within": 10.0, "speed": 0.05},
        {"position": [0.46, 0, 0.2], "within": 1},
    ]
    robot = Robot(reset_script=points)
    robot.look()
    assert robot.until_done() > 50
    assert robot.loop.script_done


def test_a_reset_says_why_it_does_what_it_does():
    robot = Robot(reset_script=[{**POINTS[0], "within": 20.0}])
    robot.look()
    assert robot.tick().cause == "scripted reset, waypoint 1 of 1"
    causes = [robot.tick(pushing(1.0)).cause for _ in range(10)]
    assert causes[0].startswith("scripted reset, waypoint 1 of 1, a human drives")
    assert causes[-1].endswith("a human drives, workspace")
    robot.until_done()
    assert "done" in robot.tick().cause


def test_where_it_gets_nowhere_the_operator_is_asked_and_then_it_tries_again():
    robot = Robot(reset_script=POINTS)
    robot.look()
    place = robot.position.copy()
    for _ in range(25):
        robot.tick()
        robot.position = place.copy()
    assert "waypoint 1 of 1 was not reached within 2 s" in robot.loop.snapshot.asked
    assert robot.loop.episode.state is State.RESETTING
    assert not robot.tick().executed.any()
    assert not robot.loop.reset_done().accepted
    robot.look()
    robot.until_done()
    assert robot.loop.reset_done().accepted


@given(
    position=st.tuples(*[st.floats(-2, 2)] * 3),
    turned=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
    width=st.floats(0.0, 0.08),
)
def test_what_it_asks_for_is_finite_and_no_faster_than_said(position, turned, width):
    task = load_task("cube_pick")
    script = ResetScript(task.reset_script, LIMITS, 0.1, seed=0)
    quaternion = np.array(turned) / np.linalg.norm(turned)
    proprio = Proprio(np.array(position), quaternion, width)
    for _ in range(30):
        action = script.advance(proprio)
        assert np.isfinite(action).all()
        assert np.abs(action[:6]).max() <= task.reset_script[0].speed + 1e-6


def test_places_are_those_of_the_seed():
    def place(seed: int) -> np.ndarray:
        robot = Robot(seed=seed, reset_script=[{**POINTS[0], "spread": [0.05, 0.05, 0.0]}])
        robot.look()
        robot.until_done()
        return robot.position

    np.testing.assert_array_equal(place(1), place(1))
    assert np.abs(place(1) - place(2)).max() > 1e-3


@pytest.mark.parametrize(
    ("point", "word"),
    [
        ({"position": [0.9, 0.0, 0.2]}, "leaves the workspace"),
        ({"position": [0.6, 0.0, 0.2], "spread": [0.1, 0.0, 0.0]}, "leaves the workspace"),
        ({"spread": [0.1, 0.0, 0.0]}, "needs a position"),
        ({"quaternion": [1, 1, 0, 0]}, "not of length 1"),
        ({"gripper": "ajar"}, "open"),
        ({"speed": 2.0}, "speed"),
        ({"hold": 15.0}, "less than within"),
        ({"holding": [0.04, 0.03]}, "least, greatest"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused(point, word):
    with pytest.raises(ConfigError, match=word):
        load_task("cube_pick", {"reset_script": [point]})


def test_a_task_without_a_script_cannot_be_reset_by_one():
    with pytest.raises(ConfigError, match="reset_script: there is none"):
        ControlLoop(
            load_task("cube_pick", {"reset_script": []}),
            LIMITS,
            SAFETY,
            scene_reset=SceneReset.SCRIPTED,
        )
