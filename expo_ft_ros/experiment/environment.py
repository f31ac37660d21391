"""The environment in which the nodes run: middleware, discovery, search paths."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO

import expo_ft_ros
from expo_ft_ros.configuration import ConfigError, config_dir

ISOLATE_VARIABLE = "EXPO_FT_ISOLATE"
"""Set to 1: each run gets a ROS domain of its own, for several at a time on one machine."""

_DOMAINS = 230


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
    if os.environ.get(ISOLATE_VARIABLE) == "1":
        found["ROS_DOMAIN_ID"] = str(isolated_domain(run_dir))
    kept = {name: value for name, value in found.items() if name not in os.environ}
    return {**kept, "PYTHONPATH": _python_path()}


def isolated_domain(run_dir: Path) -> int:
    """A ROS domain, 1 to 230, that is always the same for the folder."""
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
    if os.environ.get(ISOLATE_VARIABLE) == "1" and "ROS_DOMAIN_ID" not in os.environ:
        raise ConfigError(
            f"{ISOLATE_VARIABLE}=1 gives each run a ROS domain of its own, which is not known here "
            "(set ROS_DOMAIN_ID to the same number in both terminals)"
        )


def claim_domain(folder: Path | None = None) -> IO[str] | None:
    """Takes this machine's ROS domain for one graph; held as long as the file stays open.

    Two graphs in one domain would drive one robot. None where each run has a domain of its own.

    Args:
        folder: Where the lock lies; by default the system's folder for temporary files.

    Raises:
        ConfigError: when a graph of ours runs in the domain already.
    """
    if os.environ.get(ISOLATE_VARIABLE) == "1":
        return None
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    path = (folder or Path(tempfile.gettempdir())) / f"expo_ft_ros_domain_{domain}.lock"
    # Whoever made the file, everybody may lock it.
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT, 0o666))
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise ConfigError(
            f"ROS_DOMAIN_ID {domain}: a graph of expo_ft_ros runs in it already (stop it, or set "
            f"another ROS_DOMAIN_ID, or {ISOLATE_VARIABLE}=1 for a domain of this run's own)"
        ) from None
    return stream


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
