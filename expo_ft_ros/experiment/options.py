# SPDX-License-Identifier: Apache-2.0
"""What may be said on the command line or in a launch file, and the budget that follows.

Every option's name, default, range and description is a field here and nowhere else: the CLI's help
and the launch files' arguments are made from them. `arguments.py` reads them.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, get_args

from pydantic import Field, field_validator

from expo_ft_ros.configuration import Config, config_dir
from expo_ft_ros.control.plan import Operator
from expo_ft_ros.data.perturbations import PERTURBATIONS, parse_perturbations
from expo_ft_ros.devices.cameras.by_view import with_whole_paths
from expo_ft_ros.experiment.budget import (
    DECISION_TIME,
    SHORT_DEMOS,
    SHORT_EVAL_TRIALS,
    SHORT_FORM_STEPS,
    SMALL_STEPS,
    Budget,
)
from expo_ft_ros.monitor.address import CONSOLE_PORT, TOKEN_VARIABLE
from expo_ft_ros.rl.config import ALGORITHM, ALGORITHM_NAMES, PRESET, SIZE
from expo_ft_ros.rl.preset_files import size_reference
from expo_ft_ros.robots import DEFAULT_ROBOT, ROBOTS
from expo_ft_ros.serving.config import DEFAULT_KEYS, SERVERS, require_address
from expo_ft_ros.tasks import TASKS, TaskConfig

DEMO_POLICY, DEMO_STEPS = "demo", 36_000
OPERATOR_RATE, OPERATOR_SHARE = 0.7, 0.5
"""Where every failure is mended nothing that is learned from shows one (docs/experiments.md)."""

_OPERATORS = ", ".join(get_args(Operator))


NO_TRAINING_ON_A_SERVER = MappingProxyType(
    {
        "policy": "a policy server gives chunks, and no noise, loss or weights that could be "
        "trained: it is evaluated only (expo-ft eval policy:=...)"
    }
)
"""Option -> why a training hasn't it."""


class TaskOptions(Config):
    """Options of every command about a task."""

    refused: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Option of another command -> why this one hasn't it."""

    task: str = Field(
        "cube_pick",
        min_length=1,
        description=f"Task: a file of config/tasks/ or of a folder in {TASKS.variable}, or the "
        "path of one, or of its folder.",
    )

    # Other processes, and a run that goes on later, may be started in another folder.
    @field_validator("task")
    @classmethod
    def _task_from_any_folder(cls, value: str) -> str:
        return TASKS.reference(value)

    @field_validator("robot", check_fields=False)
    @classmethod
    def _robot_from_any_folder(cls, value: str) -> str:
        return ROBOTS.reference(value)

    @field_validator("size", check_fields=False)
    @classmethod
    def _size_from_any_folder(cls, value: str | None) -> str | None:
        return None if value is None else size_reference(value)

    @property
    def task_name(self) -> str:
        """The task's name, also where `task` is a path."""
        return Path(self.task).stem


