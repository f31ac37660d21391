# SPDX-License-Identifier: Apache-2.0
"""The environment in which the nodes run: middleware, discovery, search paths."""

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import expo_ft_ros
from expo_ft_ros.configuration import ConfigError, config_dir, nearest
from expo_ft_ros.robots import RobotConfig

ISOLATE_VARIABLE = "EXPO_FT_ISOLATE"
"""Set to 1: each run gets a ROS domain of its own, for several at a time on one machine."""

DOMAIN_VARIABLE = "ROS_DOMAIN_ID"
LAST_DOMAIN = 232
"""Of the next one the ports are none."""

_DOMAINS = 100
_SPACENAV_LIBRARY = "libspnav.so.0"
_MIDDLEWARE_VARIABLE = "RMW_IMPLEMENTATION"
_RANGE_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
# With OFF the nodes of one machine wouldn't find each other.
_RANGES = ("LOCALHOST", "SUBNET", "SYSTEM_DEFAULT")


def require_environment() -> None:
    """Checks that a graph can run in the environment that this process has.

    Raises:
        ConfigError: naming the variable, or what is missing and how to get it.
    """
    require_ros()
    _require_choice(ISOLATE_VARIABLE, ("0", "1"))
    _require_choice(_RANGE_VARIABLE, _RANGES)
    domain()
    _require_middleware()
    _require_profile()


def domain() -> int:
    """The ROS domain that the environment names; 0 where it names none.

    Raises:
        ConfigError: for what is no domain.
    """
    text = os.environ.get(DOMAIN_VARIABLE) or "0"
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > LAST_DOMAIN:
        raise ConfigError(
            f"{DOMAIN_VARIABLE}={text}: no ROS domain (take a whole number from 0 to "
            f"{LAST_DOMAIN}, or unset it)"
        )
    return int(text)


def require_wandb(project: str) -> None:
    """Raises ConfigError where the extra `wandb` isn't installed."""
    if importlib.util.find_spec("wandb") is None:
        raise ConfigError(
            f"wandb:={project}: wandb is not installed (pip install 'expo-ft-ros[wandb]')"
        )


def require_room_on_disk(folder: Path, needed: int) -> None:
    """Checks that a run can be written.

    Args:
        folder: Where to; it need not be there yet.
        needed: How much the run will write [bytes].

    Raises:
        ConfigError: where less is free.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ConfigError(
            f"{folder}: {_in_words(free)} are free there, the run needs about {_in_words(needed)} "
            "(make room, or give run_dir:= or EXPO_FT_RUNS on another disk)"
        )


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _require_choice(variable: str, known: Sequence[str]) -> None:
    value = os.environ.get(variable)
    if value and value not in known:
        raise ConfigError(f"{variable}={value}: not known ({nearest(value, known)}; or unset it)")


def _require_middleware() -> None:
    """A sourced ROS 2 says in its index which implementations it has."""
    name = os.environ.get(_MIDDLEWARE_VARIABLE)
    prefixes = os.environ.get("AMENT_PREFIX_PATH") or sys.prefix
    index = Path("share/ament_index/resource_index/rmw_typesupport")
    found = {
        path.name
        for prefix in prefixes.split(os.pathsep)
        for path in (Path(prefix) / index).glob("rmw_*")
        if path.name != "rmw_implementation"
    }
    # Without an index nothing is known; the middleware itself will say.
    if name and found and name not in found:
        raise ConfigError(
            f"{_MIDDLEWARE_VARIABLE}={name}: not installed ({nearest(name, found)}; apt install "
            f"ros-{os.environ.get('ROS_DISTRO', '<distro>')}-{name.replace('_', '-')}, or unset it)"
        )


def _require_profile() -> None:
    """Fast DDS would go on without the profile, in another transport than was meant."""
    for variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        path = os.environ.get(variable)
        if path and not Path(path).is_file():
            raise ConfigError(f"{variable}={path}: no such file (name another one, or unset it)")


def ros_environment(run_dir: Path) -> dict[str, str]:
    """What the nodes of a run need beyond the present environment; what is set already is kept.

    Args:
        run_dir: The run's folder; with `EXPO_FT_ISOLATE=1` the domain is derived from it.
    """
    found: dict[str, str] = {}
    profile = config_dir() / "fastdds.xml"
    if profile.is_file() and "FASTRTPS_DEFAULT_PROFILES_FILE" not in os.environ:
        found["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
        # The profile says who is written for by a thread of Fast DDS; the default overrules it.
        found["RMW_FASTRTPS_PUBLICATION_MODE"] = "AUTO"
    if "ROS_DISTRO" not in os.environ:
        # ROS from wheels: nobody has sourced a setup file that would say so.
        found["AMENT_PREFIX_PATH"] = sys.prefix
        found["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"
    found["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    found["ROS_LOG_DIR"] = str(run_dir / "logs" / "ros")
    if _is_isolated():
        found["ROS_DOMAIN_ID"] = str(isolated_domain(run_dir))
    # An empty variable is one that isn't set, to ROS as well.
    kept = {name: value for name, value in found.items() if not os.environ.get(name)}
    return {**kept, "PYTHONPATH": _python_path()}


def isolated_domain(run_dir: Path) -> int:
    """A ROS domain, 1 to 100, that is always the same for the folder. Another folder may have the
    same one: `claim_domain` tells."""
    digest = hashlib.sha256(str(run_dir.resolve()).encode()).digest()
    return 1 + int.from_bytes(digest[:4], "big") % _DOMAINS


def require_ros() -> None:
    """Checks that nodes can run here.

    Raises:
        ConfigError: naming what is missing and how to get it.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigError(
            "ROS 2's rclpy is not installed in this Python "
            "(run ./expo-ft, which sets it up, or source a ROS 2 installation)"
        )
    if importlib.util.find_spec("expo_ft_ros.msg") is None:
        raise ConfigError(
            "the messages of expo_ft_ros are not built "
            "(run ./expo-ft, which builds them, or colcon build and source install/setup.bash)"
        )


