# SPDX-License-Identifier: Apache-2.0
"""`change:=field=value,...`: fields of preset, size and task that a bench changes."""

from __future__ import annotations

from expo_ft_ros.configuration import ConfigError

_OF_TASK = "task."  # a change of the task's configuration, not of the agent's


def parse_changes(text: str) -> dict[str, str]:
    """`a.b=1,c=2` as a mapping. Raises ConfigError for a part of another form."""
    changes = {}
    for part in filter(None, text.split(",")):
        name, separator, value = part.partition("=")
        if not separator:
            raise ConfigError(f"change:={text}: {part!r} is not field=value")
        changes[name.strip()] = value
    return changes


def split_changes(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The changes of the agent's configuration, and those of the task's.

    Raises:
        ConfigError: as `parse_changes`.
    """
    changes = parse_changes(text)
    of_task = {name: changes.pop(name) for name in list(changes) if name.startswith(_OF_TASK)}
    return changes, {name.removeprefix(_OF_TASK): value for name, value in of_task.items()}
