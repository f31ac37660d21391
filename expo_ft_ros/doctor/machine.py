# SPDX-License-Identifier: Apache-2.0
"""What this machine has, what it lacks, and how to mend it.

Each check is a function without arguments that returns a `Check` and never raises for what it
finds.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

from expo_ft_ros.doctor.check import Check

_GIGABYTE = 1e9
_NEEDED_DISK = 2.0
_NEEDED_SHARED_MEMORY = 0.5
_TICK = 0.005
_TICKS = 40
_LATE_TICK = 0.005
_SPACEMOUSE_VENDORS = ("0000046D", "0000256F")
_SPACEMOUSE_NAMES = ("3dconnexion", "space")

_RENDER = """
import mujoco
from expo_ft_ros.sim.gl import choose_gl
from expo_ft_ros.sim.render import make_renderer
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><camera name="eye" pos="0 0 1"/><light pos="0 0 2"/>'
    '<geom type="sphere" size="0.2" rgba="1 0 0 1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = make_renderer(model, 8)
image = renderer.render(data, "eye")
assert image.shape == (8, 8, 3) and image.max() > 0, "a black image"
renderer.close()
print(choose_gl())
"""


def check_ros() -> Check:
    """ROS 2's Python client imports."""
    try:
        importlib.import_module("rclpy")
    except ImportError as error:
        return Check(
            "ROS 2", "fail", f"{error}", "run ./expo-ft, or source /opt/ros/<distro>/setup.bash"
        )
    source = os.environ.get("ROS_DISTRO", "from wheels")
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    return Check("ROS 2", "ok", f"{source}, domain {domain}, discovery {reach}")


def check_interfaces() -> Check:
    """The type of every topic and service of the graph imports."""
    from expo_ft_ros.graph.topics import OPTIONAL_PACKAGES, SERVICES, TOPICS

    left_out = set()
    for kind, table in (("msg", TOPICS), ("srv", SERVICES)):
        for entry in table.values():
            package, _, name = entry.type.partition("/")
            try:
                getattr(importlib.import_module(f"{package}.{kind}"), name)
            except (ImportError, AttributeError) as error:
                if package in OPTIONAL_PACKAGES:
                    left_out.add(package)
                    continue
                remedy = f"install ros-<distro>-{package.replace('_', '-')}"
                if package == "expo_ft_ros":
                    remedy = "run ./expo-ft, or colcon build and source install/setup.bash"
                return Check("interfaces", "fail", f"{entry.type} of {entry.name}: {error}", remedy)
    text = f"{len(TOPICS)} topics, {len(SERVICES)} services"
    if left_out:
        text += f" (none of {', '.join(sorted(left_out))}, which isn't installed)"
    return Check("interfaces", "ok", text)


def check_middleware() -> Check:
    """Fast DDS reads the profile of this graph, and shared memory has room for its segments."""
    chosen = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if not chosen.startswith("rmw_fastrtps"):
        return Check("middleware", "ok", f"{chosen}: config/fastdds.xml is not used")
    path = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
    remedy = "export FASTDDS_DEFAULT_PROFILES_FILE=<package share>/config/fastdds.xml"
    if not path:
        return Check("middleware", "missing", "FASTDDS_DEFAULT_PROFILES_FILE is not set", remedy)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        return Check("middleware", "fail", f"{path}: {error}", remedy)
    kinds = [element.text for element in root.iter() if element.tag.endswith("}type")]
    if "SHM" not in kinds:
        return Check("middleware", "missing", f"{path} has no shared-memory transport", remedy)
    free = shutil.disk_usage("/dev/shm").free / _GIGABYTE
    if free < _NEEDED_SHARED_MEMORY:
        return Check(
            "middleware", "fail",
            f"/dev/shm has {free:.2f} GB free, a graph needs {_NEEDED_SHARED_MEMORY} GB",
            "docker run --shm-size=1g; or remove /dev/shm/fastdds_* of killed processes",
        )  # fmt: skip
    return Check("middleware", "ok", f"{chosen}, {path}, {free:.1f} GB shared memory")


def check_configuration() -> Check:
    """Every task file can be read."""
    from expo_ft_ros.configuration import ConfigError, config_dir
    from expo_ft_ros.tasks import known_tasks, load_task

    try:
        names = known_tasks()
        for name in names:
            load_task(name)
        return Check("tasks", "ok", f"{', '.join(names)} in {config_dir()}")
    except ConfigError as error:
        return Check("tasks", "fail", f"{error}")


def check_rendering(program: str = _RENDER, patience: float = 30.0) -> Check:
    """MuJoCo renders a small image, in a process of its own: a bad driver crashes or hangs."""
    remedy = "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri, or MUJOCO_GL=disable"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, timeout=patience, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Check("rendering", "fail", f"no image within {patience:g} s", remedy)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Check("rendering", "fail", last, remedy)
    backend = done.stdout.split()[-1]
    if backend == "raycast":
        return Check("rendering", "missing", "no OpenGL: ray casting, slower and flat", remedy)
    return Check("rendering", "ok", f"MuJoCo by {backend}")


