# SPDX-License-Identifier: Apache-2.0
"""A task as a user adds it: one YAML file and one folder, nothing in the package."""

from __future__ import annotations

from pathlib import Path

NAME = "touch_mat"

YAML = """\
name: touch_mat
instruction: touch the mat
classifier:
  parameters: {low: 12e-2, hold_steps: 2}
max_steps: 80
demonstrations: 2
edit_scale: 0.2
execute_steps: 4
updates_per_episode: 1
env_steps: 100
eval_trials: 1
workspace: {low: [0.3, -0.25, 0.01], high: [0.65, 0.25, 0.4]}
"""

REWARD = '''\
"""The tool is low."""

from collections.abc import Mapping

from pydantic import Field

from expo_ft_ros.configuration import Config
from expo_ft_ros.data.types import ImageArray, Observation, Verdict
from expo_ft_ros.tasks.reward import HoldSteps, Marks


class Parameters(Config):
    low: float = Field(gt=0, description="tool z that counts as touching [m]")
    hold_steps: HoldSteps = 1


class Classifier:
    def __init__(self, parameters: Parameters) -> None:
        self._wanted, self._count = parameters, 0

    def reset(self, obs: Observation) -> None:
        self._count = 0

    def __call__(self, obs: Observation) -> Verdict:
        self._count = self._count + 1 if obs.proprio.position[2] < self._wanted.low else 0
        done = self._count >= self._wanted.hold_steps
        return Verdict(float(done), done, "low" if self._count else "high")

    def marks(self, images: Mapping[str, ImageArray]) -> Mapping[str, Marks]:
        return {}

    @property
    def heights(self) -> Mapping[str, float]:
        return {"low": self._wanted.low}
'''

SCENE = '''\
"""A mat on a table."""

import mujoco
import numpy as np

from expo_ft_ros.sim import franka
from expo_ft_ros.sim.scene import (
    TOOL_DOWN_WXYZ,
    ObjectPose,
    Start,
    add_side_camera,
    add_table,
    body_pose,
)

MAT = "mat"
HIGH = 0.10


class Scene:
    def build(self, spec: mujoco.MjSpec) -> None:
        add_table(spec)
        mat = spec.worldbody.add_body(name=MAT, pos=[0.48, 0.0, 0.0], mocap=True)
        mat.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.05, 0.05, 0.001], rgba=[0.9, 0.2, 0.1, 1.0],
            contype=0, conaffinity=0,
        )
        add_side_camera(spec, np.array([1.06, -0.52, 0.56]), np.array([0.45, 0.0, 0.1]), 41.0)

    def reset(self, model, data, rng) -> Start:
        data.mocap_pos[0, :2] = rng.uniform([0.42, -0.1], [0.54, 0.1])
        return Start(rng.uniform([0.42, -0.1, 0.25], [0.54, 0.1, 0.3]), TOOL_DOWN_WXYZ, 0.08)

    def success(self, model, data) -> bool:
        return bool(data.site_xpos[model.site(franka.TCP).id][2] < HIGH + 0.02)

    def objects(self, model, data) -> dict[str, ObjectPose]:
        return {MAT: body_pose(model, data, MAT)}
'''

EXPERT = '''\
"""Goes down to the mat."""

from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np

from expo_ft_ros.tasks.failure_detector import Help
from expo_ft_ros.tasks.habits import Habits, uniform
from expo_ft_ros.tasks.scripted_expert import ScriptedExpert
from expo_ft_ros.tasks.sight import Sight

from .scene import HIGH, MAT


class Phase(Enum):
    REACH = auto()
    LOWER = auto()


class MatSight(Sight):
    @property
    def off(self) -> float:
        return float(np.linalg.norm((self.tool - self.position(MAT))[:2]))

    @property
    def ready(self) -> bool:
        return self.off < 0.02

    @property
    def secured(self) -> bool:
        return False

    def remaining(self) -> float:
        return self.off + float(self.tool[2])


@dataclass(frozen=True)
class MatHabits(Habits):
    speed: float = uniform(0.4, 0.6)
    gain: float = uniform(1.8, 2.2)
    tremor: float = uniform(0.01, 0.03)

    def brisk(self) -> "MatHabits":
        return replace(self, speed=1.5 * self.speed)


class Expert(ScriptedExpert[MatSight, MatHabits, Phase]):
    SIGHT, HABITS, FIRST, SALT = MatSight, MatHabits, Phase.REACH, 1

    def _signs(self, sight):
        return {}

    def _needed(self, sight, sign):
        return Help.READY

    def _entry(self, sight):
        return Phase.REACH

    def _next(self, sight, habits):
        return Phase.LOWER if self._phase is Phase.REACH and sight.ready else None

    def _target(self, sight, habits):
        over = sight.position(MAT) + np.array([0.0, 0.0, 0.2])
        return over if self._phase is Phase.REACH else np.array([*over[:2], HIGH - 0.01])
'''


def write_toy_task(folder: Path, *, simulated: bool = True) -> Path:
    """Writes the task into `folder`/touch_mat; returns its YAML file.

    Args:
        folder: A folder that is there.
        simulated: With its scene and its expert.
    """
    task = folder / NAME
    task.mkdir()
    files = {"reward": REWARD, "scene": SCENE, "expert": EXPERT}
    for name, text in files.items():
        if simulated or name == "reward":
            (task / f"{name}.py").write_text(text)
    path = task / f"{NAME}.yaml"
    path.write_text(YAML)
    return path
