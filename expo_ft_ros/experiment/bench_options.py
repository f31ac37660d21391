# SPDX-License-Identifier: Apache-2.0
"""Options of the benches that measure the learner without a graph."""

from pathlib import Path

from pydantic import Field

from expo_ft_ros.experiment.options import OPERATOR_RATE, OPERATOR_SHARE, TaskOptions
from expo_ft_ros.rl.config import ALGORITHM, ALGORITHM_NAMES, PRESET, SIZE
from expo_ft_ros.robots import DEFAULT_ROBOT
from expo_ft_ros.robots.registry import ROBOTS


class CoreOptions(TaskOptions):
    """`expo-ft bench core`: what a learner's step costs."""

    size: str = Field(SIZE, description="Sizes for a machine: a file of config/sizes/, or a path.")


class LearnOptions(TaskOptions):
    """`expo-ft bench learn`: whole runs in one process, without ROS."""

    robot: str = Field(
        DEFAULT_ROBOT,
        min_length=1,
        description="Robot that is simulated: a file of config/robots/ or of a folder in "
        f"{ROBOTS.variable}, or the path of one.",
    )
    algorithm: str = Field(ALGORITHM, description=f"What learns: {', '.join(ALGORITHM_NAMES)}.")
    preset: str = Field(PRESET, description="The algorithm's constants: a file of config/presets/.")
    size: str = Field(SIZE, description="Sizes for a machine: a file of config/sizes/, or a path.")
    change: str = Field(
        "",
        description="Fields of preset, size or task to change: "
        "edit.alpha=0.1,task.execute_steps=4.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="First seed.")
    seeds: int = Field(1, ge=1, le=100, description="How many, one after the other.")
    demos: int | None = Field(None, ge=1, le=10_000, description="Default: the task's.")
    steps: int | None = Field(None, ge=1, le=10_000_000, description="Default: the task's.")
    eval_trials: int | None = Field(None, ge=1, le=10_000, description="Default: the task's.")
    operator_rate: float = Field(
        OPERATOR_RATE, ge=0.0, le=1.0, description="How readily the operator steps in."
    )
    operator_share: float = Field(
        OPERATOR_SHARE,
        ge=0.0,
        le=1.0,
        description="Share of the online episodes in which it helps at all; 0: no corrections.",
    )
    threads: int = Field(0, ge=0, le=256, description="Torch threads; 0: the size's.")
    alone: bool = Field(
        False,
        description="Play the last evaluation once more by the VLA's first chunk, without the "
        "critic's choice.",
    )
    imitated: Path | None = Field(
        None,
        description="Folder that keeps imitated policies: runs with the same task, seed and sizes "
        "begin RL with the same one.",
    )
    label: str = Field("", pattern=r"^[\w-]*$", description="Part of the result file's name.")