def check_torch() -> Check:
    """Torch imports, and uses the GPU where there is one."""
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        return Check("torch", "fail", f"{error}", "run ./expo-ft")
    version = torch.__version__
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / _GIGABYTE
        return Check("torch", "ok", f"{version}, {torch.cuda.get_device_name(0)}, {memory:.0f} GB")
    remedy = "enough for size:=small; a large policy needs an NVIDIA GPU"
    if shutil.which("nvidia-smi"):
        remedy = "there is an NVIDIA driver: install a CUDA build of torch into .venv"
    return Check("GPU", "missing", f"none that torch {version} can use", remedy)


def check_spacemouse(system: Path = Path("/")) -> Check:
    """A SpaceMouse: spacenavd's socket, or the device itself.

    Args:
        system: Root of the file system to look at.
    """
    name = "SpaceMouse"
    for socket in ("var/run/spnav.sock", "run/spnav.sock"):
        if (system / socket).exists():
            return Check(name, "ok", f"spacenavd at /{socket}")
    for event in sorted(system.glob("sys/class/hidraw/hidraw*/device/uevent")):
        values = dict(line.split("=", 1) for line in event.read_text().splitlines() if "=" in line)
        vendor = (values.get("HID_ID", "").split(":") + [""] * 2)[1].upper()
        label = values.get("HID_NAME", "")
        if vendor in _SPACEMOUSE_VENDORS and any(n in label.lower() for n in _SPACEMOUSE_NAMES):
            device = system / "dev" / event.parts[-3]
            if not os.access(device, os.R_OK):
                return Check(
                    name, "missing", f"{label} at {device} may not be read by you",
                    "apt-get install spacenavd",
                )  # fmt: skip
            return Check(name, "ok", f"{label} at {device}")
    return Check(
        name, "missing", "none found",
        "plug it in and apt-get install spacenavd, or take operator:=keyboard; the simulation has "
        "a scripted operator",
    )  # fmt: skip


def check_cameras(system: Path = Path("/")) -> Check:
    """Video devices: a run on a robot takes two cameras.

    Args:
        system: Root of the file system to look at.
    """
    devices = sorted(path.name for path in system.glob("dev/video*"))
    if devices:
        return Check("cameras", "ok", f"/dev/{', /dev/'.join(devices)}")
    return Check("cameras", "missing", "none found", "plug them in; the simulation draws its own")


def check_disk(folder: Path = Path()) -> Check:
    """Room for a run's episodes and checkpoints.

    Args:
        folder: Where runs are written.
    """
    free = shutil.disk_usage(folder).free / _GIGABYTE
    text = f"{free:.0f} GB free at {folder.resolve()}"
    if free < _NEEDED_DISK:
        return Check("disk", "fail", text, f"free {_NEEDED_DISK:.0f} GB, or start elsewhere")
    return Check("disk", "ok", text)


def check_kernel() -> Check:
    """Whether the control loop is let in as soon as it is woken."""
    from expo_ft_ros.control.thread_priority import SINCE

    release = platform.release()
    found = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    text = f"Linux {release}"
    if found >= SINCE:
        return Check("kernel", "ok", f"{text}, short slices")
    remedy = (
        f"Linux {SINCE[0]}.{SINCE[1]}: before it a busy core delays a correction by 10 ms and more"
    )
    return Check("kernel", "missing", f"{text} has no short slices", remedy)


def check_priority() -> Check:
    """Whether the control loop may come before all else that runs."""
    from expo_ft_ros.control.thread_priority import may_set_fifo_priority

    if may_set_fifo_priority():
        return Check("priority", "ok", "real-time priority is granted")
    remedy = (
        "a limit on rtprio for your user in /etc/security/limits.conf, as libfranka asks for: "
        "without it a busy core delays a tick by some milliseconds"
    )
    return Check("priority", "missing", "no real-time priority", remedy)


def check_clock() -> Check:
    """How late a steady timer fires: what the control tick can expect of this machine."""
    due, late = time.monotonic(), []
    for _ in range(_TICKS):
        due += _TICK
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
    worst = max(late)
    text = f"{len(os.sched_getaffinity(0))} cores, timer late by {worst * 1e3:.1f} ms at worst"
    if worst > _LATE_TICK:
        return Check("clock", "missing", text, "the machine is busy: on a robot, end other work")
    return Check("clock", "ok", text)


CHECKS: tuple[Callable[[], Check], ...] = (
    check_ros,
    check_interfaces,
    check_middleware,
    check_configuration,
    check_rendering,
    check_torch,
    check_spacemouse,
    check_cameras,
    check_disk,
    check_kernel,
    check_priority,
    check_clock,
)
