# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bringup`: a robot's guided checks before its first training, in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from expo_ft_ros.bringup.runner import Runner
from expo_ft_ros.cli.arguments import print_options, wants_help
from expo_ft_ros.experiment.bringup_options import BringupOptions
from expo_ft_ros.experiment.brought_up import (
    COPY_FILE,
    RECORD_FILE,
    checks_of,
    missing_checks,
)
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.motion import target_of
from expo_ft_ros.experiment.preflight import open_run
from expo_ft_ros.experiment.run_folder import runs_dir
from expo_ft_ros.graph.bringup_graph import bringup_graph
from expo_ft_ros.monitor.address import console_address
from expo_ft_ros.robots import load_robot

if TYPE_CHECKING:
    from expo_ft_ros.experiment.preflight import Run

EXIT_FAILED = 1


def main(words: Sequence[str]) -> int:
    """Runs the guide in its graph; returns the exit code: 0 where no check that was asked for has
    failed or was left, as by Ctrl-C.

    Raises:
        ConfigError: for what it needs and lacks; nothing is started then.
    """
    if wants_help(words):
        return print_options("bringup", BringupOptions)
    run = open_run("bringup", words, BringupOptions)
    try:
        _require_demonstrations(run.options)
        for note in run.notes:
            print(note)
        if run.options.console:
            print(f"Console: {console_address(run.options.console_host, run.options.console_port)}")
        print("Ctrl-C ends it at any time: the arm is commanded to stand.")
        sys.stdout.flush()
        specs = bringup_graph(run.options, run.path, runs_dir())
        result = Runner(specs, run.path, env=ros_environment(run.path)).run()
    finally:
        run.close()
    for warning in result.warnings:
        print(f"expo-ft: {warning}", file=sys.stderr)
    if result.code:
        print(result.tail and f"{result.tail}\n", end="", file=sys.stderr)
        print(f"\nexpo-ft: {result.cause}; nothing commands the arm any more", file=sys.stderr)
    return _conclude(run, result.code)


def _require_demonstrations(options: BringupOptions) -> None:
    """Refuses demonstrations that there are not, before anything is started."""
    if options.demos is not None and "cameras" in options.wanted:
        from expo_ft_ros.doctor.guide.pictures import first_frames
        from expo_ft_ros.tasks import load_task

        first_frames(options.demos, load_robot(options.robot), load_task(options.task))


def _conclude(run: Run[BringupOptions], code: int) -> int:
    """Says what has passed and what is missing; gives the exit code."""
    options, robot = run.options, load_robot(run.options.robot)
    target, record = target_of(options, robot), runs_dir() / RECORD_FILE
    done = checks_of(run.path / COPY_FILE, target)
    for name in options.wanted:
        entry = done.get(name)
        print(f"{name:<10} {entry['status'] if entry else 'not done'}")
    lacking = missing_checks(checks_of(record, target), robot)
    if lacking:
        print(f"Not brought up yet: {', '.join(lacking)}.")
    else:
        print(f"Brought up: {target}.")
    print(f"Record: {record}")
    if code:
        return code
    ended = all(
        done.get(name, {}).get("status") in ("passed", "skipped") for name in options.wanted
    )
    return 0 if ended else EXIT_FAILED
