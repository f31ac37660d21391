# SPDX-License-Identifier: Apache-2.0
"""Which of a robot's guided checks (`expo-ft bringup`) have passed, and with which of its settings.

RECORD_FILE of the runs' folder keeps the newest result of each check by robot. A run on a robot
says what is missing, and keeps a copy of what there is.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import DiskError, write_atomically, writing
from expo_ft_ros.experiment.motion import has_motion, target_of
from expo_ft_ros.experiment.options import CollectOptions, EvalOptions, RunOptions
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.robots.config import SIM

RECORD_FILE = "brought_up.json"
"""In the runs' folder: robot, as `motion.target_of` calls it -> its checks."""
COPY_FILE = "bringup.json"
"""In a run's folder: those of its robot, as they were when it began."""

Status = Literal["passed", "skipped", "failed"]

DEPENDS: Mapping[str, tuple[str, ...]] = {
    "still": ("frames",),
    "axes": ("limits", "frames"),
    "workspace": ("frames", "workspace"),
    "stop": ("limits",),
    "cameras": ("views",),
}
"""Check -> parts of the robot's file that it is of; the checks in their order."""
CHECKS = tuple(DEPENDS)


def versions_of(robot: RobotConfig) -> dict[str, str]:
    """Part of the robot's file -> a digest of it, which changes when the part does."""
    content = robot.model_dump(mode="json")
    parts = sorted({part for parts in DEPENDS.values() for part in parts})
    return {
        part: hashlib.sha256(json.dumps(content[part], sort_keys=True).encode()).hexdigest()[:16]
        for part in parts
    }


def entry_of(
    status: Status, text: str, numbers: Mapping[str, Any], robot: RobotConfig
) -> dict[str, Any]:
    """A check's result, as it is kept.

    Args:
        status: What came of it.
        text: The same in words.
        numbers: What was measured.
        robot: Of which.
    """
    return {
        "status": status,
        "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "text": text,
        "numbers": dict(numbers),
        "versions": versions_of(robot),
    }


def keep_check(file: Path, target: str, check: str, entry: Mapping[str, Any]) -> None:
    """Writes a check's result in place of the one before; those of other checks and robots stay.

    Args:
        file: RECORD_FILE, or a run's copy.
        target: As `motion.target_of`.
        check: One of CHECKS.
        entry: As `entry_of`.

    Raises:
        DiskError: where it can't be written; the file is as it was.
        ConfigError: where it holds something else, which isn't overwritten.
    """
    content = _read(file)
    if content is None:
        raise ConfigError(f"{file}: is no record of checks (move it away; they are then done anew)")
    own = content.get(target)
    checks = {**own, check: dict(entry)} if isinstance(own, dict) else {check: dict(entry)}
    ordered = {name: checks[name] for name in CHECKS if name in checks}
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, {**content, target: ordered})


def checks_of(file: Path, target: str) -> dict[str, dict[str, Any]]:
    """Check -> its newest result; none where there is no record, or it can't be read.

    Args:
        file: RECORD_FILE, or a run's copy.
        target: As `motion.target_of`.
    """
    found = (_read(file) or {}).get(target)
    if not isinstance(found, dict):
        return {}
    return {
        name: found[name]
        for name in CHECKS
        if isinstance(found.get(name), dict) and isinstance(found[name].get("status"), str)
    }


def missing_checks(checks: Mapping[str, Mapping[str, Any]], robot: RobotConfig) -> list[str]:
    """What a robot lacks to be brought up, a few words a check; none where nothing is missing.

    Args:
        checks: As `checks_of`.
        robot: With its settings of today.
    """
    now, lacking = versions_of(robot), []
    for name, parts in DEPENDS.items():
        entry = checks.get(name)
        if entry is None:
            lacking.append(name)
        elif entry["status"] != "passed":
            lacking.append(f"{name} ({entry['status']})")
        else:
            then = entry.get("versions")
            then = then if isinstance(then, dict) else {}
            others = [part for part in parts if then.get(part) != now[part]]
            if others:
                lacking.append(f"{name} (done with other {', '.join(others)})")
    return lacking


def bringup_notes(options: RunOptions, runs: Path) -> list[str]:
    """What a run on a robot is told as it begins: a line where it isn't brought up, else nothing.

    Args:
        options: Of the run, with `motion` filled in.
        runs: Folder of the runs.
    """
    robot = load_robot(options.robot)
    if not _counts(options, robot):
        return []
    lacking = missing_checks(checks_of(runs / RECORD_FILE, target_of(options, robot)), robot)
    if not lacking:
        return []
    return [f"not brought up: {', '.join(lacking)} missing; ./expo-ft bringup {_words(options)}"]


def copy_record(options: RunOptions, runs: Path, run: Path) -> None:
    """Puts what is known of a run's robot beside the run; nothing where there is no record.

    Args:
        options: Of the run, with `motion` filled in.
        runs: Folder of the runs.
        run: The run's folder.

    Raises:
        ConfigError: where it can't be written.
    """
    robot = load_robot(options.robot)
    if not _counts(options, robot):
        return
    target = target_of(options, robot)
    checks = checks_of(runs / RECORD_FILE, target)
    if not checks:
        return
    try:
        write_atomically(run / COPY_FILE, {target: checks})
    except DiskError as error:
        raise ConfigError(str(error)) from None


def _counts(options: RunOptions, robot: RobotConfig) -> bool:
    """Whether the run is one on a robot that moves, of whose episodes something is to come."""
    whole = isinstance(options, (CollectOptions, EvalOptions))
    return whole and robot.adapter != SIM and has_motion(options)


def _words(options: RunOptions) -> str:
    """How the same robot is named to `expo-ft bringup`."""
    given = {
        "robot": options.robot,
        "robot_ip": options.robot_ip,
        "namespace": options.namespace,
        "task": options.task if "task" in options.model_fields_set else "",
    }
    return " ".join(f"{name}:={value}" for name, value in given.items() if value)


def _read(file: Path) -> dict[str, Any] | None:
    """Its content, empty where there is no file; None where it is no record."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
