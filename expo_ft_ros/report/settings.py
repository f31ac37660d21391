"""A run's configuration as lines of text, and in what runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expo_ft_ros.report.run_data import RunData

_PARTS = ("resolved", "budget", "task")
_PLACES = ("run_dir", "resume")  # where a run lies is no setting of it
_UNKNOWN = "-"


def settings(run: RunData) -> dict[str, str]:
    """Dotted name -> value of what config.yaml says, in its order."""
    lines = {"command": run.kind}
    for part in _PARTS:
        content = run.config.get(part)
        if isinstance(content, Mapping):
            prefix = "" if part == "resolved" else f"{part}."
            lines |= {f"{prefix}{name}": value for name, value in _leaves(content)}
    return {name: value for name, value in lines.items() if name not in _PLACES}


def differences(runs: Sequence[RunData]) -> list[tuple[str, list[str]]]:
    """Name and each run's value of what is not the same in all of them."""
    all_settings = [settings(run) for run in runs]
    names = list(dict.fromkeys(name for lines in all_settings for name in lines))
    rows = [(name, [lines.get(name, _UNKNOWN) for lines in all_settings]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _leaves(content: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{above}{name}.")
        elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
            parts = {str(number): part for number, part in enumerate(value)}
            found += _leaves(parts, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", _text(value)))
    return found


def _text(value: Any) -> str:
    """As YAML would say it; of a path only its last part, since a page is shown elsewhere."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    if isinstance(value, str) and Path(value).expanduser().is_absolute():
        return f"…/{Path(value).name}"
    return str(value)
