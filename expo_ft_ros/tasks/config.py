# SPDX-License-Identifier: Apache-2.0
"""What a task is: one YAML file in config/tasks/, read into a TaskConfig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.robots.config import Vector, Workspace

NAME = r"[a-z][a-z0-9_]*"
Part = Literal["reward", "scene", "expert"]
"""The files of a task's folder."""
Folder = Annotated[str, Field(pattern=rf"^({NAME})?$")]

P = TypeVar("P", bound=Config, covariant=True)


class ClassifierConfig(Config, Generic[P]):
    """What counts as success: which reward.py judges, and its parameters."""

    name: Folder = Field(default="", description="folder of the reward.py; empty: the task's own")
    parameters: P = Field(description="the Parameters of that reward.py, in SI units")


class Waypoint(Config):
    """One thing that the arm does by itself while the scene is reset (`scene_reset:=scripted`)."""

    position: tuple[float | None, float | None, float | None] = Field(
        default=(None, None, None),
        description="x, y, z of the tool centre point, base frame [m]; null: as it is",
    )
    spread: Vector = Field(
        default=(0.0, 0.0, 0.0),
        description="drawn evenly from so far to either side of position, each from 0 [m]",
    )
    quaternion: tuple[float, float, float, float] | None = Field(
        default=None, description="x, y, z, w of the tool in the base frame; null: as it is"
    )
    gripper: Literal["open", "close"] | None = Field(
        default=None, description="where the gripper goes meanwhile; null: it stays"
    )
    hold: float = Field(
        default=0.0, ge=0, le=60, description="time there before the next, for a gripper [s]"
    )
    within: float = Field(
        default=10.0, gt=0, le=600, description="the operator is asked after trying for so long [s]"
    )
    speed: float = Field(default=0.5, gt=0, le=1, description="share of the limits")
    near: float = Field(
        default=0.008, gt=0, le=0.1, description="it is there within so much along each axis [m]"
    )
    turned: float = Field(
        default=0.05, gt=0, le=0.5, description="it is there within so much about each axis [rad]"
    )
    holding: tuple[float, float] | None = Field(
        default=None,
        description="left out unless the gripper's opening lies between, so that it holds "
        "something [m]; null: never left out",
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Waypoint:
        for axis, place, spread in zip("xyz", self.position, self.spread, strict=True):
            if spread < 0 or (spread > 0 and place is None):
                raise ValueError(f"spread {spread} along {axis} needs a position, and is from 0")
        if self.hold >= self.within:
            raise ValueError(f"hold {self.hold} s must be less than within {self.within} s")
        if self.holding is not None and not 0 <= self.holding[0] < self.holding[1]:
            raise ValueError(f"holding {self.holding} must be [least, greatest] opening [m]")
        if self.quaternion is not None and abs(np.linalg.norm(self.quaternion) - 1.0) > 1e-3:
            raise ValueError(f"quaternion {self.quaternion} is not of length 1")
        return self


class TaskConfig(Config):
    """One task. The learning values are those of the paper's Table 4 unless its file says so."""

    name: str = Field(pattern=rf"^{NAME}$", description="the file's name, snake_case")
    instruction: str = Field(min_length=1, description="what the policy is told, in words")
    scene: Folder = Field(
        default="", description="simulation: folder of the scene.py; empty: the task's own"
    )
    expert: Folder = Field(
        default="", description="simulation: folder of the expert.py; empty: the task's own"
    )
    classifier: ClassifierConfig[Config] = Field(description="what counts as success")
    control_hz: float = Field(default=10.0, ge=1, le=100, description="control ticks a second [Hz]")
    max_steps: int = Field(ge=1, le=100_000, description="steps after which an episode times out")
    demonstrations: int = Field(ge=0, le=10_000, description="demonstrations collected beforehand")
    edit_scale: float = Field(
        gt=0, le=1, description="beta, the largest edit of a normalised action"
    )
    gripper_is_free: bool = Field(
        default=True,
        description="whether the policy may open and close the gripper as it likes; false where "
        "it holds a tool, which it would drop",
    )
    execute_steps: int = Field(
        ge=1, le=100, description="C, steps executed of each chunk before the next one"
    )
    replan_on_release: bool = Field(
        default=False,
        description="a new chunk is drawn when the operator lets go (the authors' code); false: "
        "the rest of the chunk goes on (the paper)",
    )
    updates_per_episode: int = Field(
        ge=0, le=1000, description="K, update calls after each episode"
    )
    env_steps: int = Field(ge=0, le=10_000_000, description="online steps of the rl stage")
    eval_trials: int = Field(default=30, ge=0, le=10_000, description="episodes of each evaluation")
    workspace: Workspace = Field(description="the box that the tool stays in, of the robot's")
    reset_script: tuple[Waypoint, ...] = Field(
        default=(), description="what the arm does between episodes with scene_reset:=scripted"
    )

    @model_validator(mode="after")
    def _script_stays_inside(self) -> TaskConfig:
        low, high = self.workspace.low, self.workspace.high
        for number, point in enumerate(self.reset_script):
            for axis, place, spread, least, most in zip(
                "xyz", point.position, point.spread, low, high, strict=True
            ):
                if place is not None and not least <= place - spread <= place + spread <= most:
                    raise ValueError(
                        f"reset_script.{number}.position: {axis} {place} +- {spread} m leaves the "
                        f"workspace, {least} to {most}"
                    )
        return self

    _file: Path = PrivateAttr(default=Path())

    @property
    def file(self) -> Path:
        """Where it was read from."""
        return self._file

    @property
    def period(self) -> float:
        """Time from one control tick to the next [s]."""
        return 1.0 / self.control_hz

    def code(self, part: Part) -> str:
        """Name of the folder that holds that part of the task's code."""
        named = {"reward": self.classifier.name, "scene": self.scene, "expert": self.expert}
        return named[part] or self.name
