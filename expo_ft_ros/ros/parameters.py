# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node from one frozen dataclass: name, default, description and range."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, get_type_hints

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar("T")

_TYPES: dict[Any, int] = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple[str, ...]: ParameterType.PARAMETER_STRING_ARRAY,
    tuple[int, ...]: ParameterType.PARAMETER_INTEGER_ARRAY,
    tuple[float, ...]: ParameterType.PARAMETER_DOUBLE_ARRAY,
}


def parameter(
    default: T,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    fixed: bool = False,
) -> T:
    """A dataclass field that is a parameter. low, high: inclusive range of a number; fixed: only
    what the node is started with holds, nobody can set it afterwards."""
    metadata = {"description": description, "low": low, "high": high, "fixed": fixed}
    return dataclasses.field(default=default, metadata=metadata)


def describe(model: type[Any]) -> list[tuple[str, Any, ParameterDescriptor]]:
    """(name, default, descriptor) of each field of a parameters dataclass."""
    hints = get_type_hints(model)
    described = []
    for field in dataclasses.fields(model):
        if hints[field.name] not in _TYPES:
            raise TypeError(f"{model.__name__}.{field.name}: {hints[field.name]} is no parameter")
        descriptor = ParameterDescriptor(
            name=field.name,
            type=_TYPES[hints[field.name]],
            description=field.metadata["description"],
            read_only=field.metadata["fixed"],
        )
        low, high = field.metadata["low"], field.metadata["high"]
        if low is not None and high is not None:
            if hints[field.name] is int:
                bounds = IntegerRange(from_value=int(low), to_value=int(high))
                descriptor.integer_range = [bounds]
            else:
                limits = FloatingPointRange(from_value=float(low), to_value=float(high))
                descriptor.floating_point_range = [limits]
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        described.append((field.name, default, descriptor))
    return described


def declare(node: Node, model: type[Any]) -> None:
    """Declares a parameter for each field; rclpy refuses a value of another type or range."""
    for name, default, descriptor in describe(model):
        if default != []:
            node.declare_parameter(name, default, descriptor)
            continue
        # rclpy takes an empty list for bytes, unless its type is given.
        type_ = Parameter.Type(descriptor.type)
        given: Parameter[Any] = node.declare_parameter(name, type_, descriptor)
        if given.type_ != type_:
            node.set_parameters([Parameter(name, type_, [])])


def read(node: Node, model: type[T]) -> T:
    """The parameters' values now."""
    values = {}
    for name, default, _ in describe(model):
        value = node.get_parameter_or(name, Parameter(name, value=default)).value
        values[name] = tuple(value or ()) if isinstance(default, list) else value
    return model(**values)
