"""Reads a classifier's parameters of the task file into its frozen config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def read_parameters(config: type[T], name: str, parameters: Mapping[str, Any]) -> T:
    """Returns config(**parameters); raises ValueError naming an unknown or non-numeric one.

    config is a dataclass of int and float fields; integers stay integers.
    """
    known: dict[str, Any] = {f.name: f.default for f in fields(config)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in parameters.items():
        if key not in known:
            raise ValueError(
                f"classifier {name}: unknown parameter {key!r}; known: {', '.join(sorted(known))}"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"classifier {name}: {key} must be a number, got {value!r}")
        if isinstance(known[key], int) and value != int(value):
            raise ValueError(f"classifier {name}: {key} must be a whole number, got {value!r}")
        values[key] = type(known[key])(value)
    return config(**values)
