# SPDX-License-Identifier: Apache-2.0
"""All that a run needs, checked before there is a folder or a process; then its folder.

The command line and the launch files both begin here, so that what is wrong is said in the same
line for either. The order is that of who can mend it: first the arguments and what they name,
then this machine, last what is shared with other graphs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.devices.leader_config import LEADER
from expo_ft_ros.experiment.arguments import make_options, read_arguments
from expo_ft_ros.experiment.brought_up import bringup_notes, copy_record
from expo_ft_ros.experiment.budget import Budget
from expo_ft_ros.experiment.environment import (
    claim_domain,
    find_rviz,
    require_environment,
    require_package,
    require_robot_packages,
    require_room_on_disk,
    require_spacenav_library,
    require_wandb,
)
from expo_ft_ros.experiment.joined import recorded_files, robot_folder
from expo_ft_ros.experiment.joining import join_run
from expo_ft_ros.experiment.motion import OFF, confirm_motion, target_of, with_motion
from expo_ft_ros.experiment.options import (
    DemoOptions,
    EvalOptions,
    PolicyOptions,
    RobotOptions,
    RunOptions,
    SimOptions,
    TrainOptions,
)
from expo_ft_ros.experiment.progress import SUMMARY_FILE, finite
from expo_ft_ros.experiment.progress_line import ProgressLine, counted
from expo_ft_ros.experiment.run_files import WallClock, load_progress
from expo_ft_ros.experiment.run_folder import (
    CONFIG_FILE,
    RunFinished,
    find_run,
    limits_of,
    lock_folder,
    make_folder,
    new_folder,
    read_config,
    runs_dir,
    view_names_of,
    write_config,
)
from expo_ft_ros.experiment.stages import RUN_KINDS, Session, SessionConfig, SessionError
from expo_ft_ros.experiment.weights import Weights, weights_to_evaluate, weights_to_go_on_with
from expo_ft_ros.monitor.address import require_openable_console
from expo_ft_ros.rl.config import load_preset, require_room
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.config import SIM
from expo_ft_ros.robots.joint_group_config import PINOCCHIO
from expo_ft_ros.tasks import TASKS, TaskConfig, load_task

Options = TypeVar("Options", bound=RunOptions)

_STEP_BYTES = 50_000  # of an episode's file: about four times what the simulation's take
_CHECKPOINT_BYTES = 300_000_000  # three of a small agent, and one that is being written
_LOG_BYTES = 20_000_000
_TINY = 8  # [px] the images aren't looked at


@dataclass(frozen=True)
class Prepared(Generic[Options]):
    """What the arguments ask for, found to be possible; nothing is made yet.

    Attributes:
        options: As typed, over those of a run that goes on.
        task: The task.
        budget: How much is done.
        path: Where the run lies, or is to lie.
        resumed: Whether it goes on from an earlier start.
        weights: What it begins with; None: what is drawn from its seed.
    """

    options: Options
    task: TaskConfig
    budget: Budget
    path: Path
    resumed: bool
    weights: Weights | None

    @property
    def domain_folder(self) -> Path:
        """Folder of the run from which the ROS domain follows with `EXPO_FT_ISOLATE=1`."""
        return Path(self.options.join) if isinstance(self.options, RobotOptions) else self.path


@dataclass(frozen=True)
class Run(Prepared[Options]):
    """An opened run; its locks are held until `close`, or as long as the object lives.

    Attributes:
        locks: One runner in one folder, one graph in one domain.
    """

    locks: ExitStack

    @property
    def notes(self) -> list[str]:
        """What the operator is told as it begins, a line each."""
        told = [f"Run: {self.path}"]
        robot = load_robot(self.options.robot)
        if self.options.motion == OFF:
            told.append(f"Motion: off. {robot.name} is commanded to stand, and no episode counts")
        elif robot.adapter != SIM:
            told.append(f"Motion: on. {target_of(self.options, robot)} moves")
        told += bringup_notes(self.options, runs_dir())
        if isinstance(self.options, EvalOptions) and self.options.policy is not None:
            told.append(f"Policy: of the server {self.options.policy} (keys:={self.options.keys})")
        return told + (self.weights.notes if self.weights else [])

    def close(self) -> None:
        """Gives folder and domain back."""
        self.locks.close()


def open_run(command: str, arguments: Sequence[str], model: type[Options]) -> Run[Options]:
    """Checks all that a run needs, then makes its folder, or takes up the one of `resume:=`.

    A resumed run keeps its options, except for those given now; its task can't change.

    Args:
        command: The CLI's command, kept in config.yaml.
        arguments: `name:=value`, as typed.
        model: The command's options.

    Raises:
        ConfigError: in one line that names thing, value, place and remedy; there is no new folder
            then, and a run that was to go on is as it was.
        RunFinished: when there is nothing left to go on with; the run is as it was.
    """
    prepared = prepare_run(command, arguments, model)
    check_machine(prepared)
    with ExitStack() as locks:
        if prepared.resumed:
            # First: its own graph may hold the domain and the console.
            locks.enter_context(lock_folder(prepared.path))
        locks.enter_context(claim_domain(prepared.domain_folder, prepared.options.namespace))
        if prepared.options.console:
            require_openable_console(prepared.options.console_host, prepared.options.console_port)
        # Last: nobody is asked for what then isn't possible.
        remember = confirm_motion(prepared.options, runs_dir())
        if prepared.resumed:
            (prepared.path / SUMMARY_FILE).unlink(missing_ok=True)
        else:
            make_folder(prepared.path)
            locks.enter_context(lock_folder(prepared.path))
        write_config(prepared.path, command, prepared.options, prepared.task, prepared.budget)
        copy_record(prepared.options, runs_dir(), prepared.path)
        remember()
        held = locks.pop_all()
    return Run(**vars(prepared), locks=held)


def prepare_run(command: str, arguments: Sequence[str], model: type[Options]) -> Prepared[Options]:
    """Checks the arguments and what they name: task, robot, dataset, checkpoint, run.

    Args:
        command: The CLI's command.
        arguments: `name:=value`, as typed.
        model: The command's options.

    Raises:
        ConfigError: for the first that is wrong.
        RunFinished: when there is nothing left to go on with.
    """
    typed = read_arguments(arguments, model)
    options, path, resumed = _options_and_folder(command, typed, model)
    options = with_motion(options, runs_dir())
    task = load_task(options.task)
    weights = None
    if isinstance(options, EvalOptions) and options.policy is not None:
        _require_server(options, options.policy, task)
    elif isinstance(options, PolicyOptions):
        weights = weights_to_evaluate(options)
    elif isinstance(options, TrainOptions) and resumed:
        weights = weights_to_go_on_with(path, options)
    if weights is not None:
        load_preset(weights.preset, weights.size)
    episodes, frames = _given(options, task)
    budget = options.budget(task, episodes)
    if isinstance(options, TrainOptions):
        config = load_preset(options.preset, options.size)
        require_room(config, budget.steps, budget.demos, task.max_steps, frames)
        if options.learner_processes > 1:
            # Seconds of imports, for whom it is asked.
            from expo_ft_ros.rl.gradient_processes import require_processes

            require_processes(config, options.learner_processes)
    prepared = Prepared(options, task, budget, path, resumed, weights)
    if resumed:
        _require_books(prepared, command)
        if _is_finished(path, options, budget):
            raise RunFinished(path)
        if isinstance(options, TrainOptions):
            _require_episodes(path)
    return prepared


def _options_and_folder(
    command: str, typed: Mapping[str, str], model: type[Options]
) -> tuple[Options, Path, bool]:
    """The options, the run's folder, and whether it goes on there from an earlier start."""
    if issubclass(model, RobotOptions):
        joining = join_run(typed, model)
        path = robot_folder(Path(joining.join), joining.name)
        return joining, path, (path / CONFIG_FILE).is_file()
    source = typed.get("resume")
    if source is None:
        options = make_options(typed, model)
        return options, new_folder(options), False
    path = find_run(source, command, option="resume")
    return _resumed(path, command, typed, model), path, True


