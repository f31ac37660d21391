# SPDX-License-Identifier: Apache-2.0
"""Which options go together: with each other, the task and the robot."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.perturbations import parse_perturbations
from expo_ft_ros.devices.cameras.by_view import cameras_of
from expo_ft_ros.devices.drivers import DRIVERS
from expo_ft_ros.devices.leader_config import LEADER, LeaderConfig, require_base_axes
from expo_ft_ros.devices.teleop import CONFIG_FILES, TeleopConfig
from expo_ft_ros.devices.view_frame import require_frame
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.motion import require_possible_motion
from expo_ft_ros.experiment.options import (
    CollectOptions,
    EvalOptions,
    PerturbedOptions,
    RunOptions,
    SimOptions,
    TaskOptions,
    TrainOptions,
)
from expo_ft_ros.rl.config import ALGORITHM_NAMES, PRESET, load_preset
from expo_ft_ros.rl.preset_files import known_names
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.robots.by_view import by_view
from expo_ft_ros.robots.config import EXTERNAL, SIM, TOPIC_PATTERN
from expo_ft_ros.robots.fci_config import require_pylibfranka
from expo_ft_ros.serving.config import LONGEST_ANSWER, load_server_config
from expo_ft_ros.tasks import TaskConfig, find_part, load_task

_WHO_MOVES = ("motion", "robot", "robot_ip", "scene_reset")
"""Parameters that say what moves, and whether: a run's own alone."""


def check_options(options: TaskOptions) -> None:
    """Checks what can be checked of options without a look at the machine.

    Raises:
        ConfigError: in one line, for a task, robot, algorithm, preset or size that isn't there, and
            for options that exclude each other.
    """
    try:
        task = load_task(options.task)
    except ConfigError as error:
        raise ConfigError(f"task:={options.task}: {error}") from None
    _require_demonstrator(options)
    if isinstance(options, TrainOptions) and not _is_default(options, "ahead"):
        _require_async(options)
    if isinstance(options, RunOptions):
        _require_fit(options, task)
        _require_possible_reset(options, task)
        if isinstance(options, PerturbedOptions) and options.perturb:
            _require_perturbable(options, task)
        _require_judge(options, task)
        camera_topics(options)
        _require_cameras(options)
        _require_deadlines(options, task)
        if (driver := DRIVERS.get(options.operator)) is not None:
            frame = TeleopConfig.load(device=driver.device).frame
            require_frame(frame, load_robot(options.robot), CONFIG_FILES[driver.device])
        if options.operator == LEADER:
            require_base_axes(TeleopConfig.load(device=LEADER))
            LeaderConfig.load().require_stable(task.period)
        require_possible_motion(options)
        _require_parameters(options.params_file)
        if isinstance(options, EvalOptions):
            _require_server_options(options)
    elif isinstance(options, LearnOptions):
        _require_simulated(options, task)
        _require_judge(options, task)
    _require_known(options, "algorithm", ALGORITHM_NAMES)
    _require_known(options, "preset", known_names("presets"))
    _require_size(options)


def camera_topics(options: RunOptions) -> Mapping[str, str]:
    """View -> image topic, of those that `camera_topics:=` names.

    Raises:
        ConfigError: for a view that the robot hasn't, or what is no topic.
    """
    robot = load_robot(options.robot)
    option = f"camera_topics:={options.camera_topics}"
    found = by_view(option, options.robot, robot.view_names, "<topic>", TOPIC_PATTERN)
    _require_own_topics(options, {**{view.name: view.topic for view in robot.views}, **found})
    return found


def _require_cameras(options: RunOptions) -> None:
    """What the graph reads itself are cameras of a robot that is real, and can be read."""
    if not options.camera_drivers:
        return
    robot = load_robot(options.robot)
    if robot.adapter == SIM:
        raise ConfigError(
            f"camera_drivers:={options.camera_drivers}: robot:={options.robot} is simulated, and "
            "its images with it (leave camera_drivers out)"
        )
    for view, camera in cameras_of(options.camera_drivers, robot).items():
        try:
            camera.require_package()
        except ConfigError as error:
            raise ConfigError(f"camera_drivers:=...: {view}: {error}") from None


def _require_own_topics(options: RunOptions, topics: Mapping[str, str]) -> None:
    """Two views aren't one camera. A leading / makes no other topic in the root namespace."""
    seen: dict[str, str] = {}
    for view, topic in topics.items():
        other = seen.setdefault(topic.lstrip("/"), view)
        if other != view:
            raise ConfigError(
                f"camera_topics:={options.camera_topics}: {topic} would be both {other} and {view} "
                "(give each view a topic of its own)"
            )


def _require_deadlines(options: RunOptions, task: TaskConfig) -> None:
    """What stops the arm is known, and a punctual policy and camera don't."""
    safety = SafetyConfig.load()
    if not options.realtime:
        return
    safety.require_time_for_chunks(task.name, task.period * task.execute_steps)
    robot, deadline = load_robot(options.robot), safety.deadlines["proprio"]
    if robot.following.state_timeout < deadline:
        raise ConfigError(
            f"robot:={options.robot}: following.state_timeout: {robot.following.state_timeout:g} s "
            f"is less than deadlines.proprio, {deadline:g} s of config/safety.yaml: the arm would "
            "stand where the graph takes it to move (make it at least that)"
        )
    for view in robot.views:
        try:
            safety.require_images_in_time(view.name, view.rate)
        except ConfigError as error:
            raise ConfigError(f"robot:={options.robot}: {error}") from None


