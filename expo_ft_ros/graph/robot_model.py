# SPDX-License-Identifier: Apache-2.0
"""The simulated arm's model for rviz, where the ROS installation has what it takes.

python -m expo_ft_ros.graph.robot_model FOLDER [NAMESPACE]

Becomes robot_state_publisher of franka_description's FR3, whose joints have the names that the
simulation uses; FOLDER gets its parameters. On a robot its own driver does this (franka_ros2 does).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from expo_ft_ros.parent_process import die_with_parent

MODEL = "share/franka_description/robots/fr3/fr3.urdf.xacro"
PUBLISHER = "lib/robot_state_publisher/robot_state_publisher"
PARAMETERS_FILE = "robot_state_publisher.yaml"


def is_installed() -> bool:
    """Whether there are robot_state_publisher, xacro and franka_description."""
    return None not in (shutil.which("xacro"), _installed(MODEL), _installed(PUBLISHER))


def main(folder: Path, namespace: str = "") -> int:
    """Writes the URDF as a parameter and becomes the publisher; returns only where that fails."""
    die_with_parent()
    model, publisher = _installed(MODEL), _installed(PUBLISHER)
    if model is None or publisher is None:
        print(f"{MODEL} or {PUBLISHER} is in no folder of AMENT_PREFIX_PATH", file=sys.stderr)
        return 1
    made = subprocess.run(
        ["xacro", str(model), "hand:=true"], stdout=subprocess.PIPE, text=True, check=False
    )
    if made.returncode:
        print(f"xacro could not read {model} (its words are above)", file=sys.stderr)
        return 1
    parameters = folder / PARAMETERS_FILE
    content = {"/**": {"ros__parameters": {"robot_description": made.stdout}}}
    parameters.write_text(yaml.safe_dump(content))
    arguments = ["--ros-args", "--params-file", str(parameters)]
    if namespace:
        arguments += ["-r", f"__ns:={namespace}", "-r", "/tf:=tf", "-r", "/tf_static:=tf_static"]
    os.execv(publisher, [str(publisher), *arguments])


def _installed(name: str) -> Path | None:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    paths = (Path(prefix) / name for prefix in prefixes if prefix)
    return next((path for path in paths if path.is_file()), None)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:3]))
