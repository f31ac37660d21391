# SPDX-License-Identifier: Apache-2.0
"""What `ros2 launch` has to know of a run, told by the interpreter that the run's nodes have.

    python -m expo_ft_ros.bringup.handover describe train
    python -m expo_ft_ros.bringup.handover robot franka_ros2
    python -m expo_ft_ros.bringup.handover open train task:=cube_pick ...

`ros2` runs in the Python of the ROS distribution, which need not have what our nodes need (torch)
and may have other versions of what both do (pydantic 1). So the launch files know of the run by way
of this program only, in JSON, a line. Its locks are held until its standard input is closed, which
is when launch ends, however that happens.
"""

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from expo_ft_ros.bringup.commands import GRAPH_COMMANDS
from expo_ft_ros.bringup.process import write_parameters
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.arguments import describe
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.run_folder import RunFinished
from expo_ft_ros.robots import RobotConfig, load_robot


def main(words: Sequence[str] | None = None) -> int:
    """Answers one question; returns the exit code: 0, or 2 for what is refused."""
    verb, command, *arguments = sys.argv[1:] if words is None else words
    # Of a Ctrl-C in the terminal, launch takes care.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if verb == "describe":
        _tell({"arguments": describe(GRAPH_COMMANDS[command].options)})
        return 0
    if verb == "robot":
        try:
            _tell({"robot": describe_robot(load_robot(command))})
        except ConfigError as error:
            _tell({"refused": f"robot:={command}: {' '.join(str(error).split())}"})
            return 2
        return 0
    try:
        run, specs = GRAPH_COMMANDS[command].open(arguments)
    except RunFinished as finished:
        _tell({"finished": str(finished)})
        return 0
    except ConfigError as error:
        _tell({"refused": " ".join(str(error).split())})
        return 2
    folder = run.path / "params"
    _tell(
        {
            "run": str(run.path),
            "notes": run.notes,
            "environment": ros_environment(run.domain_folder),
            "python": sys.executable,
            "robot": describe_robot(load_robot(run.options.robot)),
            "nodes": [
                {"spec": asdict(spec), "parameters": str(write_parameters(spec, folder))}
                for spec in specs
            ],
        }
    )
    sys.stdin.buffer.read()
    run.close()
    return 0


def describe_robot(robot: RobotConfig) -> dict[str, Any]:
    """What drivers are started by (`bringup.drivers`)."""
    driver = robot.franka_driver
    return {
        "name": robot.name,
        "namespace": driver.namespace if driver else "",
        "manager": driver.manager if driver else "",
        "controller": driver.controller if driver else "",
        "activate": bool(driver and driver.activate),
        "is_distributed": bool(driver and driver.is_distributed),
        "views": {view.name: view.topic for view in robot.views},
    }


def _tell(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    sys.exit(main())
