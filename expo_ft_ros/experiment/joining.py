# SPDX-License-Identifier: Apache-2.0
"""What `expo-ft robot` joins: the run, and the options of a robot that practises for it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.arguments import make_options
from expo_ft_ros.experiment.joined import require_robot_name, robot_folder, two_of_a_name
from expo_ft_ros.experiment.options import RobotOptions, TrainOptions
from expo_ft_ros.experiment.run_folder import (
    CONFIG_FILE,
    LATEST,
    find_run,
    is_running,
    limits_of,
    read_config,
    runner_of,
    view_names_of,
)
from expo_ft_ros.robots import load_robot

_OF_THE_RUN = ("task", "namespace", "run_dir")
_SEEDS = 2**31

Options = TypeVar("Options", bound=RobotOptions)


def options_of_run(run: Path) -> TrainOptions:
    """The options of a training. Raises ConfigError where its config.yaml isn't that of one."""
    said = read_config(run).get("resolved")
    try:
        return TrainOptions.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"{run / CONFIG_FILE}: resolved: {'.'.join(map(str, first['loc']))}: {first['msg']} "
            "(start the run again with this version)"
        ) from None


def join_run(typed: Mapping[str, str], model: type[Options]) -> Options:
    """The options of a robot that joins a run: what was typed, what it had when it took part
    before, and what is the run's.

    Args:
        typed: Name -> value, as typed.
        model: Of the options.

    Raises:
        ConfigError: where there is no run that it could join, or not by this name or with this
            robot.
    """
    run = find_run(typed.get("join", LATEST), "train", option="join")
    name = typed.get("name", "")
    if not name:
        raise ConfigError("name: a robot that joins a run needs one (add name:=left, say)")
    try:
        require_robot_name(name)
    except ValueError as error:
        raise ConfigError(f"name:={name}: {error}") from None
    for option in _OF_THE_RUN:
        if option in typed:
            raise ConfigError(
                f"{option}:={typed[option]}: is the run's for each robot that joins it (leave "
                f"{option} out)"
            )
    lead = options_of_run(run)
    _require_several(run, lead)
    folder = robot_folder(run, name)
    if is_running(folder):
        first = f"process {runner_of(folder)} ({folder})"
        raise ConfigError(f"name:={name}: {two_of_a_name(name, first, f'process {os.getpid()}')}")
    before = read_config(folder)["options"] if (folder / CONFIG_FILE).is_file() else {}
    # Not the run's own scenes and draws, and the same ones when it comes back.
    seed = {"seed": (lead.seed + zlib.crc32(name.encode())) % _SEEDS}
    of_run = {
        "join": str(run),
        "task": lead.task,
        "namespace": f"{lead.namespace}/{name}",
        "run_dir": str(folder),
    }
    options = make_options({**seed, **before, **typed, **of_run}, model)
    _require_alike(run, options)
    return options


def _require_several(run: Path, lead: TrainOptions) -> None:
    if lead.mode != "async":
        raise ConfigError(
            f"join:={run}: its mode is {lead.mode}, in which learner and robot wait for each other "
            f"(start it with mode:=async, or stop it, then: expo-ft train resume:={run} "
            "mode:=async)"
        )
    if not is_running(run):
        raise ConfigError(f"join:={run}: doesn't run (go on with it: expo-ft train resume:={run})")


def _require_alike(run: Path, options: RobotOptions) -> None:
    """An action of 1 is the same velocity for all, and networks know views by their order."""
    robot = load_robot(options.robot)
    for name, of_run, own in (
        ("limits", limits_of(run), robot.limits.model_dump(mode="json")),
        ("views", list(view_names_of(run)), list(robot.view_names)),
    ):
        if of_run != own:
            raise ConfigError(
                f"robot:={options.robot}: its {name} are {own}, those of {run} are {of_run} "
                "(robots of one run have the same)"
            )
