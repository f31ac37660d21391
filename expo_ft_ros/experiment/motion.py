# SPDX-License-Identifier: Apache-2.0
"""Whether a run moves its robot: `motion:=`, its default, and the yes that a robot's first run with
motion takes. What is unsure is off.

A simulated robot moves. Any other does so by default once somebody has said yes to it, which is
a line in MOVED_FILE of the runs' folder.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.episode_machine import SceneReset
from expo_ft_ros.experiment.options import EvalOptions, RunOptions, SimOptions
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.robots.config import SIM

ON, OFF = "on", "off"
MOVED_FILE = "moved_robots.txt"
"""A line for each robot that runs of this folder may move without being asked; a line that is
removed has the next run ask again."""

_YES = "yes"

Options = TypeVar("Options", bound=RunOptions)


def has_motion(options: RunOptions) -> bool:
    """Whether the arm gets commands: where it is said, and of a simulated robot unless it is said
    otherwise. The default of any other robot is filled in by `with_motion`."""
    if options.motion is None:
        return load_robot(options.robot).adapter == SIM
    return options.motion == ON


def with_motion(options: Options, runs: Path) -> Options:
    """The options with `motion` filled in, found to be possible.

    Args:
        options: As typed.
        runs: Folder of the runs, whose MOVED_FILE says which robots have been moved.

    Raises:
        ConfigError: for a command that makes no sense without motion, and what would move the arm
            all the same.
    """
    if options.motion is None:
        robot = load_robot(options.robot)
        moves = robot.adapter == SIM or target_of(options, robot) in moved_robots(runs)
        filled = options.model_copy(update={"motion": ON if moves else OFF})
        require_possible_motion(filled, is_default=True)
        return filled
    require_possible_motion(options)
    return options


def require_possible_motion(options: RunOptions, *, is_default: bool = False) -> None:
    """Refuses what makes no sense with motion off. Nothing is checked where that isn't said.

    Args:
        options: `motion` among them.
        is_default: Nobody has typed it.

    Raises:
        ConfigError: with what to do instead.
    """
    if options.motion != OFF:
        return
    robot = load_robot(options.robot)
    if not isinstance(options, (EvalOptions, SimOptions)):
        raise ConfigError(
            f"robot:={options.robot}: motion is off until somebody has said yes to moving "
            f"{target_of(options, robot)}, and this command needs it (watch it first: expo-ft sim, "
            "or eval, with this robot; then add motion:=on)"
            if is_default
            else "motion:=off: nothing can be shown to an arm that stands, or learned from it "
            "(leave motion out, or watch a policy: expo-ft eval motion:=off)"
        )
    reset = SceneReset(options.scene_reset)
    by_adapter = reset in (SceneReset.AUTOMATIC, SceneReset.ASKED)
    if reset is SceneReset.SCRIPTED or (by_adapter and robot.adapter != SIM):
        raise ConfigError(
            f"scene_reset:={options.scene_reset}: the arm moves to reset the scene, but motion is "
            "off (take scene_reset:=operator, or motion:=on)"
        )


def confirm_motion(
    options: RunOptions, runs: Path, read: Callable[[], str] | None = None
) -> Callable[[], None]:
    """Asks for a typed yes before a robot's first run with motion.

    Args:
        options: With `motion` filled in.
        runs: Folder of the runs.
        read: Gives the line that is typed; None: the terminal's, where there is one.

    Returns:
        What remembers it, once there is a run; it raises ConfigError where it can't.

    Raises:
        ConfigError: where the answer is another, or nobody can type one.
    """
    robot = load_robot(options.robot)
    if not has_motion(options) or robot.adapter == SIM:
        return _nothing
    target, file = target_of(options, robot), runs / MOVED_FILE
    if target in moved_robots(runs):
        return _nothing
    if read is None and not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError(
            f"motion:=on: no run of {runs} has moved {target} yet, and nobody can type yes here "
            f"(start it in a terminal by ./expo-ft once, or write the line {target!r} into {file})"
        )
    print(
        f"This run moves {target}, which no run of {runs} has moved yet.\n"
        "Has a run with motion:=off been watched on it? Does somebody hold the robot's own stop, "
        "and is nobody within its reach?\n"
        f"Type {_YES} to move {target}: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if (read or sys.stdin.readline)().strip() != _YES:
        raise ConfigError(
            f"motion:=on: {target} is not moved, since the answer was not {_YES} (nothing was "
            "started; motion:=off shows what would be commanded)"
        )
    return partial(_remember, target, file)


def _nothing() -> None:
    """There is nothing to remember."""


def target_of(options: RunOptions, robot: RobotConfig) -> str:
    """Which robot a run would move, in a line: its name, by which way it is reached, and from which
    machine, since a folder of runs may be copied to another laboratory."""
    if robot.fci is not None:
        where = options.robot_ip or robot.fci.address
    elif robot.controller is not None:
        where = _resolved(robot.controller.target, options.namespace)
        where += f" of {options.robot_ip}" if options.robot_ip else ""
    else:
        where = f"the node {_resolved(robot.node, options.namespace)}"
    return f"{robot.name} at {where}, from {platform.node()}"


def _resolved(name: str, namespace: str) -> str:
    return (
        name if name.startswith("/") else "/" + "/".join(filter(None, (namespace.strip("/"), name)))
    )


def moved_robots(runs: Path) -> frozenset[str]:
    """Lines of MOVED_FILE; none where it can't be read.

    Args:
        runs: Folder of the runs.
    """
    try:
        text = (runs / MOVED_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return frozenset()
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def _remember(target: str, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{target}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise ConfigError(
            f"{file}: can't be written: {error.strerror} (give yourself the right to write there)"
        ) from None