class RunOptions(TaskOptions):
    """Options of every command that starts the graph."""

    robot: str = Field(
        DEFAULT_ROBOT,
        min_length=1,
        description="Robot that the graph drives: a file of config/robots/ or of a folder in "
        f"{ROBOTS.variable}, or the path of one.",
    )
    robot_ip: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:_-]*$",
        description="Address of a Franka arm's control box. robot:=franka_fci: in place of that of "
        "the robot's file; robot:=franka_ros2, crisp, servo: ros2 launch starts the arm's driver, "
        "franka_bringup's franka.launch.py.",
    )
    motion: Literal["on", "off"] | None = Field(
        None,
        description="off: the arm is commanded to stand, what it would have got is shown and "
        "recorded, and no episode counts. on: it moves; a robot's first run with motion wants a "
        "typed yes (default: on for a simulated robot and for one that was moved before; else "
        "off).",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of scenes, networks and operator.")
    operator: Operator = Field(
        "scripted", description=f"Who demonstrates and corrects: {_OPERATORS}."
    )
    spacemouse: Literal["spacenav_node", "libspnav"] = Field(
        "spacenav_node",
        description="Who reads the SpaceMouse: spacenav_node, which somebody else starts, or a "
        "node of the graph through libspnav.",
    )
    operator_rate: float = Field(
        OPERATOR_RATE, ge=0.0, le=1.0, description="How readily the scripted operator steps in."
    )
    operator_share: float = Field(
        OPERATOR_SHARE,
        ge=0.0,
        le=1.0,
        description="Share of the online episodes in which the scripted operator helps at all.",
    )
    scene_reset: Literal["automatic", "asked", "scripted", "operator"] = Field(
        "automatic",
        description="asked: where the classifier finds the scene in need of the operator (too few "
        "candies left, say), and after a stop, the next episode waits for /reset_episode. "
        "scripted: the same, and the arm resets the scene by the task's reset_script. operator: "
        "each time, for a robot without a reset of its own.",
    )
    decision_time: float | None = Field(
        None,
        ge=0.0,
        le=60.0,
        description="How long the operator may overrule how an episode has ended before it is "
        f"committed [s] (default: {DECISION_TIME:g} when a human corrects, else 0).",
    )
    realtime: bool = Field(
        False, description="10 Hz of wall time instead of lock-step as fast as the machine goes."
    )
    run_dir: str | None = Field(
        None, min_length=1, description="Folder of the run (default: runs/<date-time>_<task>)."
    )
    namespace: str = Field(
        "",
        pattern=r"^/?([A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*)?$",
        description="ROS namespace of all nodes, topics and services: several graphs in one domain "
        "each have one (default: the root).",
    )
    params_file: str | None = Field(
        None,
        min_length=1,
        description="ROS parameters file, whose values replace those that the graph sets itself.",
    )
    log_level: Literal["debug", "info", "warn", "error", "fatal"] | None = Field(
        None, description="Least severity that nodes log (default: ROS's own, info)."
    )
    autostart: bool = Field(
        True,
        description="false: the nodes wait unconfigured until ros2 lifecycle, or a lifecycle "
        "manager, configures and activates them.",
    )
    camera_topics: str = Field(
        "",
        description="Image topics in place of those that the robot's file names: "
        "side=/camera/color/image_raw,wrist=/hand/color/image_raw.",
    )
    camera_drivers: str = Field(
        "",
        description="Cameras that the graph reads itself, a file of config/cameras/ or the path of "
        "one by view: side=side.yaml,wrist=wrist.yaml (default: none, drivers run beside it).",
    )
    rviz: bool = Field(False, description="Open rviz beside the graph.")
    console: bool = Field(
        False, description="Serve the console: 3D view, cameras, curves and buttons in a browser."
    )
    console_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that the console listens on; one that others reach only with a token "
        f"in {TOKEN_VARIABLE}.",
    )
    console_port: int = Field(CONSOLE_PORT, ge=1, le=65535, description="Port of the console.")

    @field_validator("namespace")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        return f"/{value.strip('/')}" if value.strip("/") else ""

    @field_validator("params_file")
    @classmethod
    def _is_found_from_anywhere(cls, value: str | None) -> str | None:
        return None if value is None else str(Path(value).expanduser().absolute())

    @field_validator("camera_drivers")
    @classmethod
    def _cameras_from_any_folder(cls, value: str) -> str:
        return with_whole_paths(value)

    def budget(self, task: TaskConfig, given: int = 0) -> Budget:
        """How much a session of these options does: what was given, else the task's default.

        Args:
            task: The task.
            given: Demonstrations of a dataset.
        """
        scripted = self.operator in ("scripted", "none")
        deciding = 0.0 if scripted else DECISION_TIME
        return Budget(
            steps=task.env_steps,
            # Where nobody is there to give any, there are none.
            demos=0 if self.operator == "none" else task.demonstrations,
            eval_trials=task.eval_trials,
            given=given,
            decision_time=deciding if self.decision_time is None else self.decision_time,
        )


