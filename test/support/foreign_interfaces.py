# SPDX-License-Identifier: Apache-2.0
"""The interfaces of other packages that adapters speak, for tests where those aren't installed.

Names, fields and constants are those of franka_msgs (franka_ros2, jazzy), control_msgs and
moveit_msgs; of a state message only the fields that matter here. Generated once for a machine, into
its folder for temporary files, never into the package.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ERRORS = (
    "joint_position_limits_violation",
    "self_collision_avoidance_violation",
    "joint_velocity_violation",
    "joint_reflex",
    "cartesian_reflex",
    "communication_constraints_violation",
    "power_limit_violation",
)
"""Of the 36 of franka_msgs/Errors."""

DEFINITIONS = {
    "franka_msgs": {
        "msg/Errors.msg": "".join(f"bool {name}\n" for name in ERRORS),
        "msg/FrankaRobotState.msg": """\
std_msgs/Header header
uint8 ROBOT_MODE_OTHER=0
uint8 ROBOT_MODE_IDLE=1
uint8 ROBOT_MODE_MOVE=2
uint8 ROBOT_MODE_GUIDING=3
uint8 ROBOT_MODE_REFLEX=4
uint8 ROBOT_MODE_USER_STOPPED=5
uint8 ROBOT_MODE_AUTOMATIC_ERROR_RECOVERY=6
uint8 robot_mode
Errors current_errors
Errors last_motion_errors
""",
        "msg/GraspEpsilon.msg": "float64 inner 0.005\nfloat64 outer 0.005\n",
        "action/Move.action": """\
float64 width
float64 speed
---
bool success
string error
---
float64 current_width
""",
        "action/Grasp.action": """\
float64 width
GraspEpsilon epsilon
float64 speed
float64 force
---
bool success
string error
---
float64 current_width
""",
        "action/ErrorRecovery.action": "---\n---\n",
    },
    "control_msgs": {
        "msg/GripperCommand.msg": "float64 position\nfloat64 max_effort\n",
        "action/GripperCommand.action": """\
GripperCommand command
---
float64 position
float64 effort
bool stalled
bool reached_goal
---
float64 position
float64 effort
bool stalled
bool reached_goal
""",
        "action/ParallelGripperCommand.action": """\
sensor_msgs/JointState command
---
sensor_msgs/JointState state
bool stalled
bool reached_goal
---
sensor_msgs/JointState state
""",
    },
    "moveit_msgs": {
        "msg/ServoStatus.msg": """\
int8 INVALID=-1
int8 NO_WARNING=0
int8 DECELERATE_FOR_APPROACHING_SINGULARITY=1
int8 HALT_FOR_SINGULARITY=2
int8 DECELERATE_FOR_LEAVING_SINGULARITY=3
int8 DECELERATE_FOR_COLLISION=4
int8 HALT_FOR_COLLISION=5
int8 JOINT_BOUND=6
int8 code
string message
""",
        "srv/ServoCommandType.srv": """\
int8 JOINT_JOG=0
int8 TWIST=1
int8 POSE=2
int8 command_type
---
bool success
""",
    },
}

_ROOT = Path(__file__).resolve().parents[2]
_CMAKE = """\
cmake_minimum_required(VERSION 3.20)
project({name} LANGUAGES C CXX)
list(APPEND CMAKE_MODULE_PATH "{modules}")
include(ros_from_wheels)
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(std_msgs REQUIRED)
find_package(sensor_msgs REQUIRED)
find_package(action_msgs REQUIRED)
drop_missing_include_directories()
rosidl_generate_interfaces(${{PROJECT_NAME}} {files} DEPENDENCIES std_msgs sensor_msgs action_msgs)
keep_numpy_out_of_the_export(${{PROJECT_NAME}}__rosidl_generator_py)
ament_package()
"""
_PACKAGE = """\
<package format="3">
  <name>{name}</name>
  <version>0.0.0</version>
  <description>For tests.</description>
  <maintainer email="nobody@example.com">nobody</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>std_msgs</depend>
  <depend>sensor_msgs</depend>
  <depend>action_msgs</depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
</package>
"""


def foreign_interfaces() -> Path:
    """The prefix that they are installed in; generated where that hasn't been done.

    Raises:
        AssertionError: with the tool's words, where they can't be.
    """
    said = json.dumps([DEFINITIONS, _CMAKE, _PACKAGE, sys.version, os.environ.get("ROS_DISTRO")])
    digest = hashlib.sha256(said.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"expo_ft_ros_test_interfaces_{digest}"
    folder.mkdir(exist_ok=True)
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.is_file():
            for name, files in DEFINITIONS.items():
                _generate(name, files, folder)
            done.touch()
    return folder / "install"


def environment_with(prefix: Path) -> dict[str, str]:
    """What a process needs to find them."""

    def before(variable: str, path: Path) -> str:
        return os.pathsep.join(filter(None, [str(path), os.environ.get(variable)]))

    python = prefix / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    return {
        "AMENT_PREFIX_PATH": before("AMENT_PREFIX_PATH", prefix),
        "LD_LIBRARY_PATH": before("LD_LIBRARY_PATH", prefix / "lib"),
        "PYTHONPATH": before("PYTHONPATH", python),
    }


def _generate(name: str, files: dict[str, str], folder: Path) -> None:
    source, build = folder / "src" / name, folder / "build" / name
    for file, text in files.items():
        path = source / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    listed = " ".join(f'"{file}"' for file in files)
    modules = _ROOT / "cmake"
    (source / "CMakeLists.txt").write_text(_CMAKE.format(name=name, files=listed, modules=modules))
    (source / "package.xml").write_text(_PACKAGE.format(name=name))
    generator = ["-G", "Ninja"] if _which("ninja") else []
    _run(
        *(_which("cmake") or "cmake", "-S", str(source), "-B", str(build), *generator),
        "-DCMAKE_BUILD_TYPE=Debug",
        "-DBUILD_TESTING=OFF",
        f"-DCMAKE_INSTALL_PREFIX={folder / 'install'}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DPython3_FIND_VIRTUALENV=ONLY",
    )
    _run(_which("cmake") or "cmake", "--build", str(build), "--target", "install")
    shutil.rmtree(build)


def _which(program: str) -> str | None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which(program, path=path)


def _run(*command: str) -> None:
    folder = str(Path(sys.executable).parent)
    environment = {k: v for k, v in os.environ.items() if k != "AMENT_PREFIX_PATH"}
    if "ROS_DISTRO" in os.environ:
        environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=900
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
