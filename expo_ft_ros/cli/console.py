# SPDX-License-Identifier: Apache-2.0
"""`expo-ft console`: the dashboard, a page of all runs, which outlives them."""

from __future__ import annotations

from collections.abc import Sequence

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.cli.serving import LOCAL_HOST, until_interrupted
from expo_ft_ros.monitor.address import (
    ALL_RUNS_PORT,
    console_address,
    console_token,
    require_openable_console,
)


def main(words: Sequence[str]) -> int:
    """Serves the pages until it is interrupted; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a port that is taken, or an address that others reach
            without a token.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    require_openable_console(wanted.host, wanted.port, "{}:={}")
    from expo_ft_ros.dashboard.app import Dashboard
    from expo_ft_ros.experiment.run_folder import runs_dir

    dashboard = Dashboard(wanted.host, wanted.port, console_token())
    where = console_address(wanted.host, wanted.port)
    try:
        said = f"dashboard of {runs_dir()}: {where} (Ctrl-C ends it, runs go on)"
        until_interrupted(said, dashboard.url)
    finally:
        going_on = dashboard.running
        dashboard.close()
    for run in going_on:
        print(f"goes on: {run}")
    if going_on:
        print(
            "To stop one: ./expo-ft console opens the dashboard again, with Stop on the run's page."
        )
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft console",
        description="The dashboard, a page of all runs: starts, stops and follows them, shows "
        "their reports and recordings, and compares checkpoints. Runs that it started go on when "
        "it ends.",
    )
    made.add_argument("--host", default=LOCAL_HOST, help="that it listens on")
    made.add_argument("--port", type=int, default=ALL_RUNS_PORT, help="of the page")
    return made