class PerturbedOptions(RunOptions):
    """Options of every command whose scenes may be disturbed: none that anything learns from."""

    perturb: str = Field(
        "",
        description="What disturbs the simulated scenes (docs/perturbations.md), with commas: "
        f"{', '.join(PERTURBATIONS)}.",
    )

    @field_validator("perturb")
    @classmethod
    def _in_their_order(cls, value: str) -> str:
        return ",".join(parse_perturbations(value))


class SimOptions(PerturbedOptions):
    """`expo-ft sim`: the simulated robot, cameras and operator, without policy and learner."""


class CollectOptions(RunOptions):
    """`expo-ft collect`: demonstrations only."""

    demos: int | None = Field(
        None, ge=1, le=10_000, description="Successful demonstrations (default: the task's)."
    )
    resume: str | None = Field(
        None, min_length=1, description="Go on with this run: its folder, or `latest`."
    )

    def budget(self, task: TaskConfig, given: int = 0) -> Budget:
        """As of every command, with the demonstrations asked for."""
        whole = super().budget(task, given)
        return whole if self.demos is None else replace(whole, demos=self.demos)


class TrainOptions(CollectOptions):
    """`expo-ft train`: demonstrations, imitation, evaluation, RL online, evaluation again."""

    refused: ClassVar[Mapping[str, str]] = NO_TRAINING_ON_A_SERVER

    demos: int | None = Field(
        None, ge=0, le=10_000, description="Successful demonstrations (default: the task's)."
    )
    demonstrations: str | None = Field(
        None,
        min_length=1,
        description="LeRobot dataset whose episodes are demonstrations; demos is then 0.",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description=f"Online environment steps (default: {SMALL_STEPS} with the size small, "
        f"the task's with another). Up to {SHORT_FORM_STEPS}: short form, everything smaller.",
    )

    short: bool | None = Field(
        None, description=f"Short form (default: with up to {SHORT_FORM_STEPS} steps)."
    )
    eval_trials: int | None = Field(
        None, ge=1, le=10_000, description="Trials of each evaluation (default: the task's)."
    )
    mode: Literal["sync", "async"] = Field(
        "sync", description="Learner and policy in one process (sync) or in two (async)."
    )
    ahead: int = Field(
        8,
        ge=1,
        le=1000,
        description="Online episodes by which the robot may be ahead of the learner before it "
        "waits, with mode:=async.",
    )
    learner_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the VLA's gradient steps, each on a GPU of its own where "
        "there are any (docs/pi05.md).",
    )
    algorithm: str = Field(ALGORITHM, description=f"What learns: {', '.join(ALGORITHM_NAMES)}.")
    preset: str = Field(
        PRESET, min_length=1, description="The algorithm's constants: a file of config/presets/."
    )
    size: str = Field(
        SIZE, min_length=1, description="Sizes for a machine: a file of config/sizes/, or a path."
    )

    wandb: str | None = Field(
        None,
        min_length=1,
        description="Project of Weights & Biases that the run's scalars are sent to while it goes "
        "on (needs the extra wandb; WANDB_MODE=offline keeps them in the run's folder).",
    )

    @property
    def episodes_ahead(self) -> int:
        """Online episodes by which the robot may be ahead of the learner."""
        return self.ahead if self.mode == "async" else 0

    @field_validator("demonstrations")
    @classmethod
    def _from_anywhere(cls, value: str | None) -> str | None:
        """A resumed run may be started in another folder."""
        return None if value is None else str(Path(value).expanduser().absolute())

    def budget(self, task: TaskConfig, given: int = 0) -> Budget:
        """As of every command; up to `SHORT_FORM_STEPS` the short form, unless `short` says
        otherwise. What is given explicitly is kept."""
        steps = self.steps
        if steps is None:
            steps = min(SMALL_STEPS, task.env_steps) if self.size == SIZE else task.env_steps
        short = steps <= SHORT_FORM_STEPS if self.short is None else self.short
        whole = super().budget(task, given)
        demos, trials = whole.demos, self.eval_trials
        if self.demos is None:
            # A dataset's stand for those that nobody asked for.
            demos = 0 if given else min(SHORT_DEMOS, demos) if short else demos
        if trials is None:
            trials = min(SHORT_EVAL_TRIALS, task.eval_trials) if short else task.eval_trials
        whole = replace(whole, steps=steps, demos=demos, eval_trials=trials)
        return whole.shortened() if short else whole