def check_machine(prepared: Prepared[Any]) -> None:
    """Checks what this machine must have for it: ROS, renderer, programs, room on the disk.

    Args:
        prepared: What is to be started.

    Raises:
        ConfigError: for the first that is missing.
    """
    options = prepared.options
    require_environment()
    require_robot_packages(load_robot(options.robot))
    _choose_renderer()
    if options.rviz:
        find_rviz()
    if isinstance(options, TrainOptions) and options.wandb is not None:
        require_wandb(options.wandb)
    if options.operator == "spacemouse" and options.spacemouse == "libspnav":
        require_spacenav_library()
    if options.operator == LEADER:
        require_package("operator:=leader", *PINOCCHIO)
    require_room_on_disk(prepared.path, _bytes_needed(prepared))


def _choose_renderer() -> None:
    from expo_ft_ros.sim.gl import choose_gl

    choose_gl()


def _bytes_needed(prepared: Prepared[Any]) -> int:
    if isinstance(prepared.options, SimOptions):
        return _LOG_BYTES
    budget, longest = prepared.budget, prepared.task.max_steps
    steps = budget.demos * longest
    if isinstance(prepared.options, EvalOptions):
        steps = budget.eval_trials * longest
    if isinstance(prepared.options, DemoOptions | RobotOptions):
        steps = budget.steps
    if isinstance(prepared.options, TrainOptions):
        steps += budget.steps + 2 * budget.eval_trials * longest
    learned = _CHECKPOINT_BYTES if isinstance(prepared.options, TrainOptions) else 0
    return steps * _STEP_BYTES + learned + _LOG_BYTES


