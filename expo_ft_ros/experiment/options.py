"""What a person may say on the command line or in a launch file, and the budget that follows.

Every option's name, default, range and description is a field here and nowhere else: the CLI's help
and the launch files' arguments are made from them.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import Operator
from expo_ft_ros.experiment.environment import find_rviz
from expo_ft_ros.monitor.address import CONSOLE_PORT, TOKEN_VARIABLE
from expo_ft_ros.rl.config import ALGORITHM, ALGORITHM_NAMES, PRESET, SIZE, known_names
from expo_ft_ros.robots import DEFAULT_ROBOT, known_robots, load_robot
from expo_ft_ros.robots.registry import FOLDERS_VARIABLE, is_path
from expo_ft_ros.tasks import TaskConfig, load_task

SHORT_FORM_STEPS = 500
"""Up to so many online steps a run is a short form: see `budget`."""

OPERATOR_RATE, OPERATOR_SHARE = 0.7, 0.5
"""Where every failure is mended nothing that is learned from shows one (docs/experiments.md)."""

DECISION_TIME = 2.0
"""For a person to overrule the classifier in [s]; see `RunOptions.decision_time`."""

_OPERATORS = ", ".join(get_args(Operator))
_SHORT_DEMOS = 5
_SHORT_EVAL_TRIALS = 6
_SHORT_IMITATION_SCALE = 0.25
_SHORT_WARMUP_EPISODES = 1
_SMALL_STEPS = 2500


class TaskOptions(BaseModel):
    """Options of every command about a task."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str = Field("cube_pick", min_length=1, description="Task: a file of config/tasks/.")