class RobotOptions(RunOptions):
    """`expo-ft robot`: a further robot that practises for a training, beside the training's own."""

    join: str = Field(
        "latest",
        min_length=1,
        description="The training, which runs with mode:=async: its folder, or `latest`. Task, "
        "networks and namespace are its.",
    )
    name: str = Field(
        "",
        description="The robot's name in the run, which its steps bear: its namespace in the "
        "run's, and its folder in robots/ of the run's. By the same name it comes back.",
    )


class PolicyOptions(RunOptions):
    """Options of every command that plays a trained policy."""

    checkpoint: str = Field(
        "latest", min_length=1, description="Trained run: its folder, or `latest`."
    )
    algorithm: str | None = Field(None, description="Default: the one that was trained.")
    preset: str | None = Field(None, description="Default: the one that was trained with.")
    size: str | None = Field(None, description="Default: the one that was trained with.")


class EvalOptions(PolicyOptions, PerturbedOptions):
    """`expo-ft eval`: trials of a trained policy."""

    operator: Operator = Field("none", description=f"Who corrects during the trials: {_OPERATORS}.")
    eval_trials: int | None = Field(
        None, ge=1, le=10_000, description="Trials (default: the task's)."
    )
    policy: str | None = Field(
        None,
        description="Address of a policy server in place of a trained run: ws://<host>:<port>, of "
        "openpi's protocol (docs/policy_server.md).",
    )
    keys: str = Field(
        DEFAULT_KEYS,
        min_length=1,
        description="What the policy server calls what it is sent: a file of "
        f"config/{SERVERS.folder}/, or a path.",
    )

    @field_validator("policy")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        return None if value is None else require_address(value)

    @field_validator("keys")
    @classmethod
    def _keys_from_any_folder(cls, value: str) -> str:
        return SERVERS.reference(value)

    def budget(self, task: TaskConfig, given: int = 0) -> Budget:
        """As of every command, with the trials asked for."""
        whole = super().budget(task, given)
        trials = self.eval_trials
        return whole if trials is None else replace(whole, eval_trials=trials)


class DemoOptions(PolicyOptions):
    """`expo-ft demo`: a policy that has learned, to be watched and corrected; it learns no more."""

    checkpoint: str = Field(
        DEMO_POLICY,
        min_length=1,
        validate_default=True,
        description=f"Trained run: its folder, or `latest`. {DEMO_POLICY}: the policy that comes "
        "with the package, which has learned Cube Pick in simulation.",
    )
    operator: Operator = Field("keyboard", description=f"Who may take over: {_OPERATORS}.")
    steps: int = Field(
        DEMO_STEPS, ge=1, le=10_000_000, description="Steps of the arm; Ctrl-C ends it before."
    )
    realtime: bool = Field(True, description="10 Hz of wall time, as a robot has it.")
    console: bool = Field(
        True, description="Serve the console: 3D view, cameras, curves and buttons in a browser."
    )

    @field_validator("checkpoint")
    @classmethod
    def _of_the_package(cls, value: str) -> str:
        file = config_dir() / "demo" / "cube_pick.safetensors"
        return str(file) if value == DEMO_POLICY else value

    def budget(self, task: TaskConfig, given: int = 0) -> Budget:
        """As of every command, with the steps asked for."""
        return replace(super().budget(task, given), steps=self.steps)