def _require_parameters(path: str | None) -> None:
    if path is None:
        return
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        cause = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigError(f"params_file:={path}: can't be read: {cause}") from None
    if not _has_parameters(content):
        raise ConfigError(
            f"params_file:={path}: no ROS parameters file (write <node>: {{ros__parameters: "
            "{<name>: <value>}}, /** for every node)"
        )
    for name in sorted(_parameters(content).intersection(_WHO_MOVES)):
        raise ConfigError(
            f"params_file:={path}: sets {name}: what moves, and whether, is checked before the run "
            f"begins (leave it out there, and write {name}:=)"
        )


def _has_parameters(content: object) -> bool:
    """Whether each branch of nodes and namespaces ends in parameters."""
    if not isinstance(content, dict) or not content:
        return False
    return all(
        isinstance(value, dict) if name == "ros__parameters" else _has_parameters(value)
        for name, value in content.items()
    )


def _parameters(content: object) -> set[str]:
    """Names of all parameters of a file that is one, of whatever node."""
    if not isinstance(content, dict):
        return set()
    found = set[str]()
    for name, value in content.items():
        found |= set(map(str, value)) if name == "ros__parameters" else _parameters(value)
    return found


def _require_demonstrator(options: TaskOptions) -> None:
    if not isinstance(options, CollectOptions) or options.operator != "none":
        return
    if options.demos or not isinstance(options, TrainOptions):
        raise ConfigError(
            "operator:=none: nobody is there to give demonstrations "
            "(name an operator; expo-ft train also takes demos:=0)"
        )


def _require_judge(options: RunOptions | LearnOptions, task: TaskConfig) -> None:
    """Where the operator's word is the classifier, somebody is there to give it."""
    from expo_ft_ros.tasks.classifiers import needs_operator

    if isinstance(options, SimOptions) or not needs_operator(task):
        return
    if not isinstance(options, RunOptions):
        raise ConfigError(
            f"task:={task.name}: {task.file} leaves success to the operator, whom a run in one "
            "process hasn't (name another classifier)"
        )
    if not options.console:
        raise ConfigError(
            f"console:=false: {task.file} leaves success to the operator, who marks it there: no "
            "device has a button for it (add console:=true)"
        )


def _require_possible_reset(options: RunOptions, task: TaskConfig) -> None:
    if options.scene_reset in ("scripted", "operator") and not options.realtime:
        raise ConfigError(
            f"scene_reset:={options.scene_reset}: takes time between episodes, of which lock-step "
            "has none (add realtime:=true, or take scene_reset:=asked)"
        )
    if options.scene_reset == "scripted" and not task.reset_script:
        raise ConfigError(f"scene_reset:=scripted: {task.file} has no reset_script (write one)")


def _require_perturbable(options: PerturbedOptions, task: TaskConfig) -> None:
    """The robot is simulated, and the scene has what is to be disturbed."""
    if load_robot(options.robot).adapter != SIM:
        raise ConfigError(
            f"perturb:={options.perturb}: disturbs a simulated scene, which robot:={options.robot} "
            "hasn't (leave perturb out, and do it by hand)"
        )
    # A second of imports, for whom it is asked.
    from expo_ft_ros.sim.perturbations import require_perturbable
    from expo_ft_ros.tasks.scenes import make_scene

    try:
        require_perturbable(make_scene(task), parse_perturbations(options.perturb))
    except ConfigError as error:
        raise ConfigError(
            f"perturb:={options.perturb}: task:={task.name}: {error} (leave it out)"
        ) from None


def _robot_for(task: TaskConfig, name: str) -> RobotConfig:
    """The robot; raises ConfigError for one that isn't there, or doesn't reach the task."""
    try:
        robot = load_robot(name)
    except ConfigError as error:
        raise ConfigError(f"robot:={name}: {error}") from None
    robot.require_reach(task.workspace, f"task:={task.name}: {task.file}")
    return robot


def _require_simulated(options: LearnOptions, task: TaskConfig) -> None:
    robot = _robot_for(task, options.robot)
    if robot.adapter != SIM:
        raise ConfigError(
            f"robot:={options.robot}: its adapter is {robot.adapter}, but a run in one process "
            f"simulates the robot (take one whose adapter is {SIM})"
        )
    find_part(task, "scene")
    _require_expert(task, robot)
    _require_views(options, robot, task)


