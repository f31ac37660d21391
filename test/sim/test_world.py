# SPDX-License-Identifier: Apache-2.0
"""World: velocity tracking, limits, gripper, determinism."""

from __future__ import annotations

import time

import mujoco
import numpy as np
import pytest

from expo_ft_ros.robots import load_robot
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.ik import CartesianServo, rotation_between
from expo_ft_ros.sim.scene import TOOL_DOWN_WXYZ, UNTURNED
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.cube_pick.scene import CUBE_HIGH, CUBE_LOW
from expo_ft_ros.tasks.scenes import make_world

LIMITS = load_robot("sim").limits


def wxyz(quaternion: np.ndarray) -> np.ndarray:
    return np.roll(quaternion, 1)


def run(world: World, action: list[float], ticks: int) -> None:
    for _ in range(ticks):
        world.step(action)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("speed", [0.1, -0.1])
def test_tool_follows_linear_velocity(world: World, axis: int, speed: float) -> None:
    world.reset(3)
    before = world.proprio()
    action = np.zeros(7)
    action[axis] = speed
    run(world, list(action), 10)
    after = world.proprio()
    expected = np.zeros(3)
    expected[axis] = speed
    assert after.position - before.position == pytest.approx(expected, abs=0.005)
    assert after.linear == pytest.approx(expected, abs=0.01)
    turned = rotation_between(wxyz(before.quaternion), wxyz(after.quaternion))
    assert np.linalg.norm(turned) < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tool_follows_angular_velocity_in_base_axes(world: World, axis: int) -> None:
    world.reset(3)
    before = world.proprio()
    action = np.zeros(7)
    action[3 + axis] = 0.4
    run(world, list(action), 10)
    after = world.proprio()
    expected = np.zeros(3)
    expected[axis] = 0.4
    turned = rotation_between(wxyz(before.quaternion), wxyz(after.quaternion))
    assert turned == pytest.approx(expected, abs=0.03)
    assert after.angular == pytest.approx(expected, abs=0.05)
    assert after.position == pytest.approx(before.position, abs=0.006)


def test_tool_stays_where_it_is_without_command(world: World) -> None:
    world.reset(4)
    before = world.proprio().position
    run(world, [0.0] * 7, 30)
    assert world.proprio().position == pytest.approx(before, abs=0.001)


@pytest.mark.parametrize(
    "action",
    [[0.25, 0, 0.1, 0, 0, 0, 0], [-0.25, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1.0, 0],
     [0, 0, 0, 1.0, 0, 0, 0], [0, 0.25, 0.25, 0, -1.0, 0, 0]],
)  # fmt: skip
def test_joint_limits_hold_against_a_stubborn_command(world: World, action: list[float]) -> None:
    world.reset(1)
    for _ in range(60):
        world.step(action)
        joints = world.proprio().joints
        assert np.all(joints > franka.LOWER - 0.03)
        assert np.all(joints < franka.UPPER + 0.03)
    assert np.all(np.isfinite(world.data.qpos))


def test_blocked_arm_does_not_wind_up(world: World) -> None:
    world.reset(2)
    run(world, [0, 0, -0.25, 0, 0, 0, -0.12], 40)
    blocked = world.proprio().position[2]
    assert blocked < 0.03
    run(world, [0, 0, 0.25, 0, 0, 0, 0], 4)
    assert world.proprio().position[2] > blocked + 0.04


def test_gripper_opens_and_closes_at_the_commanded_speed_within_its_range(world: World) -> None:
    world.reset(2)
    assert world.proprio().gripper_width == pytest.approx(0.08, abs=1e-3)
    run(world, [0, 0, 0, 0, 0, 0, -0.1], 4)
    assert world.proprio().gripper_width == pytest.approx(0.04, abs=0.006)
    run(world, [0, 0, 0, 0, 0, 0, -0.1], 10)
    assert world.proprio().gripper_width == pytest.approx(0.0, abs=1e-3)
    run(world, [0, 0, 0, 0, 0, 0, 0.1], 20)
    assert world.proprio().gripper_width == pytest.approx(0.08, abs=1e-3)


def test_same_seed_and_actions_give_the_same_bits(task: TaskConfig) -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (25, 7)) * LIMITS.scale()
    first, second = make_world(task, LIMITS), make_world(task, LIMITS, seed=9)
    run(second, [0.1, 0.1, -0.1, 0, 0, 0.5, -0.1], 15)  # another past, images drawn or not
    second.images()
    states = []
    for world in (first, second):
        world.reset(123)
        for action in actions:
            world.step(action)
        images = world.images()
        states.append(
            world.data.qpos.tobytes() + world.data.qvel.tobytes() + world.proprio().linear.tobytes()
            + images["side"].tobytes() + images["wrist"].tobytes()
        )  # fmt: skip
        world.close()
    assert states[0] == states[1]


def test_seeds_place_cube_and_tool_all_over_their_regions(world: World) -> None:
    cubes, tools = [], []
    for seed in range(60):
        world.reset(seed)
        cubes.append(world.objects()["cube"][0][:2])
        tools.append(world.proprio().position)
    spread = np.ptp(cubes, axis=0)
    assert np.all(np.array(cubes) >= CUBE_LOW)
    assert np.all(np.array(cubes) <= CUBE_HIGH)
    assert np.all(spread > 0.85 * (CUBE_HIGH - CUBE_LOW))
    assert np.all(np.ptp(tools, axis=0) > [0.15, 0.2, 0.1])


def test_time_counts_control_periods_and_survives_reset(world: World) -> None:
    before = world.time
    world.step(np.zeros(7))
    world.reset(5)
    world.step(np.zeros(7), duration=0.05)
    assert world.time - before == pytest.approx(0.15)


