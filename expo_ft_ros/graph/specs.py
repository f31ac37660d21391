# SPDX-License-Identifier: Apache-2.0
"""The graph as data: which nodes run, with which parameters, and in which order they are stopped.

Both front ends read it: the local runner (`bringup/runner.py`) and the launch files (`launch/`).
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.devices.drivers import DRIVERS
from expo_ft_ros.experiment.budget import Budget
from expo_ft_ros.experiment.environment import find_rviz
from expo_ft_ros.experiment.motion import has_motion
from expo_ft_ros.experiment.option_checks import camera_topics
from expo_ft_ros.experiment.options import (
    CollectOptions,
    DemoOptions,
    EvalOptions,
    PerturbedOptions,
    PolicyOptions,
    RobotOptions,
    RunOptions,
    SimOptions,
    TrainOptions,
)
from expo_ft_ros.graph import robot_model
from expo_ft_ros.graph.node_spec import (
    SHUTDOWN_ARBITRATION,
    SHUTDOWN_LEARNING,
    SHUTDOWN_ROBOT,
    SHUTDOWN_SENSING,
    SHUTDOWN_SESSION,
    NodeSpec,
    Parameter,
)
from expo_ft_ros.graph.topics import OWN_ABSOLUTE, TOPICS
from expo_ft_ros.rl.config import PRESET, load_preset
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.robots.config import EXTERNAL, SIM, info_topic
from expo_ft_ros.robots.joint_group_config import VELOCITY_GUARD
from expo_ft_ros.tasks import load_task

NODE_PACKAGE = "expo_ft_ros.nodes"

_LEARNER_NICE = 10
# Where the user may have it; else the normal priority. The executor's threads give themselves more
# (ros/thread_priority.py).
_TICK_NICE = -10
_LEARNER_GRACE = 20.0


def train_graph(options: TrainOptions, run_dir: Path, given: int = 0) -> list[NodeSpec]:
    """Every stage from demonstrations to the last evaluation.

    Args:
        options: As typed.
        run_dir: Folder of the run.
        given: Demonstrations of the dataset that the options name.
    """
    work = options.budget(load_task(options.task), given)
    specs = [*_world(options, run_dir), _reward(options, run_dir)]
    learning: dict[str, Parameter] = {
        "algorithm": options.algorithm,
        "preset": options.preset,
        "size": options.size,
        "imitation_scale": work.imitation_scale,
        "warmup_episodes": work.warmup_episodes,
        "demonstrations": options.demonstrations or "",
        "wandb": options.wandb or "",
    }
    specs += _learning(options, run_dir, learning, asynchronous=options.mode == "async")
    specs.append(_recorder(options, run_dir))
    return _with_session(specs, options, run_dir, work, "train", options.preset)


def collect_graph(options: CollectOptions, run_dir: Path) -> list[NodeSpec]:
    """Demonstrations only: no policy, no learner."""
    work = options.budget(load_task(options.task))
    specs = [*_world(options, run_dir), _reward(options, run_dir), _recorder(options, run_dir)]
    return _with_session(specs, options, run_dir, work, "collect")


def policy_graph(
    command: str,
    options: PolicyOptions,
    run_dir: Path,
    checkpoint: Path,
    trained: Mapping[str, str],
) -> list[NodeSpec]:
    """A trained policy, without a learner.

    Args:
        command: eval, which counts trials, or demo.
        options: As typed.
        run_dir: Folder of this run.
        checkpoint: The weights.
        trained: What they were trained with: algorithm, preset, size.
    """
    work = options.budget(load_task(options.task))
    specs = [*_world(options, run_dir), _reward(options, run_dir)]
    learning: dict[str, Parameter] = {**trained, "checkpoint": str(checkpoint)}
    specs += _learning(options, run_dir, learning, asynchronous=False)
    specs.append(_recorder(options, run_dir))
    return _with_session(specs, options, run_dir, work, command, trained["preset"])


def server_graph(options: EvalOptions, run_dir: Path, address: str) -> list[NodeSpec]:
    """A policy server's policy, evaluated; nobody learns.

    Args:
        options: As typed.
        run_dir: Folder of this run.
        address: ws://host:port.
    """
    work = options.budget(load_task(options.task))
    asked: dict[str, Parameter] = {"address": address, "keys": options.keys}
    client = _node("policy", options, run_dir, asked, shutdown_order=SHUTDOWN_LEARNING)
    specs = [
        *_world(options, run_dir),
        _reward(options, run_dir),
        replace(client, module=f"{NODE_PACKAGE}.policy_client"),
        _recorder(options, run_dir),
    ]
    return _with_session(specs, options, run_dir, work, "eval")


def robot_graph(options: RobotOptions, run_dir: Path, lead: TrainOptions) -> list[NodeSpec]:
    """A robot that practises for a run whose learner is in another graph.

    Args:
        options: As typed, with what is the run's.
        run_dir: The robot's folder, in that of the run.
        lead: Options of the run.
    """
    task = load_task(options.task)
    learning: dict[str, Parameter] = {
        "algorithm": lead.algorithm,
        "preset": lead.preset,
        "size": lead.size,
        "warmup_episodes": lead.budget(task).warmup_episodes,
        "learner_dir": options.join,
    }
    policy, _ = _learning(options, run_dir, learning, asynchronous=True)
    named: dict[str, Parameter] = {"robot_name": options.name}
    specs = [
        replace(spec, parameters={**spec.parameters, **named})
        if spec.name == "arbitration"
        else spec
        for spec in _world(options, run_dir)
    ]
    specs += [_reward(options, run_dir), policy, _recorder(options, run_dir)]
    specs = _with_session(specs, options, run_dir, options.budget(task), "robot", lead.preset)
    present = ("robots/present", f"{lead.namespace}/robots/present")
    followed: dict[str, Parameter] = {**named, "episodes_ahead": lead.episodes_ahead}
    return [
        replace(
            spec,
            parameters={**spec.parameters, **followed},
            remappings=(*spec.remappings, present),
        )
        if spec.name == "session"
        else spec
        for spec in specs
    ]


def sim_graph(options: SimOptions, run_dir: Path) -> list[NodeSpec]:
    """The simulated robot and its operator, until it is stopped: no policy, no learner."""
    work = options.budget(load_task(options.task))
    specs = [*_world(options, run_dir), _reward(options, run_dir)]
    return _with_session(specs, options, run_dir, work, "sim")


def required_nodes(specs: list[NodeSpec], robot: RobotConfig) -> tuple[str, ...]:
    """ROS nodes that the session waits for before the first episode.

    Args:
        specs: The graph.
        robot: Its adapter is waited for, too, where somebody else starts it.
    """
    needed = [spec for spec in specs if spec.module and spec.name != "session"]
    names = tuple(name for spec in needed for name in spec.node_names)
    return names if robot.node in names else (*names, robot.node)


def _common(options: RunOptions, run_dir: Path) -> dict[str, Parameter]:
    lockstep = not options.realtime
    return {
        "task": options.task,
        "robot": options.robot,
        "run_dir": str(run_dir),
        "lockstep": lockstep,
        "use_sim_time": lockstep,
        "autostart": options.autostart,
    }


def _node(
    name: str,
    options: RunOptions,
    run_dir: Path,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    shutdown_order: int = SHUTDOWN_SENSING,
    remappings: tuple[tuple[str, str], ...] = (),
) -> NodeSpec:
    """A light node: one thread for numerics, so that eight of them leave the cores to learning."""
    return NodeSpec(
        name=name,
        module=f"{NODE_PACKAGE}.{name}",
        parameters={**_common(options, run_dir), **(parameters or {})},
        remappings=remappings,
        shutdown_order=shutdown_order,
        env=_threads(1),
    )


def _world(options: RunOptions, run_dir: Path) -> list[NodeSpec]:
    """Robot, sensors, operator and control loop."""
    scripted = options.operator == "scripted"
    reset: dict[str, Parameter] = {
        "scene_reset": options.scene_reset,
        "decision_time": options.budget(load_task(options.task)).decision_time,
        "begins_with_takeover": options.operator in DRIVERS,
        "motion": has_motion(options),
    }
    driver = DRIVERS.get(options.operator)
    teleop: dict[str, Parameter] = {
        "device": driver.device if driver else "spacenav",
        # Of a demonstration of what has been learned the policy doesn't wait for anybody.
        "device_needed": driver is not None and not isinstance(options, DemoOptions),
    }
    own_driver = options.operator == "spacemouse" and options.spacemouse == "libspnav"
    specs = [
        *_adapter(options, run_dir),
        *_camera_driver(options, run_dir),
        _node("camera", options, run_dir, remappings=_cameras(options)),
        _node("proprio", options, run_dir),
        _first(_node("teleop", options, run_dir, teleop), options),
        _first(
            _node("arbitration", options, run_dir, reset, shutdown_order=SHUTDOWN_ARBITRATION),
            options,
        ),
    ]
    if driver is not None and driver.node:
        specs.append(_first(_node(driver.node, options, run_dir), options))
    if own_driver:
        specs.append(_first(_node("spacemouse", options, run_dir), options))
    if scripted:
        operator: dict[str, Parameter] = {
            "seed": options.seed,
            "operator_rate": options.operator_rate,
            "operator_share": options.operator_share,
        }
        specs.append(_node("operator", options, run_dir, operator, shutdown_order=SHUTDOWN_SESSION))
    return specs


def _adapter(options: RunOptions, run_dir: Path) -> list[NodeSpec]:
    """What drives the robot; nothing where somebody else starts it."""
    robot = load_robot(options.robot)
    if robot.adapter == EXTERNAL:
        return []
    spec = _node(robot.node, options, run_dir, shutdown_order=SHUTDOWN_ROBOT)
    if robot.adapter != SIM:
        own: dict[str, Parameter] = {"robot_ip": options.robot_ip} if robot.fci else {}
        spec = replace(spec, module=robot.adapter, parameters={**spec.parameters, **own})
        specs = [spec]
        if robot.joint_group is not None and robot.joint_group.needs_guard:
            specs.append(_node(VELOCITY_GUARD, options, run_dir, shutdown_order=SHUTDOWN_ROBOT))
        return [_first(spec, options) for spec in specs]
    world: dict[str, Parameter] = {
        "seed": options.seed,
        "wait_for_operator": options.operator == "scripted",
        "perturb": _perturb(options),
    }
    return [
        replace(
            spec,
            module=f"{NODE_PACKAGE}.{SIM}",
            parameters={**spec.parameters, **world},
            # It stands for the cameras' drivers as well.
            remappings=_cameras(options),
        )
    ]


def _camera_driver(options: RunOptions, run_dir: Path) -> list[NodeSpec]:
    """What reads cameras; nothing where their drivers are somebody else's."""
    if not options.camera_drivers:
        return []
    own: dict[str, Parameter] = {"cameras": options.camera_drivers}
    return [_node("camera_driver", options, run_dir, own, remappings=_cameras(options))]


