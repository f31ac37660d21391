# SPDX-License-Identifier: Apache-2.0
"""From what was typed to the options of a command.

An option has one form everywhere, that of ros2 launch: name:=value. Other forms are refused with
the right one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.experiment.option_checks import check_options
from expo_ft_ros.experiment.options import TaskOptions
from expo_ft_ros.robots import known_robots

Options = TypeVar("Options", bound=TaskOptions)


def parse_arguments(arguments: Sequence[str], model: type[Options]) -> Options:
    """Options from `name:=value` arguments.

    Args:
        arguments: As typed.
        model: Which command's options.

    Raises:
        ConfigError: in one line, as `read_arguments` and `make_options`.
    """
    return make_options(read_arguments(arguments, model), model)


def read_arguments(arguments: Sequence[str], model: type[TaskOptions]) -> dict[str, str]:
    """Name -> value of `name:=value` arguments; an empty value means the default.

    Args:
        arguments: As typed.
        model: Which command's options.

    Raises:
        ConfigError: in one line, for an argument of another form, an unknown name (with the nearest
            known one), or a name given twice.
    """
    given: dict[str, str] = {}
    for place, argument in enumerate(arguments):
        name, separator, value = argument.partition(":=")
        if not separator:
            raise ConfigError(_bad_form(argument, arguments[place + 1 :], model))
        if name not in model.model_fields:
            raise ConfigError(_unknown(name, model))
        if name in given:
            raise ConfigError(f"{name}: given twice, {given[name]!r} and {value!r} (keep one)")
        given[name] = value
    return {name: value for name, value in given.items() if value != ""}


def make_options(values: Mapping[str, Any], model: type[Options]) -> Options:
    """Options from a mapping.

    Raises:
        ConfigError: in one line, for the first unknown name or wrong value, and for what
            `check_options` refuses.
    """
    for name in values:
        if name not in model.model_fields:
            raise ConfigError(_unknown(str(name), model))
    try:
        options = model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "options"
        message = first["msg"].removeprefix("Value error, ")
        text = model.model_fields[name].description if name in model.model_fields else ""
        raise ConfigError(f"{name}:={first['input']}: {message} ({text})") from None
    check_options(options)
    return options


def describe(model: type[TaskOptions]) -> list[tuple[str, str, str]]:
    """Each option of a command as (name, default as typed, description)."""
    rows = []
    for name, field in model.model_fields.items():
        default = field.default
        shown = "" if default is None else str(default)
        if isinstance(default, bool):
            shown = shown.lower()
        text = field.description or ""
        if name == "robot":
            text += f" Known: {', '.join(known_robots())}."
        rows.append((name, shown, text))
    return rows


def _unknown(name: str, model: type[TaskOptions]) -> str:
    if name in model.refused:
        return f"{name}: {model.refused[name]}"
    return f"unknown option {name!r} ({nearest(name, model.model_fields)})"


def _bad_form(argument: str, after: Sequence[str], model: type[TaskOptions]) -> str:
    """The message for an argument that isn't name:=value; names the form that it should have."""
    name, separator, value = argument.lstrip("-").partition("=")
    name = name.replace("-", "_")
    if argument.startswith("-") and not separator and after and ":=" not in after[0]:
        value = after[0]
    if name in model.model_fields:
        return f"{argument!r} is no option (write {name}:={value or '<value>'})"
    if separator or argument.startswith("-"):
        return f"{argument!r}: {_unknown(name, model)}; options are written name:=value"
    return f"{argument!r} is no option (options are written name:=value, as in ros2 launch)"