def _require_expert(task: TaskConfig, robot: RobotConfig) -> None:
    """The task's expert is there, and can be made."""
    from expo_ft_ros.tasks.experts import make_expert

    path = find_part(task, "expert")
    try:
        make_expert(task, robot.limits, np.random.default_rng(0))
    except (TypeError, AttributeError, NotImplementedError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(
            f"{path}: Expert can't be made: {words} (see docs/adding_a_task.md)"
        ) from error


def _require_fit(options: RunOptions, task: TaskConfig) -> None:
    """Raises ConfigError for a robot that can't do the task, or not in this way."""
    robot = _robot_for(task, options.robot)
    _require_adapter(options, robot)
    if robot.adapter == SIM:
        find_part(task, "scene")
    if options.operator == "scripted":
        _require_expert(task, robot)
    _require_views(options, robot, task)
    can = robot.capabilities
    if not can.lockstep and not options.realtime:
        raise ConfigError(
            f"robot:={options.robot}: has no clock of its own to wait with, which lock-step needs "
            "(add realtime:=true)"
        )
    if not can.knows_objects and options.operator == "scripted":
        raise ConfigError(
            f"operator:=scripted: needs to be told where each object is, which robot:="
            f"{options.robot} can't (take operator:=spacemouse, gamepad, keyboard, leader or none)"
        )
    if not can.resets_scene and options.scene_reset in ("automatic", "asked"):
        raise ConfigError(
            f"scene_reset:={options.scene_reset}: needs a robot that puts the scene in place, "
            f"which robot:={options.robot} can't (take scene_reset:=operator, or scripted where "
            "the task has a reset_script)"
        )


def _require_views(
    options: RunOptions | LearnOptions, robot: RobotConfig, task: TaskConfig
) -> None:
    """The classifier looks at views of the robot, and the simulation has a camera for each."""
    # OpenCV comes with the classifiers, and help is to be quick.
    from expo_ft_ros.tasks.classifiers import require_views

    try:
        require_views(task, robot)
        if robot.adapter == SIM:
            # Half a second of imports, for the simulation only.
            from expo_ft_ros.sim.world import require_cameras, require_robot
            from expo_ft_ros.tasks.scenes import make_scene

            require_robot(robot)
            require_cameras(make_scene(task), robot.view_names)
    except ConfigError as error:
        raise ConfigError(f"robot:={options.robot}: {error}") from None


def _require_adapter(options: RunOptions, robot: RobotConfig) -> None:
    """A module of somebody else's is known only by its name in the robot's file."""
    if options.robot_ip and robot.fci is None and robot.franka_driver is None:
        raise ConfigError(
            f"robot_ip:={options.robot_ip}: robot:={options.robot} has no address (leave it out, "
            "or take a Franka arm: robot:=franka_fci, franka_ros2, crisp or servo)"
        )
    if robot.adapter in (SIM, EXTERNAL):
        return
    try:
        found = importlib.util.find_spec(robot.adapter) is not None
    except ModuleNotFoundError:  # of a package on the way to it
        found = False
    if not found:
        raise ConfigError(
            f"robot:={options.robot}: adapter: there is no Python module {robot.adapter} here "
            "(install its package, or add its folder to PYTHONPATH)"
        )
    if robot.fci is not None:
        try:
            require_pylibfranka()
        except ConfigError as error:
            raise ConfigError(f"robot:={options.robot}: {error}") from None


def _is_default(options: TaskOptions, name: str) -> bool:
    return bool(getattr(options, name) == type(options).model_fields[name].default)


def _require_async(options: TrainOptions) -> None:
    if options.mode != "async":
        raise ConfigError(
            f"ahead:={options.ahead}: with mode:={options.mode} the robot is never ahead of the "
            "learner (add mode:=async, or leave ahead out)"
        )


def _require_server_options(options: EvalOptions) -> None:
    """What names a trained run is nothing to a policy server; its configuration fits the robot."""
    address = options.policy
    if address is None:
        if not _is_default(options, "keys"):
            raise ConfigError(
                f"keys:={options.keys}: are those of a policy server, and none is named (add "
                "policy:=ws://<host>:<port>, or leave keys out)"
            )
        return
    for name in ("checkpoint", "algorithm", "preset", "size"):
        if name in options.model_fields_set and getattr(options, name) is not None:
            raise ConfigError(
                f"{name}:={getattr(options, name)}: policy:={address} has a policy of its own "
                f"(leave {name} out, or policy)"
            )
    config = load_server_config(options.keys)
    config.image_keys(load_robot(options.robot).views)
    if options.realtime and config.timeout > LONGEST_ANSWER:
        raise ConfigError(
            f"{config.file}: timeout: {config.timeout:g} s is more than {LONGEST_ANSWER:g} s, "
            "which realtime:=true allows (the arm stands after one without a chunk)"
        )


def _require_size(options: TaskOptions) -> None:
    """A size's policy and its files are there, and it fits the preset."""
    size = getattr(options, "size", None)
    if size is None:
        return
    try:
        load_preset(getattr(options, "preset", None) or PRESET, size).vla.require_files()
    except ConfigError as error:
        raise ConfigError(f"size:={size}: {error}") from None


def _require_known(options: TaskOptions, option: str, known: Sequence[str]) -> None:
    name = getattr(options, option, None)
    if name is not None and name not in known:
        raise ConfigError(f"{option}:={name}: no such {option} ({nearest(name, known)})")
