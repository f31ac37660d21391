# SPDX-License-Identifier: Apache-2.0
"""Options of the benches that measure the learner without a graph."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, get_args

from pydantic import Field, model_validator

from expo_ft_ros.experiment.options import (
    NO_TRAINING_ON_A_SERVER,
    OPERATOR_RATE,
    OPERATOR_SHARE,
    TaskOptions,
)
from expo_ft_ros.experiment.stages import SEEDS_PER_RUN
from expo_ft_ros.rl.config import ALGORITHM, ALGORITHM_NAMES, PRESET, SIZE
from expo_ft_ros.robots import DEFAULT_ROBOT
from expo_ft_ros.robots.registry import ROBOTS

Arm = Literal["imitation", "choice", "full", "random"]
"""What an ablation's run may be, see `experiment.ablation.ARMS`."""
_ARM = "|".join(get_args(Arm))


class CoreOptions(TaskOptions):
    """`expo-ft bench core`: what a learner's step costs."""

    preset: str = Field(PRESET, description="The algorithm's constants: a file of config/presets/.")
    size: str = Field(SIZE, description="Sizes for a machine: a file of config/sizes/, or a path.")
    change: str = Field(
        "edits=false;edits=true",
        description="Fields of preset or size to change, as for bench learn; a semicolon between "
        "configurations that are measured in turns.",
    )
    turns: int = Field(5, ge=1, le=1000, description="How often each has its turn.")


class VlaOptions(TaskOptions):
    """`expo-ft bench vla`: what a policy's chunks cost."""

    preset: str = Field(PRESET, description="The algorithm's constants: a file of config/presets/.")
    size: str = Field(SIZE, description="Whose policy: a file of config/sizes/, or a path.")
    change: str = Field("", description="Fields of the size to change: vla.euler_steps=5.")
    turns: int = Field(5, ge=1, le=1000, description="How often each is measured.")


class UpdateOptions(TaskOptions):
    """`expo-ft bench update`: an update call with kept candidates, and with ones drawn anew."""

    preset: str = Field(PRESET, description="The algorithm's constants: a file of config/presets/.")
    size: str = Field(SIZE, description="Whose policy: a file of config/sizes/, or a path.")
    change: str = Field("", description="Fields of preset or size to change, as for bench learn.")
    turns: int = Field(3, ge=1, le=1000, description="How often each is measured.")
    learner_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Also the VLA's gradient steps of a call, by the wall: of one process, and of "
        "so many that share them.",
    )


class LearnOptions(TaskOptions):
    """`expo-ft bench learn`: whole runs in one process, without ROS."""

    refused: ClassVar[Mapping[str, str]] = NO_TRAINING_ON_A_SERVER

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
    checkpoints: str = Field(
        "",
        pattern=r"^(last|\d+(,\d+)*)?$",
        description="Keep weights, and the episodes that were learned from, in a run's folder: "
        "`last` at the end of RL; 2000,4000: also after so many online steps.",
    )
    label: str = Field("", pattern=r"^[\w-]*$", description="Part of the result file's name.")