def _perturb(options: RunOptions) -> str:
    """What disturbs the scenes."""
    return options.perturb if isinstance(options, PerturbedOptions) else ""


def _cameras(options: RunOptions) -> tuple[tuple[str, str], ...]:
    """From the camera topics that the robot's file names to those that the options do."""
    topics = camera_topics(options)
    given = [
        (view.topic, topics[view.name])
        for view in load_robot(options.robot).views
        if view.name in topics
    ]
    images = [(old + end, new + end) for old, new in given for end in ("", "/compressed")]
    return (*images, *((info_topic(old), info_topic(new)) for old, new in given))


def _placed(spec: NodeSpec, options: RunOptions) -> NodeSpec:
    """A node in the graph's namespace, with what the options say of every node.

    A namespace moves what is absolute in the root, too, as far as it is the graph's own: several
    graphs share /diagnostics.
    """
    own = tuple((name, name[1:]) for name in OWN_ABSOLUTE) if options.namespace else ()
    return replace(
        spec,
        namespace=options.namespace,
        remappings=(*spec.remappings, *own),
        log_level=options.log_level or "",
        params_file=options.params_file or "",
    )


def _first(spec: NodeSpec, options: RunOptions) -> NodeSpec:
    """In real time the tick, and the operator's way to it, come before all else."""
    return replace(spec, nice=_TICK_NICE) if options.realtime else spec