class RunOptions(TaskOptions):
    """Options of every command that starts the graph."""

    robot: str = Field(
        DEFAULT_ROBOT,
        min_length=1,
        description="Robot that the graph drives: a file of config/robots/ or of a folder in "
        f"{FOLDERS_VARIABLE}, or the path of one.",
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
    scene_reset: Literal["automatic", "asked", "scripted", "person"] = Field(
        "automatic",
        description="asked: where the classifier finds the scene in need of a person (too few "
        "candies left, say), and after a stop, the next episode waits for /reset_episode. "
        "scripted: the same, and the arm resets the scene by the task's reset_script. person: each "
        "time, for a robot without a reset of its own.",
    )
    decision_time: float | None = Field(
        None,
        ge=0.0,
        le=60.0,
        description="How long a person may overrule how an episode has ended before it is "
        f"committed [s] (default: {DECISION_TIME:g} when a person corrects, else 0).",
    )
    realtime: bool = Field(
        False, description="10 Hz of wall time instead of lock-step as fast as the machine goes."
    )
    run_dir: str | None = Field(
        None, min_length=1, description="Folder of the run (default: runs/<date-time>_<task>)."
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

    @field_validator("robot")
    @classmethod
    def _from_any_folder(cls, value: str) -> str:
        """A resumed run may be started in another folder."""
        return str(Path(value).expanduser().absolute()) if is_path(value) else value


class SimOptions(RunOptions):
    """`expo-ft sim`: the simulated robot, cameras and operator, without policy and learner."""


class CollectOptions(RunOptions):
    """`expo-ft collect`: demonstrations only."""

    demos: int | None = Field(
        None, ge=1, le=10_000, description="Successful demonstrations (default: the task's)."
    )
    resume: str | None = Field(
        None, min_length=1, description="Go on with this run: its folder, or `latest`."
    )


class TrainOptions(CollectOptions):
    """`expo-ft train`: demonstrations, imitation, evaluation, RL online, evaluation again."""

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
        description=f"Online environment steps (default: {_SMALL_STEPS} with the size small, "
        f"the task's with another). Up to {SHORT_FORM_STEPS}: short form, everything smaller.",
    )

    @field_validator("demonstrations")
    @classmethod
    def _from_anywhere(cls, value: str | None) -> str | None:
        """A resumed run may be started in another folder."""
        return None if value is None else str(Path(value).expanduser().absolute())

    short: bool | None = Field(
        None, description=f"Short form (default: with up to {SHORT_FORM_STEPS} steps)."
    )
    eval_trials: int | None = Field(
        None, ge=1, le=10_000, description="Trials of each evaluation (default: the task's)."
    )
    mode: Literal["sync", "async"] = Field(
        "sync", description="Learner and policy in one process (sync) or in two (async)."
    )
    algorithm: str = Field(ALGORITHM, description=f"What learns: {', '.join(ALGORITHM_NAMES)}.")
    preset: str = Field(
        PRESET, min_length=1, description="The algorithm's constants: a file of config/presets/."
    )
    size: str = Field(
        SIZE, min_length=1, description="Sizes for a machine: a file of config/sizes/."
    )


class EvalOptions(RunOptions):
    """`expo-ft eval`: trials of a trained policy."""

    checkpoint: str = Field(
        "latest", min_length=1, description="Trained run: its folder, or `latest`."
    )
    operator: Operator = Field("none", description=f"Who corrects during the trials: {_OPERATORS}.")
    eval_trials: int | None = Field(
        None, ge=1, le=10_000, description="Trials (default: the task's)."
    )
    algorithm: str | None = Field(None, description="Default: the one that was trained.")
    preset: str | None = Field(None, description="Default: the one that was trained with.")
    size: str | None = Field(None, description="Default: the one that was trained with.")


class CoreOptions(TaskOptions):
    """`expo-ft bench core`: what a learner's step costs."""

    size: str = Field(SIZE, description="Sizes for a machine: a file of config/sizes/.")


class LearnOptions(TaskOptions):
    """`expo-ft bench learn`: whole runs in one process, without ROS."""

    algorithm: str = Field(ALGORITHM, description=f"What learns: {', '.join(ALGORITHM_NAMES)}.")
    preset: str = Field(PRESET, description="The algorithm's constants: a file of config/presets/.")
    size: str = Field(SIZE, description="Sizes for a machine: a file of config/sizes/.")
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
        description="Share of the online episodes in which he helps at all; 0: no corrections.",
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


Options = TypeVar("Options", bound=TaskOptions)


@dataclass(frozen=True)
class Budget:
    """How much of everything a session does.

    Attributes:
        steps: Online environment steps.
        demos: Successful demonstrations before imitation.
        eval_trials: Trials of each evaluation.
        given: Demonstrations of a dataset.
        imitation_scale: Share of the preset's imitation updates, in (0, 1].
        warmup_episodes: Online episodes before the first update; -1 means the preset's.
        short: Whether it is a short form.
        decision_time: For a person to overrule how an episode has ended [s].
    """

    steps: int
    demos: int
    eval_trials: int
    imitation_scale: float = 1.0
    warmup_episodes: int = -1
    short: bool = False
    given: int = 0
    decision_time: float = 0.0


def budget(options: RunOptions, task: TaskConfig) -> Budget:
    """The budget of a run: what was given, else the default of preset and task.

    With `steps` up to `SHORT_FORM_STEPS` it is a short form: a look at the whole way that ends in
    minutes on two cores. Then demonstrations, trials, imitation updates and warm-up default to
    small numbers, too; what is given explicitly is kept. Its success rates mean little.
    """
    steps = getattr(options, "steps", None)
    demos = getattr(options, "demos", None)
    trials = getattr(options, "eval_trials", None)
    if steps is None:
        small = getattr(options, "size", SIZE) == SIZE
        steps = min(_SMALL_STEPS, task.env_steps) if small else task.env_steps
    short = False
    if isinstance(options, TrainOptions):
        short = steps <= SHORT_FORM_STEPS if options.short is None else options.short
    dataset = getattr(options, "demonstrations", None)
    given = _check_dataset(dataset, task) if dataset else 0
    if demos is None and (given or options.operator == "none"):
        # There are some already, or nobody is there to give any.
        demos = 0
    elif demos is None:
        demos = min(_SHORT_DEMOS, task.demonstrations) if short else task.demonstrations
    if trials is None:
        trials = min(_SHORT_EVAL_TRIALS, task.eval_trials) if short else task.eval_trials
    decision_time = options.decision_time
    if decision_time is None:
        decision_time = 0.0 if options.operator in ("scripted", "none") else DECISION_TIME
    whole = Budget(steps, demos, trials, given=given, decision_time=decision_time)
    if not short:
        return whole
    return replace(
        whole,
        short=True,
        imitation_scale=_SHORT_IMITATION_SCALE,
        warmup_episodes=_SHORT_WARMUP_EPISODES,
    )


def _check_dataset(folder: str, task: TaskConfig) -> int:
    """Number of its episodes."""
    from expo_ft_ros.recording.lerobot import DatasetError, check_dataset

    try:
        return check_dataset(Path(folder), task.control_hz).episodes
    except (DatasetError, OSError) as error:
        raise ConfigError(f"demonstrations:={error}") from None


def parse_arguments(
    arguments: Sequence[str], model: type[Options], base: Options | None = None
) -> Options:
    """Options from `name:=value` arguments, or `--name value`; an empty value means the default.

    Args:
        arguments: As typed.
        model: Which command's options.
        base: Options to start from (a run that goes on); what is typed wins.

    Raises:
        ConfigError: in one line, for an argument of another form, an unknown name (with the nearest
            known one), a name given twice, or a value out of range.
    """
    given: dict[str, Any] = {}
    for argument in _as_in_launch(arguments):
        name, separator, value = argument.partition(":=")
        if not separator:
            raise ConfigError(_bad_form(argument, model))
        if name not in model.model_fields:
            raise ConfigError(_unknown(name, model))
        if name in given:
            raise ConfigError(f"{name}: given twice, {given[name]!r} and {value!r} (keep one)")
        given[name] = value
    typed = {name: value for name, value in given.items() if value != ""}
    if base is not None:
        typed = {**base.model_dump(exclude_unset=True), **typed}
    return make_options(typed, model)


def _as_in_launch(arguments: Sequence[str]) -> Iterator[str]:
    """`--name value` and `--name=value` as `name:=value`; anything else as it is."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("--") or ":=" in argument:
            yield argument
            continue
        name, separator, value = argument.removeprefix("--").partition("=")
        if not separator:
            value = next(rest, "")
            if value.startswith("--") or not value:
                raise ConfigError(f"{argument}: needs a value after it")
        yield f"{name.replace('-', '_')}:={value}"


def make_options(values: dict[str, Any], model: type[Options]) -> Options:
    """Options from a mapping; the task must exist.

    Raises:
        ConfigError: in one line, for the first unknown name or wrong value.
    """
    for name in values:
        if name not in model.model_fields:
            raise ConfigError(_unknown(name, model))
    try:
        options = model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "options"
        message = first["msg"].removeprefix("Value error, ")
        text = model.model_fields[name].description if name in model.model_fields else ""
        raise ConfigError(f"{name}:={first['input']}: {message} ({text})") from None
    try:
        task = load_task(options.task)
    except ConfigError as error:
        raise ConfigError(f"task:={options.task}: {error}") from None
    _require_demonstrator(options)
    if isinstance(options, RunOptions):
        _require_fit(options, task)
        _require_possible_reset(options, task)
    _require_known(options, "algorithm", ALGORITHM_NAMES)
    _require_known(options, "preset", known_names("presets"))
    _require_known(options, "size", known_names("sizes"))
    if isinstance(options, RunOptions) and options.rviz:
        find_rviz()
    return options


def describe(model: type[TaskOptions]) -> list[tuple[str, str, str]]:
    """Each option of a command as (name, default as typed, description)."""
    rows = []
    for name, field in model.model_fields.items():
        default = field.default
        shown = "" if default is None else str(default)
        if isinstance(default, bool):
            shown = shown.lower()
        text = field.description or ""
        if name == "robot":
            text += f" Known: {', '.join(known_robots())}."
        rows.append((name, shown, text))
    return rows


def _require_demonstrator(options: TaskOptions) -> None:
    if not isinstance(options, CollectOptions) or options.operator != "none":
        return
    if options.demos or not isinstance(options, TrainOptions):
        raise ConfigError(
            "operator:=none: nobody is there to give demonstrations "
            "(name an operator; expo-ft train also takes demos:=0)"
        )


def _require_possible_reset(options: RunOptions, task: TaskConfig) -> None:
    if options.scene_reset in ("scripted", "person") and not options.realtime:
        raise ConfigError(
            f"scene_reset:={options.scene_reset}: takes time between episodes, of which lock-step "
            "has none (add realtime:=true, or take scene_reset:=asked)"
        )
    if options.scene_reset == "scripted" and not task.reset_script:
        raise ConfigError(
            f"scene_reset:=scripted: config/tasks/{task.name}.yaml has no reset_script (write one)"
        )


def _require_fit(options: RunOptions, task: TaskConfig) -> None:
    """Raises ConfigError for a robot that can't do the task, or not in this way."""
    try:
        robot = load_robot(options.robot)
    except ConfigError as error:
        raise ConfigError(f"robot:={options.robot}: {error}") from None
    robot.require_reach(task.workspace, f"task:={task.name}: config/tasks/{task.name}.yaml")
    can = robot.capabilities
    if not can.lockstep and not options.realtime:
        raise ConfigError(
            f"robot:={options.robot}: has no clock of its own to wait with, which lock-step needs "
            "(add realtime:=true)"
        )
    if not can.knows_objects and options.operator == "scripted":
        raise ConfigError(
            f"operator:=scripted: needs to be told where each object is, which robot:="
            f"{options.robot} can't (take operator:=spacemouse, gamepad, keyboard or none)"
        )
    if not can.resets_scene and options.scene_reset in ("automatic", "asked"):
        raise ConfigError(
            f"scene_reset:={options.scene_reset}: needs a robot that puts the scene in place, "
            f"which robot:={options.robot} can't (take scene_reset:=person, or scripted where the "
            "task has a reset_script)"
        )


def _require_known(options: TaskOptions, option: str, known: Sequence[str]) -> None:
    name = getattr(options, option, None)
    if name is not None and name not in known:
        raise ConfigError(
            f"{option}:={name}: no such {option} (known: {', '.join(known) or 'none'})"
        )


def _unknown(name: str, model: type[TaskOptions]) -> str:
    near = difflib.get_close_matches(name, model.model_fields, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown option {name!r} ({hint}known: {', '.join(sorted(model.model_fields))})"


def _bad_form(argument: str, model: type[TaskOptions]) -> str:
    name, separator, value = argument.lstrip("-").partition("=")
    if separator and name in model.model_fields:
        return f"{argument!r} is no option (write {name}:={value})"
    if name in model.model_fields:
        return f"{argument!r} is no option (write {name}:=<value>)"
    return f"{argument!r} is no option (options are written name:=value, as in ros2 launch)"
