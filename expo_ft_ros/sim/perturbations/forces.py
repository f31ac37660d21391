# SPDX-License-Identifier: Apache-2.0
"""Perturbations of motion: what is loose is shoved, the arm is pushed. Neither keeps a state of its
own in an episode, so that a world that is restored goes on alike."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.perturbations.base import Perturbation
from expo_ft_ros.sim.scene import Scene, Vector

# The shove: when it begins, how long it moves things, how long it then stops them [s], its speed
# [m/s]. What is pulled against friction goes slower.
_SHOVE_FROM, _MOVES, _STOPS, _SHOVE_SPEED = (0.5, 2.0), 0.25, 0.15, (0.08, 0.16)
_GAIN, _MOST = 100.0, 20.0  # from a lack of speed to an acceleration [1/s]; the greatest [m/s2]
# The pushes: the first ticks of each, how long it lasts [s], its force [N]. The wrist gives way to
# more than 100 N.
_PUSHES_FROM, _LASTS, _FORCE = ((0.5, 2.0), (3.0, 6.0)), 0.3, (40.0, 70.0)


class Nudge(Perturbation):
    """Shoves what lies loose aside by 1 to 4 cm, all of it alike, once in the first seconds.

    It is a force that a thing bears that is held or stands in a corner.
    """

    def __init__(self, scene: Scene) -> None:
        """See Perturbation."""
        super().__init__(scene)
        self._loose = np.zeros(0, dtype=int)
        self._from, self._velocity = 0.0, np.zeros(2)

    def bind(self, model: mujoco.MjModel) -> None:
        """See Perturbation: the scene's objects that move, and aren't the robot's."""
        robot = model.body_rootid[model.body(franka.HAND).id]
        objects = self._scene.objects(model, mujoco.MjData(model))
        bodies = np.array([model.body(name).id for name in objects], dtype=int)
        moves = model.body_weldid[bodies] != 0
        self._loose = bodies[moves & (model.body_rootid[bodies] != robot)]
        if not len(self._loose):
            raise ConfigError(
                f"nothing lies loose: {', '.join(objects)} stand still or are in the hand"
            )

    def begin(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """See Perturbation."""
        self._from, angle = rng.uniform(*_SHOVE_FROM), rng.uniform(-np.pi, np.pi)
        self._velocity = rng.uniform(*_SHOVE_SPEED) * np.array([np.cos(angle), np.sin(angle)])

    def act(self, model: mujoco.MjModel, data: mujoco.MjData, time: float) -> None:
        """See Perturbation."""
        since = time - self._from
        if not 0.0 <= since < _MOVES + _STOPS:
            return
        wanted = self._velocity if since < _MOVES else np.zeros(2)
        moving, kind = np.zeros(6), mujoco.mjtObj.mjOBJ_BODY
        for body in self._loose:
            mujoco.mj_objectVelocity(model, data, kind, body, moving, 0)
            pull = _GAIN * (wanted - moving[3:5])
            length = float(np.linalg.norm(pull))
            pull *= min(1.0, _MOST / length) if length > 0.0 else 0.0
            data.xfrc_applied[body, :2] += model.body_mass[body] * pull


@dataclass(frozen=True)
class _Push:
    """start: [s] since the episode's; force: (3,) [N]."""

    start: float
    force: Vector


class Push(Perturbation):
    """Pushes the hand twice, with 40 to 70 N for 0.3 s, from the side or from above or below. The
    tool gives way by a few millimetres, and the arm's servo takes it back."""

    def __init__(self, scene: Scene) -> None:
        """See Perturbation."""
        super().__init__(scene)
        self._pushes: list[_Push] = []

    def begin(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """See Perturbation."""
        self._pushes = []
        for window in _PUSHES_FROM:
            way = rng.normal(size=3)
            force = rng.uniform(*_FORCE) * way / np.linalg.norm(way)
            self._pushes.append(_Push(rng.uniform(*window), force))

    def act(self, model: mujoco.MjModel, data: mujoco.MjData, time: float) -> None:
        """See Perturbation."""
        hand = model.body(franka.HAND).id
        for push in self._pushes:
            if push.start <= time < push.start + _LASTS:
                data.xfrc_applied[hand, :3] += push.force