def _reward(options: RunOptions, run_dir: Path) -> NodeSpec:
    return _node("reward", options, run_dir)


def _recorder(options: RunOptions, run_dir: Path) -> NodeSpec:
    return _node("recorder", options, run_dir, shutdown_order=SHUTDOWN_LEARNING)


def _learning(
    options: RunOptions,
    run_dir: Path,
    parameters: Mapping[str, Parameter],
    *,
    asynchronous: bool,
) -> list[NodeSpec]:
    """Policy and learner: one process that shares the weights, or two."""
    mode = "async" if asynchronous else "sync"
    # The control loop comes first, but where it waits for the learner anyway. What only acts is
    # waited for by the arm: a browser on the same machine must not starve it.
    beside = options.realtime or asynchronous
    nice = _LEARNER_NICE if beside and isinstance(options, TrainOptions) else 0
    cores = len(os.sched_getaffinity(0))
    threads = _threads(max(1, cores - 1) if beside else cores)
    every = {**_common(options, run_dir), **parameters, "mode": mode, "seed": options.seed}
    learner: dict[str, Parameter] = {}
    if isinstance(options, TrainOptions):
        learner["learner_processes"] = options.learner_processes

    def process(name: str, nodes: tuple[str, ...], nice: int) -> NodeSpec:
        return NodeSpec(
            name=name,
            module=f"{NODE_PACKAGE}.{name}",
            parameters=every if name == "policy" else every | learner,
            nice=nice,
            shutdown_order=SHUTDOWN_LEARNING,
            env=threads,
            nodes=nodes,
            grace=_LEARNER_GRACE,
        )

    if asynchronous:
        return [process("policy", (), 0), process("learner", (), nice)]
    return [process("agent", ("policy", "learner"), nice)]


