# SPDX-License-Identifier: Apache-2.0
"""`expo-ft doctor`: the machine alone, or with a robot its drivers as well, before a graph runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.doctor import machine
from expo_ft_ros.doctor.check import Check, format_check
from expo_ft_ros.doctor.robot import OPTIONS, SECONDS, checks

EXIT_FAILED = 1
_LONGEST = 600.0


def main(words: Sequence[str]) -> int:
    """Prints the report; returns the exit code, 1 when something that runs need fails.

    Raises:
        ConfigError: for wrong arguments, before anything is looked at; for what a run on the robot
            would refuse.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = vars(_parser().parse(words))
    seconds = _seconds(wanted.pop("seconds"))
    given = {name: value for name, value in wanted.items() if value}
    if given and "robot" not in given:
        raise ConfigError(f"doctor: {', '.join(given)} without robot:= (name the robot)")
    found = _report(check() for check in machine.CHECKS)
    if given:
        found += _report(checks(given, seconds))
    failed = [check.name for check in found if check.status == "fail"]
    if failed:
        print(f"\nNot ready: {', '.join(failed)}.")
        return EXIT_FAILED
    print("\nReady.")
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _LONGEST:
        raise ConfigError(f"doctor: seconds:={text}: no number above 0 and up to {_LONGEST:g} [s]")
    return seconds


def _report(checks: Iterable[Check]) -> list[Check]:
    found = []
    for check in checks:
        found.append(check)
        print(format_check(check, width=10), flush=True)
    return found


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft doctor",
        description="Says what this machine has and lacks; with robot:= also what comes of that "
        "robot's drivers, which run by then. No command is sent.",
    )
    made.add_argument("--robot", default="", help="whose drivers are listened to")
    for name in OPTIONS[1:]:
        made.add_argument(f"--{name}", default="", help="as the run will have it")
    made.add_argument("--seconds", default=f"{SECONDS:g}", help="of listening")
    return made
