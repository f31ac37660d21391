# SPDX-License-Identifier: Apache-2.0
"""`expo-ft serve`: a trained policy over a websocket, for openpi's client and for `eval`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.cli.serving import LOCAL_HOST, until_interrupted
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.serving.config import DEFAULT_KEYS, SERVERS, load_server_config

_PORT = 8000


def main(words: Sequence[str]) -> int:
    """Serves a policy until it is interrupted; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a policy that isn't there or whose inputs the keys don't
            name, or a port that is taken.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    config = load_server_config(wanted.keys)
    # Torch takes seconds to come, which neither help nor a mistyped option waits for.
    from expo_ft_ros.experiment.trained import find_trained
    from expo_ft_ros.rl.agent import Agent
    from expo_ft_ros.robots import load_robot
    from expo_ft_ros.serving.served_policy import ServedPolicy
    from expo_ft_ros.serving.server import PolicyServer
    from expo_ft_ros.tasks import load_task

    trained = find_trained(wanted.policy)
    robot = load_robot(trained.robot)
    try:
        trained.config.vla.require_files()
        agent = Agent(
            load_task(trained.task), trained.config, robot.views, 0, trained.weights.algorithm
        )
        agent.load_weights(trained.weights.path)
    except ValueError as error:
        raise ConfigError(f"{trained.weights.path}: {error}") from error
    served = ServedPolicy(agent, robot, config)
    logging.basicConfig(level=logging.INFO)
    server = PolicyServer(served.infer, served.metadata(), wanted.host, wanted.port)
    try:
        for note in trained.weights.notes:
            print(note)
        print(f"Task: {trained.task}, keys: {config.file}")
        until_interrupted(f"Policy server: {server.address} (Ctrl-C ends it)")
    finally:
        server.close()
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft serve",
        description="Serves a trained policy by openpi's websocket protocol: as in an evaluation, "
        "nothing is explored. Nothing is encrypted, and who reaches the address may ask.",
    )
    made.add_argument(
        "policy",
        nargs="?",
        default="latest",
        help="a training's folder, a checkpoint's file, `latest`, or `demo`",
    )
    made.add_argument("--host", default=LOCAL_HOST, help="that it listens on")
    made.add_argument("--port", type=int, default=_PORT, help="and at")
    made.add_argument(
        "--keys",
        default=DEFAULT_KEYS,
        help=f"what an observation's parts are called: a file of config/{SERVERS.folder}/, or a "
        "path",
    )
    return made