def test_a_thing_is_placed_at_rest(world: World) -> None:
    world.reset(0)
    place, quaternion = np.array([0.5, 0.1, 0.3]), np.array([0.0, 0.6, 0.0, 0.8])
    run(world, [0.0] * 7, 2)
    world.place("cube", place, quaternion)
    at, turned = world.objects()["cube"]
    assert at == pytest.approx(place)
    assert turned == pytest.approx(quaternion)
    assert not world.data.joint("cube").qvel.any()


def test_what_is_not_free_to_move_is_not_placed(world: World) -> None:
    with pytest.raises(ValueError, match="body hand isn't free"):
        world.place("hand", np.zeros(3), UNTURNED)


@pytest.mark.parametrize("action", [[0.0] * 6, [float("nan")] + [0.0] * 6])
def test_bad_action_is_refused_by_name(world: World, action: list[float]) -> None:
    with pytest.raises(ValueError, match="7 finite numbers"):
        world.step(action)


def test_a_control_step_is_far_cheaper_than_its_period(world: World) -> None:
    world.reset(0)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        world.step([0.05, 0, 0, 0, 0, 0, 0])
        best = min(best, time.perf_counter() - start)
    assert best < 0.03


@pytest.mark.parametrize("yaw", [-1.2, 0.0, 1.5])
@pytest.mark.parametrize("lean", [-0.5, 0.6])
@pytest.mark.parametrize("y", [-0.22, 0.0])
def test_a_start_with_a_turned_tool_keeps_the_arm_in_home_s_posture(
    world: World, yaw: float, lean: float, y: float
) -> None:
    """About the base's z, then leaning about its x: the wrist turns, elbow and shoulder don't."""
    turned, upright, quat = np.zeros(4), np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(upright, [0.0, 0.0, 1.0], yaw)
    mujoco.mju_mulQuat(turned, upright, TOOL_DOWN_WXYZ)
    mujoco.mju_axisAngle2Quat(upright, [1.0, 0.0, 0.0], lean)
    mujoco.mju_mulQuat(quat, upright, turned)
    joints = CartesianServo(world.model).solve(np.array([0.43, y, 0.18]), quat)
    data = mujoco.MjData(world.model)
    data.qpos[[world.model.joint(name).qposadr[0] for name in franka.JOINTS]] = joints
    mujoco.mj_kinematics(world.model, data)
    reached = np.zeros(4)
    mujoco.mju_mat2Quat(reached, data.site(franka.TCP).xmat)
    assert np.linalg.norm(rotation_between(reached, quat)) < 0.01
    assert np.abs(joints - franka.HOME)[:4].max() < 1.3


@pytest.mark.parametrize(
    "name", ["cube_pick", "candy_scoop", "egg_flip", "flower_insert", "pool_shot"]
)
def test_a_restored_world_goes_on_bit_for_bit(name: str) -> None:
    """Also from another world's state, and after other things have happened."""
    task = load_task(name)
    world, other = (
        make_world(task, LIMITS, render_size=32),
        make_world(task, LIMITS, render_size=32, seed=5),
    )
    rng = np.random.default_rng(1)
    actions = rng.uniform(-1, 1, (24, 7)) * np.array([0.2, 0.2, 0.2, 0.5, 0.5, 0.5, 0.1])

    def play(it: World, these: np.ndarray) -> list[np.ndarray]:
        seen = []
        for action in these:
            it.step(action)
            seen += [it.data.qpos.copy(), it.data.qvel.copy(), np.array([it.time])]
        return [*seen, *it.images().values()]

    play(world, actions[:8])
    state = world.state()
    first = play(world, actions[8:])
    world.restore(state)
    again = play(world, actions[8:])
    other.restore(state)
    elsewhere = play(other, actions[8:])
    for a, b, c in zip(first, again, elsewhere, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    world.close()
    other.close()


def rotation(quaternion):
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, wxyz(quaternion))
    return matrix.reshape(3, 3)


def seen_at(world, camera, point):
    """Pixel (x, y) where a point of the base frame is in the image, by the camera's mount."""
    mount = world.camera_mount(camera)
    if mount.on_tool:
        state = world.proprio()
        point = rotation(state.quaternion).T @ (point - state.position)
    x, y, z = rotation(mount.quaternion).T @ (point - mount.position)
    assert z > 0, "it is behind the camera"
    half = world.images()[camera].shape[0] / 2
    return mount.focal_length * x / z + half, mount.focal_length * y / z + half


@pytest.mark.parametrize("camera", ["side", "wrist"])
def test_a_camera_sees_the_cube_where_its_mount_says(world, camera):
    world.reset(5)
    cube, _ = world.objects()["cube"]
    x, y = seen_at(world, camera, cube)
    image = world.images()[camera].astype(int)
    # The cube is what is red.
    red = image[:, :, 0] - image[:, :, 1:].max(axis=2)
    rows, columns = np.nonzero(red > 0.5 * red.max())
    assert np.hypot(np.median(columns) - x, np.median(rows) - y) < 0.04 * image.shape[0]


def test_a_mount_stays_where_it_is_while_the_arm_moves(world):
    world.reset(5)
    before = {name: world.camera_mount(name) for name in ("side", "wrist")}
    run(world, [0.1, 0.05, 0.05, 0.3, 0.2, 0.4, 0.0], 8)
    for name, mount in before.items():
        after = world.camera_mount(name)
        assert mount.on_tool == after.on_tool == (name == "wrist")
        np.testing.assert_allclose(after.position, mount.position, atol=1e-6)
        assert abs(mount.quaternion @ after.quaternion) == pytest.approx(1.0, abs=1e-9)
