"""Reads a classifier's parameters of the task file into its frozen config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def read_parameters(config: type[T], name: str, parameters: Mapping[str, Any]) -> T:
    """Returns config(**parameters); raises ValueError naming an unknown or non-numeric one.

    config is a dataclass of int, float and tuple[float, ...] fields with defaults; integers stay
    integers, a list becomes a tuple.
    """
    known: dict[str, Any] = {f.name: f.default for f in fields(config)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in parameters.items():
        if key not in known:
            raise ValueError(
                f"classifier {name}: unknown parameter {key!r}; known: {', '.join(sorted(known))}"
            )
        values[key] = _converted(known[key], value, f"classifier {name}: {key}")
    return config(**values)


def _converted(default: Any, value: Any, what: str) -> Any:
    """value as the type of default; `what` names it in the error."""
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or not all(_is_number(item) for item in value):
            raise ValueError(f"{what} must be a list of numbers, got {value!r}")
        return tuple(float(item) for item in value)
    if not _is_number(value):
        raise ValueError(f"{what} must be a number, got {value!r}")
    if isinstance(default, int) and value != int(value):
        raise ValueError(f"{what} must be a whole number, got {value!r}")
    return type(default)(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
