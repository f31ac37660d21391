# SPDX-License-Identifier: Apache-2.0
"""What a perturbation is."""

from __future__ import annotations

import mujoco
import numpy as np

from expo_ft_ros.sim.scene import Scene


class Perturbation:
    """One thing that is different from scene to scene, or happens in an episode; this one is none.

    All that is random in it comes from the generator that it is given, which follows from the
    scene's seed. What it needs of the compiled model it notes in `bind`.
    """

    def __init__(self, scene: Scene) -> None:
        """scene: that it disturbs."""
        self._scene = scene

    def build(self, spec: mujoco.MjSpec) -> None:
        """Adds what it needs to a cell with robot and scene in it."""

    def bind(self, model: mujoco.MjModel) -> None:
        """Looks at the compiled cell.

        Raises:
            ConfigError: where the scene has nothing that it could disturb.
        """

    def vary(self, model: mujoco.MjModel, rng: np.random.Generator) -> None:
        """Changes the model for an episode, before the scene is set."""

    def begin(self, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Draws what happens in an episode, whose scene is set and whose poses are known."""

    def act(self, model: mujoco.MjModel, data: mujoco.MjData, time: float) -> None:
        """Adds forces [N] to those of the next physics step, data.xfrc_applied.

        Args:
            model: Of the cell.
            data: Of the cell.
            time: Since the episode's start [s].
        """