def _with_session(
    specs: list[NodeSpec],
    options: RunOptions,
    run_dir: Path,
    work: Budget,
    kind: str,
    preset: str = PRESET,
) -> list[NodeSpec]:
    robot = load_robot(options.robot)
    if kind == "eval" and not has_motion(options):
        kind = "shadow"
    parameters: dict[str, Parameter] = {
        "kind": kind,
        "seed": options.seed,
        "operator": options.operator,
        "steps": work.steps,
        "demos": work.demos,
        "given": work.given,
        "eval_trials": work.eval_trials,
        "perturb": _perturb(options),
        "episodes_ahead": getattr(options, "episodes_ahead", 0),
        "gamma": load_preset(preset).gamma,
        "required_nodes": required_nodes(specs, robot),
    }
    specs = _with_listeners(specs, joins=isinstance(options, RobotOptions))
    if options.realtime:
        specs = _with_watch(specs, robot)
    specs = [
        *specs,
        _node("session", options, run_dir, parameters, shutdown_order=SHUTDOWN_SESSION),
    ]
    if options.rviz or options.console:
        specs.append(_monitor(options, run_dir))
    specs = [_placed(spec, options) for spec in specs]
    return [*specs, *_rviz(options, run_dir)] if options.rviz else specs


def _with_listeners(specs: list[NodeSpec], *, joins: bool) -> list[NodeSpec]:
    """Tells who gives parts of an episode how many must hear them: none may be lost. joins: the
    learner of the run that the robot joins hears them, too."""
    names = {name for spec in specs for name in spec.node_names}
    names |= {"learner"} if joins else set()
    keepers = len(names & {"recorder", "learner"})
    watchers = keepers + len(names & {"operator", "teleop"})
    observers = len(names & {"reward", "policy", "recorder", "learner"})
    wanted: dict[str, dict[str, Parameter]] = {
        "arbitration": {"observation_listeners": observers, "step_listeners": watchers},
        "reward": {"reward_listeners": 1 + keepers},
    }
    return [
        replace(spec, parameters={**spec.parameters, **wanted.get(spec.name, {})}) for spec in specs
    ]


def _with_watch(specs: list[NodeSpec], robot: RobotConfig) -> list[NodeSpec]:
    """Tells arbitration who must live for the arm to move: everybody."""
    others = [name for name in required_nodes(specs, robot) if name != "arbitration"]
    watched: dict[str, Parameter] = {"watched": (*others, "session")}
    return [
        replace(spec, parameters={**spec.parameters, **watched})
        if spec.name == "arbitration"
        else spec
        for spec in specs
    ]


def _monitor(options: RunOptions, run_dir: Path) -> NodeSpec:
    """Nobody waits for it or misses it. Of normal priority: a stop may come by way of it."""
    parameters: dict[str, Parameter] = {
        "operator": options.operator,
        "scene_reset": options.scene_reset,
        "learns": isinstance(options, TrainOptions | RobotOptions),
        "console": options.console,
        "console_host": options.console_host,
        "console_port": options.console_port,
    }
    spec = _node("monitor", options, run_dir, parameters, shutdown_order=SHUTDOWN_SESSION)
    return replace(spec, vital=False)


def _rviz(options: RunOptions, run_dir: Path) -> list[NodeSpec]:
    """rviz2, closing whose window does not end the run, and the arm's model where there is one."""
    view = config_dir().parent / "rviz" / "expo_ft.rviz"
    arguments = ["-d", str(view)] if view.is_file() else []
    arguments += ["--ros-args", "-p", f"use_sim_time:={str(not options.realtime).lower()}"]
    if options.namespace:
        # The file of the view names the topics as they are in the root.
        names = [name for name in TOPICS if name.startswith("monitor/")]
        for name in ("robot_description", "tf", "tf_static", *names):
            arguments += ["-r", f"/{name}:={options.namespace}/{name}"]
    specs = [
        NodeSpec(
            "rviz",
            command=(find_rviz(), *arguments),
            shutdown_order=SHUTDOWN_SESSION,
            vital=False,
        )
    ]
    if robot_model.is_installed():
        command = (
            *(sys.executable, "-m", robot_model.__name__),
            *(str(run_dir), options.namespace),
        )
        specs.append(NodeSpec("robot_state_publisher", command=command, vital=False))
    return specs


def _threads(count: int) -> dict[str, str]:
    """Limits numerical libraries, each of which else takes every core for itself, and lets their
    threads sleep while they wait: spinning would take the cores from the control loop."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**{name: str(count) for name in names}, "OMP_WAIT_POLICY": "PASSIVE"}