def require_chosen_domain() -> None:
    """Checks that a node beside a graph can know the graph's ROS domain.

    Raises:
        ConfigError: where each run has one of its own; says what to do.
    """
    if _is_isolated():
        raise ConfigError(
            f"{ISOLATE_VARIABLE}=1 gives each run a ROS domain of its own, which is not known here "
            "(set ROS_DOMAIN_ID to the same number in both terminals)"
        )


def claim_domain(run_dir: Path, namespace: str = "", folder: Path | None = None) -> IO[str]:
    """Takes a namespace of this machine's ROS domain for one graph; held while the file is open.

    Two graphs in one would drive one robot.

    Args:
        run_dir: Of the graph, whose domain follows from it with `EXPO_FT_ISOLATE=1`.
        namespace: Of the graph, "/left"; "" for the root.
        folder: Where the lock lies; by default the system's folder for temporary files.

    Raises:
        ConfigError: when a graph of ours runs in the domain already.
    """
    isolated = _is_isolated()
    number = isolated_domain(run_dir) if isolated else domain()
    place = f"{number}{namespace}".replace("/", ".")
    path = (folder or Path(tempfile.gettempdir())) / f"expo_ft_ros_domain_{place}.lock"
    # Every user may lock a file that another one has made.
    try:
        stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT, 0o666))
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be opened: {error.strerror} (set TMPDIR to a folder of yours)"
        ) from None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        remedy = (
            f"name another run_dir, or ROS_DOMAIN_ID: {ISOLATE_VARIABLE}=1 has taken this one by "
            f"the folder {run_dir}"
            if isolated
            else f"stop it, or set another ROS_DOMAIN_ID or namespace:=, or {ISOLATE_VARIABLE}=1 "
            "for a domain of this run's own"
        )
        raise ConfigError(
            f"ROS_DOMAIN_ID {number}{f', namespace {namespace}' if namespace else ''}: a graph of "
            f"expo_ft_ros runs in it already ({remedy})"
        ) from None
    return stream


def _is_isolated() -> bool:
    """Whether each run has a domain of its own; one that is named holds for all of them."""
    return os.environ.get(ISOLATE_VARIABLE) == "1" and not os.environ.get(DOMAIN_VARIABLE)


def require_spacenav_library() -> None:
    """Checks that a SpaceMouse can be read without spacenav_node.

    Raises:
        ConfigError: when libspnav isn't installed.
    """
    try:
        ctypes.CDLL(_SPACENAV_LIBRARY)
    except OSError:
        raise ConfigError(
            f"spacemouse:=libspnav: {_SPACENAV_LIBRARY} is missing (apt-get install libspnav0 "
            "spacenavd, or take spacemouse:=spacenav_node)"
        ) from None


def require_robot_packages(robot: RobotConfig) -> None:
    """Checks that the adapter's messages are there.

    Args:
        robot: Whose adapter is started.

    Raises:
        ConfigError: for the first package that is missing, with where it is had from.
    """
    for package, source in robot.controller.packages if robot.controller else ():
        require_package(f"robot:={robot.name}", package, source)


def require_package(option: str, package: str, source: str) -> None:
    """Checks that a Python package is there.

    Args:
        option: Which needs it.
        package: Its name.
        source: Where it is had from.

    Raises:
        ConfigError: when it is missing.
    """
    if importlib.util.find_spec(package) is None:
        source = source.replace("$ROS_DISTRO", os.environ.get("ROS_DISTRO", "<distro>"))
        raise ConfigError(
            f"{option}: {package} is not installed in this Python ({source}; then source its "
            "workspace)"
        )


def find_rviz() -> str:
    """The rviz2 program.

    Raises:
        ConfigError: when it isn't installed.
    """
    program = shutil.which("rviz2")
    if program is None:
        distribution = os.environ.get("ROS_DISTRO", "<distro>")
        raise ConfigError(
            f"rviz:=true: rviz2 is not installed (apt install ros-{distribution}-rviz2, "
            "or leave rviz out)"
        )
    return program


def _python_path() -> str:
    """The children must import the very package that this process runs from."""
    home = str(Path(expo_ft_ros.__file__).resolve().parents[1])
    present = os.environ.get("PYTHONPATH", "")
    parts = [part for part in present.split(os.pathsep) if part]
    if home in parts or home.endswith("site-packages"):
        return present
    return os.pathsep.join([home, *parts])
