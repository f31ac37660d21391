# SPDX-License-Identifier: Apache-2.0
"""Frozen, validated configuration from YAML, with errors that name file, line and field.

Every configuration of the project is a `Config` whose fields carry a description with unit and a
range; a value outside it is refused before anything moves.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from expo_ft_ros.yaml_loader import Loader, is_number, number

T = TypeVar("T", bound=BaseModel)
Location = tuple[int | str, ...]

_FOLDER = "folder"  # of the YAML file, in the context of what is validated
_SHOWN = 80  # characters of a refused value


class ConfigError(ValueError):
    """A configuration that can't be used; str() is "file:line: field: message (remedy)"."""


class Config(BaseModel):
    """Base of every configuration: frozen; unknown fields and non-finite numbers are refused.

    Numbers are read alike in every field: 2e-1, "2e-1" and 0.2, also 2e3 for an integer; true and
    false are no numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _reads_numbers_alike(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields.get(info.field_name or "")
        kinds = set(_leaf_types(field.annotation)) if field else set()
        if not kinds & {int, float} or kinds & {bool, str, Any}:
            return value
        return _as_numbers(value)


def _beside(value: Any, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("should be a path")
    folder = (info.context or {}).get(_FOLDER, Path())
    return Path(folder, Path(value).expanduser())


FileBeside = Annotated[Path, BeforeValidator(_beside)]
"""A file that a YAML file names: an absolute path, or one from the YAML file's own folder on."""


def _leaf_types(annotation: Any) -> Iterator[Any]:
    arguments = get_args(annotation)
    for argument in arguments:
        yield from _leaf_types(argument)
    if not arguments:
        yield annotation


def _as_numbers(value: Any) -> Any:
    """The value, and those in its lists, with text that is a number read as one."""
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    if isinstance(value, (list, tuple)):
        return type(value)(_as_numbers(item) for item in value)
    return number(value) if isinstance(value, str) and is_number(value) else value


def nearest(name: str, known: Iterable[str]) -> str:
    """What an unknown name is answered with: the nearest known one, and all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}known: {', '.join(names) or 'none'}"


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
    """Reads a file into `model`; see `YamlFile`, whose errors it raises."""
    return YamlFile(path, overrides).read_as(model)


class YamlFile:
    """A file's data with overrides on top, and the place of each value for errors.

    Args:
        path: The file.
        overrides: Dotted field -> value; a string is read as a YAML scalar.

    Raises:
        ConfigError: for a missing file or bad YAML.
    """

    def __init__(self, path: Path, overrides: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self._root, self.data = _read(path)
        self._overridden: set[Location] = set()
        for dotted, value in (overrides or {}).items():
            location = tuple(dotted.split("."))
            _assign(self.data, location, _scalar(dotted, value))
            self._overridden.add(location)

    def read_as(self, model: type[T]) -> T:
        """The data as `model`.

        Raises:
            ConfigError: for an unknown field or a refused value.
        """
        try:
            context = {_FOLDER: self.path.parent.absolute()}
            return model.model_validate(self.data, context=context)
        except ValidationError as error:
            raise self._explained(error, model) from None

    def error(self, location: Location, message: str) -> ConfigError:
        """An error about the value at a location, which names its file, line and field."""
        names = tuple(str(part) for part in location)
        by_override = any(
            names[: len(o)] == o or o[: len(names)] == names for o in self._overridden
        )
        place = "override" if by_override else f"{self.path}:{_line(self._root, location)}"
        return ConfigError(_printable(": ".join(filter(None, [place, ".".join(names), message]))))

    def _explained(self, error: ValidationError, model: type[BaseModel]) -> ConfigError:
        """One line for the first of pydantic's errors, and how many more there are."""
        errors = error.errors()
        first = errors[0]
        kind, location = first["type"], first["loc"]
        if kind != "missing":
            location = _in_data(self.data, location)
        more = f" [and {len(errors) - 1} more]" if len(errors) > 1 else ""
        info = _field(model, location)
        if kind == "missing":
            about = f": {info.description}" if info and info.description else ""
            message = f"missing (add it{about})"
        elif kind == "extra_forbidden":
            message = f"no such field ({_known(model, location)})"
        else:
            words = first["msg"].removeprefix("Value error, ")
            words = f"{words[0].lower()}{words[1:]}"
            message = f"{_shown(first['input'])}: {words} ({_allowed(info)})"
        return self.error(location or (model.__name__,), message + more)


def _read(path: Path) -> tuple[yaml.Node | None, dict[str, Any]]:
    """The YAML node tree, kept for its line numbers, and the plain data."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: file: {reason} (check the path and its encoding)") from None
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        for key, line in _repeated_keys(root):
            raise ConfigError(_printable(f"{path}:{line}: {key}: given twice (remove one)"))
        data = loader.construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(
            _printable(f"{path}:{line}: YAML: {problem} (check indentation and colons)")
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{path}:1: YAML: nested too deeply (write fields as `name: value`)"
        ) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: file: {type(data).__name__} (write fields as `name: value`)")
    return root, data


def _repeated_keys(
    node: yaml.Node | None, within: tuple[yaml.Node, ...] = ()
) -> Iterator[tuple[str, int]]:
    """(key, line) of each key that its mapping has already; YAML would silently keep the last.

    Raises ComposerError for an anchor that contains itself.
    """
    if node is None:
        return
    if node in within:
        raise yaml.composer.ComposerError(None, None, "contains itself", node.start_mark)
    within = (*within, node)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield str(key.value), key.start_mark.line + 1
                seen.add(key.value)
            yield from _repeated_keys(value, within)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, within)


def _scalar(dotted: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return yaml.load(value, Loader=Loader)
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(f"override: {dotted}: {value!r} is not YAML (quote it)") from None


def _assign(data: dict[str, Any], location: Sequence[str], value: Any) -> None:
    for key in location[:-1]:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[location[-1]] = value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _printable(text: str) -> str:
    """The text in one line that any terminal shows."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