def _given(options: RunOptions, task: TaskConfig) -> tuple[int, int]:
    """How many episodes and frames the dataset has that is named; all of it is checked."""
    if not isinstance(options, TrainOptions) or options.demonstrations is None:
        return 0, 0
    from expo_ft_ros.recording.lerobot import DatasetError, check_dataset

    try:
        robot, folder = load_robot(options.robot), Path(options.demonstrations)
        limits = robot.limits.model_dump(mode="json")
        with ProgressLine("demonstrations checked") as line:
            size = check_dataset(folder, task.control_hz, robot.view_names, limits, line.tell)
        return size.episodes, size.frames
    except (DatasetError, OSError) as error:
        raise ConfigError(f"demonstrations:={error}") from None


def _require_server(options: EvalOptions, address: str, task: TaskConfig) -> None:
    """The policy server is there, and answers with what this task and robot take."""
    from expo_ft_ros.serving.client import PolicyServerError
    from expo_ft_ros.serving.config import load_server_config
    from expo_ft_ros.serving.remote_policy import RemotePolicy

    config = load_server_config(options.keys)
    policy = RemotePolicy(address, config, task, load_robot(options.robot))
    try:
        policy.open()
    except PolicyServerError as error:
        what = str(error).removeprefix(f"policy server {address}: ")
        raise ConfigError(f"policy:={address}: {what}") from error
    finally:
        policy.close()


def _require_books(prepared: Prepared[Any], command: str) -> None:
    """Checks that the session can go on where an earlier start of the run was."""
    options, budget = prepared.options, prepared.budget
    config = SessionConfig(
        stages=RUN_KINDS[command].stages,
        demos=budget.demos,
        given=budget.given,
        eval_trials=budget.eval_trials,
        rl_steps=None if isinstance(options, RobotOptions) else budget.steps,
        max_steps=prepared.task.max_steps,
        seed=options.seed,
        operator=options.operator,
    )
    try:
        load_progress(prepared.path, Session(config), WallClock())
    except SessionError as error:
        raise ConfigError(f"resume:={error}") from None


def _require_episodes(path: Path) -> None:
    """Checks that replay can be rebuilt from what the run has recorded."""
    from expo_ft_ros.recording.episode_store import load_episode

    try:
        with counted(recorded_files(path), "recorded episodes checked") as paths:
            for file in paths:
                load_episode(file, _TINY)
    except (OSError, ValueError) as error:
        raise ConfigError(f"resume:={error}") from None


def _is_finished(path: Path, options: RunOptions, budget: Budget) -> bool:
    """Whether a run has ended and isn't asked for more."""
    if isinstance(options, RobotOptions) or not (path / SUMMARY_FILE).is_file():
        return False
    done = read_config(path).get("budget")
    names = ("steps", "eval_trials") if isinstance(options, TrainOptions) else ("demos",)
    if not isinstance(done, dict):
        return True
    return all(
        getattr(budget, name) <= number
        for name in names
        if isinstance(number := done.get(name), int)
    )


def _resumed(path: Path, command: str, typed: Mapping[str, Any], model: type[Options]) -> Options:
    """The run's options, with those given now on top."""
    before = read_config(path)
    if before.get("command") != command:
        raise ConfigError(
            f"resume:={path}: is a run of `expo-ft {before.get('command')}`, "
            f"not of `expo-ft {command}`"
        )
    if "run_dir" in typed:
        raise ConfigError(
            f"run_dir:={typed['run_dir']}: a resumed run stays in its folder (leave run_dir out)"
        )
    task = before["options"].get("task", typed.get("task"))
    if "task" in typed and TASKS.reference(typed["task"]) != task:
        raise ConfigError(
            f"task:={typed['task']}: {path.name} is a run of {task} "
            "(leave task out, or start a new run)"
        )
    try:
        options = make_options({**before["options"], **typed}, model)
    except ConfigError as error:
        raise ConfigError(f"resume:={path}: {error}") from None
    _require_same_robot(path, options)
    _require_same_rate(path, before.get("task"), load_task(options.task))
    return options


def _require_same_rate(path: Path, before: object, task: TaskConfig) -> None:
    """A step lasts equally long in all of a run."""
    then = finite(before.get("control_hz")) if isinstance(before, dict) else None
    if then is not None and then != task.control_hz:
        raise ConfigError(
            f"resume:={path}: it was recorded at {then:g} Hz, {task.file} says control_hz "
            f"{task.control_hz:g} (write {then:g} there, or start a new run)"
        )


def _require_same_robot(path: Path, options: RunOptions) -> None:
    """An action of 1 means the same velocity in all of a run, and views have the same names."""
    robot = load_robot(options.robot)
    for name, old, new in (
        ("limits", limits_of(path), robot.limits.model_dump(mode="json")),
        ("views", list(view_names_of(path)), list(robot.view_names)),
    ):
        if old and old != new:
            raise ConfigError(
                f"resume:={path}: its robot had {name} {old}, robot:={options.robot} has {new} (go "
                "on with that robot, or start a new run)"
            )
