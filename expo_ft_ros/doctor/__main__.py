# SPDX-License-Identifier: Apache-2.0
"""`expo-ft doctor`: the machine alone, or with a robot its drivers as well, before a graph runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.doctor import machine, robot
from expo_ft_ros.doctor.check import Check, format_check

USAGE = """\
usage: expo-ft doctor                  what this machine has and lacks
       expo-ft doctor robot:=<robot>   and what comes of that robot's drivers, which run by then

  robot_ip:=, namespace:=, camera_topics:=   as the run will have them
  seconds:=10     for which the drivers are listened to
"""

EXIT_FAILED = 1
EXIT_USAGE = 2
_OPTIONS = (*robot.OPTIONS, "seconds")
_LONGEST = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report; returns 0, 1 when something that runs need fails, 2 for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    try:
        given = _read(words)
        found = _report(check() for check in machine.CHECKS)
        if "robot" in given:
            seconds = float(given.pop("seconds", robot.SECONDS))
            found += _report(robot.checks(given, seconds))
    except ConfigError as error:
        print(f"expo-ft: {error}", file=sys.stderr)
        return EXIT_USAGE
    failed = [check.name for check in found if check.status == "fail"]
    if failed:
        print(f"\nNot ready: {', '.join(failed)}.")
        return EXIT_FAILED
    print("\nReady.")
    return 0


def _read(words: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator or name not in _OPTIONS or name in given or not value:
            known = ", ".join(f"{each}:=" for each in _OPTIONS)
            raise ConfigError(f"doctor takes {known} once each, got {word!r}")
        given[name] = value
    if len(given) > ("robot" in given) and "robot" not in given:
        raise ConfigError(f"doctor: {words[0]!r} needs robot:=<robot>")
    try:
        if not 0 < float(given.get("seconds", robot.SECONDS)) <= _LONGEST:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"doctor: seconds:={given['seconds']}: is no number above 0 and up to {_LONGEST:g}"
        ) from None
    return given


def _report(checks: Iterable[Check]) -> list[Check]:
    found = []
    for check in checks:
        found.append(check)
        print(format_check(check, width=10), flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
