# SPDX-License-Identifier: Apache-2.0
"""The perturbations of a cell: which there are, and from what they are drawn.

Each has its own stream of random numbers, of the scene's seed and its name: the same scene is
disturbed alike before and after learning, and whichever others are on.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.data.perturbations import PERTURBATIONS
from expo_ft_ros.sim import franka
from expo_ft_ros.sim.perturbations.appearance import Distractors, Lighting, Objects
from expo_ft_ros.sim.perturbations.base import Perturbation
from expo_ft_ros.sim.perturbations.forces import Nudge, Push
from expo_ft_ros.sim.scene import Scene

_KINDS: Mapping[str, type[Perturbation]] = {
    "lighting": Lighting,
    "distractors": Distractors,
    "objects": Objects,
    "nudge": Nudge,
    "push": Push,
}


class Perturbations:
    """Those of a cell that were asked for; false where there is none."""

    def __init__(self, names: Sequence[str], scene: Scene) -> None:
        """Of a scene.

        Args:
            names: Some of `data.perturbations.PERTURBATIONS`.
            scene: That is disturbed.

        Raises:
            ConfigError: for an unknown name.
        """
        for name in names:
            if name not in _KINDS:
                raise ConfigError(f"no such perturbation {name!r} ({nearest(name, PERTURBATIONS)})")
        self._each = {name: _KINDS[name](scene) for name in names}
        self._streams: dict[str, np.random.Generator] = {}
        self._began = 0.0

    def __bool__(self) -> bool:
        return bool(self._each)

    def build(self, spec: mujoco.MjSpec) -> None:
        """Adds what they need to a cell with robot and scene in it."""
        for one in self._each.values():
            one.build(spec)

    def bind(self, model: mujoco.MjModel) -> None:
        """Takes the compiled cell.

        Raises:
            ConfigError: for the first that has nothing to disturb there, by its name.
        """
        for name, one in self._each.items():
            try:
                one.bind(model)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from None

    def vary(self, model: mujoco.MjModel, seed: int) -> None:
        """Changes the model for the scene of a seed, before that is set."""
        for name, one in self._each.items():
            stream = np.random.default_rng([seed, zlib.crc32(name.encode())])
            self._streams[name] = stream
            one.vary(model, stream)

    def begin(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Draws what happens in the episode; the scene is set, and its poses are known."""
        self._began = data.time
        for name, one in self._each.items():
            one.begin(model, data, self._streams[name])

    def act(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Sets the forces of the next physics step."""
        data.xfrc_applied[:] = 0.0
        for one in self._each.values():
            one.act(model, data, data.time - self._began)


def require_perturbable(scene: Scene, names: Sequence[str]) -> None:
    """Refuses perturbations that have nothing to disturb in a scene; compiles it where some are
    named.

    Raises:
        ConfigError: for the first, by its name.
    """
    if names:
        wanted = Perturbations(names, scene)
        spec = mujoco.MjSpec.from_string(franka.robot_xml())
        scene.build(spec)
        wanted.build(spec)
        wanted.bind(spec.compile())