class AblationOptions(TaskOptions):
    """`expo-ft bench ablation`: runs with parts of the algorithm left out, tested alike."""

    robot: str = Field(
        DEFAULT_ROBOT, min_length=1, description="Robot that is simulated, as for bench learn."
    )
    preset: str = Field(PRESET, description="The algorithm's constants: a file of config/presets/.")
    size: str = Field(SIZE, description="Sizes for a machine: a file of config/sizes/, or a path.")
    change: str = Field("", description="Fields to change in every arm, as for bench learn.")
    arms: str = Field(
        "imitation,choice,full,random",
        pattern=rf"^({_ARM})(,({_ARM}))*$",
        description="What runs: imitation: one candidate; choice: among base chunks; full: as "
        "configured; random: the candidates of full, drawn.",
    )
    seeds: str = Field(
        "3,4,5,6,7", pattern=r"^\d{1,9}(,\d{1,9})*$", description="Seeds of the runs."
    )
    operator_shares: str = Field(
        "0,0.5",
        pattern=r"^(0|1|0\.\d{1,6})(,(0|1|0\.\d{1,6}))*$",
        description="Shares of the online episodes in which the operator helps; 0: nobody helps.",
    )
    demos: int | None = Field(None, ge=1, le=10_000, description="Default: the task's.")
    steps: int | None = Field(
        None, ge=1, le=10_000_000, description="Online steps of a run. Default: the task's."
    )
    at: str = Field(
        "2000,4000",
        pattern=r"^[1-9]\d{0,7}(,[1-9]\d{0,7})*$",
        description="Online steps after which the weights are tested, beside the end.",
    )
    scenes: int = Field(200, ge=1, le=100_000, description="Scenes of a test, the same for all.")
    scenes_for: Literal["test", "choice"] = Field(
        "test",
        description="test: scenes that nothing is chosen on; choice: others, to choose "
        "configurations by. No run learns on either.",
    )
    jobs: int = Field(1, ge=1, le=256, description="Runs at the same time.")
    threads: int = Field(1, ge=1, le=256, description="Torch threads of each.")
    imitated: Path | None = Field(
        None, description="Folder that keeps imitated policies. Default: runs/imitated."
    )
    label: str = Field("", pattern=r"^[\w-]*$", description="Part of the result folder's name.")

    @property
    def arm_names(self) -> list[Arm]:
        """Of `arms`."""
        asked = self.arms.split(",")
        return [arm for arm in get_args(Arm) if arm in asked]

    @property
    def seed_numbers(self) -> list[int]:
        """Of `seeds`."""
        return [int(number) for number in self.seeds.split(",")]

    @property
    def shares(self) -> list[float]:
        """Of `operator_shares`."""
        return [float(share) for share in self.operator_shares.split(",")]

    @property
    def steps_to_test_at(self) -> list[int]:
        """Of `at`, ascending."""
        return sorted({int(number) for number in self.at.split(",")})

    @model_validator(mode="after")
    def _each_once(self) -> "AblationOptions":
        if len(set(self.seed_numbers)) < len(self.seed_numbers):
            raise ValueError(f"seeds:={self.seeds} names a seed twice")
        if len(set(self.shares)) < len(self.shares):
            raise ValueError(f"operator_shares:={self.operator_shares} names a share twice")
        return self


class ChoiceOptions(TaskOptions):
    """`expo-ft bench choice`: whether the critic's choice among candidates helps."""

    task: str = Field(
        "cube_pick", min_length=1, description="Task; where none is given, the run's."
    )
    robot: str = Field(
        DEFAULT_ROBOT, min_length=1, description="Robot; where none is given, the run's."
    )
    checkpoint: str = Field(
        "latest",
        min_length=1,
        description="A run's folder (its newest weights), a checkpoint's file, or `latest`; the "
        "first word may be its value alone.",
    )
    change: str = Field(
        "",
        description="Fields of preset, size or task to change, beside what the run had changed: "
        "minimum_of=2,task.max_steps=80.",
    )
    drive: Literal["vla", "agent"] = Field(
        "vla", description="What plays an episode up to its branches: the VLA alone, or the agent."
    )
    episodes: int = Field(40, ge=1, le=10_000, description="Episodes that are branched.")
    decisions: int = Field(2, ge=1, le=1000, description="Decisions of each that are branched.")
    continuations: int = Field(
        2,
        ge=1,
        le=100,
        description="Of each candidate, by the VLA alone; the same noise for each candidate.",
    )
    random_edits: int = Field(
        8, ge=0, le=1000, description="Base chunks with coherent random edits that are tried, too."
    )
    gripper: int = Field(
        2,
        ge=0,
        le=1000,
        description="Base chunks that are tried with the gripper opening throughout, and closing, "
        "where the task's gripper is free.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 // SEEDS_PER_RUN - 1, description="Of scenes, in a range of their own."
    )
    jobs: int = Field(1, ge=1, le=256, description="Processes that play at the same time.")
    threads: int = Field(1, ge=1, le=256, description="Torch threads of each.")
    branches: Path | None = Field(
        None,
        description="An .npz of an earlier call: its chunks are valued by this run's critic, and "
        "nothing is simulated.",
    )
    refit: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="With branches: value them by a critic of new weights, fitted to the run's "
        "episodes by so many steps, with the changes that `change` says.",
    )
    label: str = Field("", pattern=r"^[\w-]*$", description="Part of the result file's name.")
