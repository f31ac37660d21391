# SPDX-License-Identifier: Apache-2.0
"""The simulated robot cell: one robot, one scene, its cameras, a clock that never goes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import ACTION_DIM, ImageArray, Proprio
from expo_ft_ros.robots import RobotConfig, RobotLimits
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.ik import CartesianServo, ServoState
from expo_ft_ros.sim.perturbations import Perturbations
from expo_ft_ros.sim.render import Renderer, make_renderer
from expo_ft_ros.sim.scene import ObjectPose, Scene, Vector, WatchingScene, place_body

CAMERAS = ("side", "wrist")
"""The cameras that are drawn where nothing else is said; there is one above the table, too: top."""
_SERVO_PERIOD = 0.02  # between two updates of the IK [s]
_MAX_GRIP_LEAD = 0.02  # of the commanded opening ahead of the measured one [m]


@dataclass(frozen=True)
class WorldState:
    """All that the world's future depends on, for `World.restore`.

    physics: MuJoCo's integration state (positions, velocities, controls, warm start, ...);
    width_target: commanded opening of the gripper [m]; steps: of physics since construction.
    """

    physics: NDArray[np.float64]
    servo: ServoState
    width_target: float
    steps: int


@dataclass(frozen=True)
class CameraMount:
    """Where a camera is fixed, and how it sees.

    Attributes:
        on_tool: Whether it moves with the tool; else it stands in the base frame.
        position: (3,) in the tool's or the base frame [m].
        quaternion: (4,) x, y, z, w of its optical axes there: z where it looks, x to the right of
            the image, y down.
        focal_length: [px]; the image's centre is its principal point.
    """

    on_tool: bool
    position: NDArray[np.float64]
    quaternion: NDArray[np.float64]
    focal_length: float


class World:
    """Physics and cameras of one scene.

    reset(seed) sets everything that the physics depends on: the same seed and actions give the
    same states, bit for bit. Not for use by two threads at once.
    """

    def __init__(
        self,
        limits: RobotLimits,
        scene: Scene,
        render_size: int = 224,
        seed: int = 0,
        cameras: Sequence[str] = CAMERAS,
        perturbations: Sequence[str] = (),
    ) -> None:
        """Builds it and resets it.

        Args:
            limits: Of the robot.
            scene: What is around it.
            render_size: Side of the square images [px].
            seed: Of the first reset.
            cameras: Those that are drawn.
            perturbations: Names of what disturbs it, of `data.perturbations.PERTURBATIONS`.

        Raises:
            ConfigError: for a camera that isn't there, and for a perturbation that is unknown or
                has nothing to disturb.
        """
        self._scene = scene
        self._max_width = min(limits.gripper_max_width, franka.MAX_WIDTH)
        self._perturbations = Perturbations(perturbations, scene)
        spec = _spec_of(scene, cameras)
        self._perturbations.build(spec)
        self.model: mujoco.MjModel = spec.compile()
        self._perturbations.bind(self.model)
        self._cameras = tuple(cameras)
        self.data = mujoco.MjData(self.model)
        model = self.model
        self._arm_qpos = np.array([model.joint(n).qposadr[0] for n in franka.JOINTS])
        self._finger_qpos = np.array([model.joint(n).qposadr[0] for n in franka.FINGERS])
        self._arm_ctrl = np.array([model.actuator(n).id for n in franka.JOINTS])
        self._finger_ctrl = np.array([model.actuator(n).id for n in franka.FINGERS])
        self._site = model.site(franka.TCP).id
        self._servo = CartesianServo(model)
        self._render_size = render_size
        self._renderer: Renderer | None = None
        self._width_target = self._max_width
        self._steps = 0
        self.reset(seed)

    @property
    def time(self) -> float:
        """Simulated seconds since construction; resets don't turn it back."""
        return self._steps * float(self.model.opt.timestep)

    @property
    def backend(self) -> str:
        """What draws the images: egl, osmesa or raycast."""
        return self._render().backend

    def reset(self, seed: int) -> None:
        """Sets objects and robot as drawn from seed, everything at rest."""
        mujoco.mj_resetData(self.model, self.data)
        self._perturbations.vary(self.model, seed)
        start = self._scene.reset(self.model, self.data, np.random.default_rng(seed))
        joints = self._servo.solve(start.position, start.quaternion_wxyz)
        self._width_target = min(start.gripper_width, self._max_width)
        self.data.qpos[self._arm_qpos] = joints
        self.data.qpos[self._finger_qpos] = self._width_target / 2
        self.data.ctrl[self._arm_ctrl] = joints
        self.data.ctrl[self._finger_ctrl] = self._width_target / 2
        self._refresh()
        if self._perturbations:
            self._perturbations.begin(self.model, self.data)
            self._refresh()
        self._servo.reset(self.data)

    def step(self, action: ArrayLike, duration: float = 0.1) -> None:
        """Executes one velocity command for duration [s].

        action (7,): linear [m/s] and angular [rad/s] of the tool in base axes, then the gripper's
        opening velocity [m/s]. Raises ValueError if it isn't seven finite numbers.
        """
        command = np.asarray(action, dtype=np.float64)
        if command.shape != (ACTION_DIM,) or not np.all(np.isfinite(command)):
            raise ValueError(f"action must be {ACTION_DIM} finite numbers, got {command}")
        timestep = self.model.opt.timestep
        left, most = round(duration / timestep), max(1, round(_SERVO_PERIOD / timestep))
        while left > 0:
            count = min(left, most)
            dt = count * timestep
            references = self._servo.step(self.data, command[:3], command[3:6], dt)
            self.data.ctrl[self._arm_ctrl] = references
            self._move_gripper(command[6] * dt)
            self._advance(count)
            self._steps += count
            left -= count
            self._refresh()

    def _advance(self, steps: int) -> None:
        """Takes so many physics steps."""
        watching = self._scene if isinstance(self._scene, WatchingScene) else None
        if watching is None and not self._perturbations:
            mujoco.mj_step(self.model, self.data, nstep=steps)
            return
        for _ in range(steps):
            if self._perturbations:
                self._perturbations.act(self.model, self.data)
            mujoco.mj_step(self.model, self.data)
            if watching is not None:
                watching.watch(self.model, self.data)

    def state(self) -> WorldState:
        """The whole state; a world restored to it goes on as this one, bit for bit."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        physics = np.zeros(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, physics, kind)
        return WorldState(physics, self._servo.state(), self._width_target, self._steps)

    def restore(self, state: WorldState) -> None:
        """Goes back, or on, to a `state` of a world of the same task; the clock goes with it.

        Perturbations stay those of the last reset.
        """
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        mujoco.mj_setState(self.model, self.data, state.physics, kind)
        self._servo.restore(state.servo)
        self._width_target, self._steps = state.width_target, state.steps
        self._refresh()

    def proprio(self) -> Proprio:
        """Returns the measured robot state."""
        velocity, quat = np.zeros(6), np.zeros(4)
        mujoco.mj_objectVelocity(
            self.model, self.data, mujoco.mjtObj.mjOBJ_SITE, self._site, velocity, 0
        )
        mujoco.mju_mat2Quat(quat, self.data.site_xmat[self._site])
        return Proprio(
            position=self.data.site_xpos[self._site].copy(),
            quaternion=np.roll(quat, -1),
            gripper_width=self._measured_width(),
            linear=velocity[3:].copy(),
            angular=velocity[:3].copy(),
            joints=self.data.qpos[self._arm_qpos].copy(),
        )

    def images(self) -> dict[str, ImageArray]:
        """Returns each camera's image, (render_size, render_size, 3) uint8 RGB."""
        renderer = self._render()
        return {name: renderer.render(self.data, name) for name in self._cameras}

    def camera_mount(self, camera: str) -> CameraMount:
        """Where a camera is fixed and looks."""
        index = self.model.camera(camera).id
        # MuJoCo's cameras look along -z, with y up.
        axes = self.data.cam_xmat[index].reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])
        position = self.data.cam_xpos[index].copy()
        on_tool = bool(self.model.cam_bodyid[index] != 0)
        if on_tool:
            tool = self.data.site_xmat[self._site].reshape(3, 3).T
            axes, position = tool @ axes, tool @ (position - self.data.site_xpos[self._site])
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, axes.ravel())
        half = np.radians(self.model.cam_fovy[index]) / 2
        focal = float(self._render_size / 2 / np.tan(half))
        return CameraMount(on_tool, position, np.roll(quat, -1), focal)

    def objects(self) -> dict[str, ObjectPose]:
        """Returns name -> position (3,) [m], quaternion x, y, z, w in the base frame."""
        return self._scene.objects(self.model, self.data)

    def place(self, body: str, position: Vector, quaternion: Vector) -> None:
        """Puts a thing at position (3,) [m] with quaternion x, y, z, w, at rest.

        Raises:
            ValueError: for one that isn't free to move.
        """
        place_body(self.model, self.data, body, position, quaternion)
        self._refresh()

    def success(self) -> bool:
        """True where the task is done, by ground truth."""
        return self._scene.success(self.model, self.data)

    def close(self) -> None:
        """Gives the renderer back; physics stays usable, images() would make a new one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _move_gripper(self, change: float) -> None:
        measured = self._measured_width()
        target = np.clip(
            self._width_target + change, measured - _MAX_GRIP_LEAD, measured + _MAX_GRIP_LEAD
        )
        self._width_target = float(np.clip(target, 0.0, self._max_width))
        self.data.ctrl[self._finger_ctrl] = self._width_target / 2

    def _measured_width(self) -> float:
        qpos: NDArray[np.float64] = self.data.qpos[self._finger_qpos]
        return float(np.clip(qpos.sum(), 0.0, franka.MAX_WIDTH))

    def _refresh(self) -> None:
        """Brings poses and velocities up to the state; mj_step leaves them one step behind."""
        mujoco.mj_fwdPosition(self.model, self.data)
        mujoco.mj_fwdVelocity(self.model, self.data)

    def _render(self) -> Renderer:
        if self._renderer is None:
            self._renderer = make_renderer(self.model, self._render_size)
        return self._renderer


def require_robot(robot: RobotConfig) -> None:
    """Refuses a robot that isn't the simulated one: other joints, fingers, or another home.

    Raises:
        ConfigError: with what it would have to have.
    """
    home = tuple(round(float(angle), 6) for angle in franka.HOME)
    for name, given, own in (
        ("joints", robot.joints, tuple(franka.JOINTS)),
        ("fingers", robot.fingers, tuple(franka.FINGERS)),
    ):
        if tuple(given) != own:
            raise ConfigError(
                f"{name}: {', '.join(given)}, but the simulated arm's are {', '.join(own)} (write "
                "these, or take another adapter)"
            )
    if not np.allclose(robot.home, home, atol=1e-3):
        raise ConfigError(
            f"home: {list(robot.home)}, but the simulated arm's is {list(home)} (write this one, "
            "or take another adapter)"
        )


def require_cameras(scene: Scene, cameras: Sequence[str]) -> None:
    """Refuses cameras that the cell has not; takes milliseconds.

    Raises:
        ConfigError: with those that it has.
    """
    _spec_of(scene, cameras)


def _spec_of(scene: Scene, cameras: Sequence[str]) -> mujoco.MjSpec:
    """The robot and what is around it."""
    spec = mujoco.MjSpec.from_string(franka.robot_xml())
    scene.build(spec)
    known = sorted(camera.name for camera in spec.cameras)
    if missing := [name for name in cameras if name not in known]:
        raise ConfigError(
            f"views: the simulation has no camera {', '.join(missing)}, its cameras are "
            f"{', '.join(known)} (name the views so)"
        )
    return spec
