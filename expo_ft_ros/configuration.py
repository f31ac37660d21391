"""Frozen, validated configuration from YAML, with errors that name file, line and field.

Every configuration of the project is a `Config` whose fields carry a description with unit and a
range; a value outside it is refused before anything moves.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

T = TypeVar("T", bound=BaseModel)
Location = tuple[int | str, ...]


class ConfigError(ValueError):
    """A configuration that can't be used; str() is "file:line: field: message (remedy)"."""


class Config(BaseModel):
    """Base of every configuration: frozen, unknown fields and non-finite numbers refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def config_dir() -> Path:
    """Folder of the YAML files: config/ of the checkout, else share/ of the installed package.

    Raises ConfigError when there is none.
    """
    here = Path(__file__).resolve()
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    prefixes += [*here.parents, Path(sys.prefix)]
    candidates = [here.parents[1] / "config"]
    candidates += [prefix / "share" / "expo_ft_ros" / "config" for prefix in prefixes]
    for candidate in candidates:
        if (candidate / "tasks").is_dir():
            return candidate
    raise ConfigError(
        f"{here}: config: no folder with the task files was found "
        "(install the package again, or source the workspace that holds it)"
    )


def load_yaml(model: type[T], path: Path, overrides: Mapping[str, Any] | None = None) -> T:
    """Read `path` into `model`.

    overrides: dotted field -> value, applied on top of the file; a string is read as a YAML scalar.
    Raises ConfigError for a missing file, bad YAML, an unknown field or a refused value.
    """
    root, data = _read(path)
    overridden = set()
    for dotted, value in (overrides or {}).items():
        location = tuple(dotted.split("."))
        _assign(data, location, _scalar(dotted, value))
        overridden.add(location)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, model, path, root, data, overridden)) from None


def _read(path: Path) -> tuple[yaml.Node | None, dict[str, Any]]:
    """The YAML node tree, kept for its line numbers, and the plain data."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: file: {reason} (check the path and its encoding)") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        for key, line in _repeated_keys(root):
            raise ConfigError(f"{path}:{line}: {key}: given twice (remove one)")
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(
            f"{path}:{line}: YAML: {problem} (check indentation and colons)"
        ) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: file: {type(data).__name__} (write fields as `name: value`)")
    return root, data


def _repeated_keys(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    """(key, line) of each key that its mapping has already; YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield str(key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)


def _scalar(dotted: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"override: {dotted}: {value!r} is not YAML (quote it)") from None


def _assign(data: dict[str, Any], location: Sequence[str], value: Any) -> None:
    for key in location[:-1]:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[location[-1]] = value


def _explain(
    error: ValidationError,
    model: type[BaseModel],
    path: Path,
    root: yaml.Node | None,
    data: dict[str, Any],
    overridden: set[tuple[str, ...]],
) -> str:
    """One line for the first of pydantic's errors, and how many more there are."""
    errors = error.errors()
    first = errors[0]
    location: Location = first["loc"]
    if first["type"] != "missing":
        location = _in_data(data, location)
    names = tuple(str(part) for part in location)
    by_override = any(names[: len(o)] == o or o[: len(names)] == names for o in overridden)
    place = "override" if by_override else f"{path}:{_line(root, location)}"
    field = ".".join(names) or model.__name__
    more = f" [and {len(errors) - 1} more]" if len(errors) > 1 else ""
    info = _field(model, location)
    kind = first["type"]
    if kind == "missing":
        about = f": {info.description}" if info and info.description else ""
        return f"{place}: {field}: missing (add it{about}){more}"
    if kind == "extra_forbidden":
        return f"{place}: {field}: no such field ({_known(model, location)}){more}"
    message = first["msg"].removeprefix("Value error, ")
    message = f"{first['input']!r}: {message[0].lower()}{message[1:]}"
    return f"{place}: {field}: {message} ({_allowed(info)}){more}"


def _in_data(data: Any, location: Location) -> Location:
    """pydantic's location without the tags that it adds for the branches of a union."""
    for position, part in enumerate(location):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return location[:position]
    return location


def _model_of(info: FieldInfo) -> type[BaseModel] | None:
    for annotation in (info.annotation, *get_args(info.annotation)):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
    return None


def _owner(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """The model that holds (or should hold) the last part of a location."""
    current: type[BaseModel] | None = model
    for part in location[:-1]:
        info = current.model_fields.get(part) if current and isinstance(part, str) else None
        if info is None:
            return None
        current = _model_of(info)
    return current


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """The closest field on the way to a location, so that an item of a list has its list's."""
    found = None
    current: type[BaseModel] | None = model
    for part in location:
        info = current.model_fields.get(part) if current and isinstance(part, str) else None
        if info is None:
            break
        found, current = info, _model_of(info)
    return found


def _known(model: type[BaseModel], location: Location) -> str:
    owner = _owner(model, location)
    fields = list(owner.model_fields) if owner else []
    close = difflib.get_close_matches(str(location[-1]), fields, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(sorted(fields))}"


def _allowed(info: FieldInfo | None) -> str:
    """What a field takes: its range, then its description."""
    if info is None:
        return "correct the value"
    words = []
    for sign, name in ((">=", "ge"), (">", "gt"), ("<=", "le"), ("<", "lt")):
        for constraint in info.metadata:
            bound = getattr(constraint, name, None)
            if bound is not None:
                words.append(f"{sign} {bound}")
    allowed = f"allowed: {', '.join(words)}" if words else ""
    return "; ".join(part for part in (allowed, info.description) if part) or "correct the value"


def _line(root: yaml.Node | None, location: Location) -> int:
    """Line, from 1, of the deepest part of a location that the file has."""
    node, line = root, 1
    for part in location:
        child = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    child, line = value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and part in range(len(node.value)):
            child = node.value[int(part)]
            line = child.start_mark.line + 1
        if child is None:
            break
        node = child
    return line
