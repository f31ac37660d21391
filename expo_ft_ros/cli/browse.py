# SPDX-License-Identifier: Apache-2.0
"""`expo-ft episodes browse`: the console's tab of recorded episodes, of a run that has stopped."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.cli.serving import LOCAL_HOST, until_interrupted
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.operator_word import words_of
from expo_ft_ros.experiment.run_folder import (
    classifier_in,
    find_run,
    limits_of,
    option_of,
    read_config,
)
from expo_ft_ros.monitor.address import (
    CONSOLE_PORT,
    console_address,
    console_token,
    require_openable_console,
)
from expo_ft_ros.monitor.episode_browser import EpisodeBrowser
from expo_ft_ros.monitor.playback import Recordings
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier


def main(words: Sequence[str]) -> int:
    """Serves the page until it is interrupted; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a run that isn't there or of a task that isn't, or a port
            that is taken.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    run = find_run(wanted.run)
    name = option_of(run, "task")
    if name is None:
        raise ConfigError(f"{run}: its config.yaml doesn't say the task (bring back a whole one)")
    task = load_task(name)
    require_openable_console(wanted.host, wanted.port, "{}:={}")
    browser = EpisodeBrowser(
        run.name,
        task,
        RobotLimits.model_validate(limits_of(run)),
        Recordings(run / "episodes", words_of(run)),
        host=wanted.host,
        port=wanted.port,
        token=console_token(),
        classifier=classifier_in(read_config(run)) or make_classifier(task),
    )
    where = console_address(wanted.host, urlsplit(browser.url).port or wanted.port)
    try:
        until_interrupted(f"episodes of {run}: {where} (Ctrl-C ends it)", browser.url)
    finally:
        browser.close()
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft episodes browse",
        description="Shows the episodes of a run in the browser, to play, relabel and discard.",
    )
    made.add_argument("run", nargs="?", default="latest", help="a run's folder, or `latest`")
    made.add_argument("--host", default=LOCAL_HOST, help="that it listens on")
    made.add_argument(
        "--port", type=int, default=CONSOLE_PORT, help="of the page, 0: any that is free"
    )
    return made
