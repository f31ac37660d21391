# SPDX-License-Identifier: Apache-2.0
"""`expo-ft reward calibrate`: thresholds of a colour of a task's classifier, from an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
from pydantic import TypeAdapter, ValidationError

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.cli.reward_image import add_sources, read_image
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.data.files import DiskError, replacing
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.overlay import draw_marks
from expo_ft_ros.tasks import TASKS, TaskConfig, load_task
from expo_ft_ros.tasks.calibration import Calibration, calibrate, colour_names
from expo_ft_ros.tasks.colours import Box, ColourRange, Region
from expo_ft_ros.tasks.reward import Marks
from expo_ft_ros.yaml_edit import with_values

_PLACE = ("classifier", "parameters")
_ELSEWHERE = 0.002  # part of the image with the colour elsewhere that is worth a word


def main(words: Sequence[str]) -> int:
    """Proposes thresholds, draws what they find, and writes them with write:=true; returns the exit
    code.

    Raises:
        ConfigError: for wrong arguments, an image that can't be had, a task without colours, or a
            file that can't be written.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    task = named_task("reward calibrate", wanted.task)
    colour = _colour(task, wanted.colour)
    if not wanted.region:
        raise ConfigError(
            "reward calibrate: no region is named (add region:=left,top,right,bottom, from 0 to 1)"
        )
    regions, others = _regions("region", wanted.region), _regions("other", wanted.other)
    image = read_image(wanted, task)
    try:
        found = calibrate(image, regions, others)
    except ValueError as error:
        raise ConfigError(f"region:={wanted.region}: {error}") from None
    before: ColourRange = getattr(task.classifier.parameters, colour)
    values = _values(found.colours, before)
    _require_accepted(task, colour, values)
    picture = Path(wanted.output or f"{task.name}_{colour}.png").expanduser()
    named = {f"region {number}": box for number, box in enumerate(regions, start=1)}
    named |= {f"other {number}": box for number, box in enumerate(others, start=1)}
    _draw(image, Marks(found.mask, named), picture)
    _tell(task, colour, found, values, picture)
    if wanted.write:
        _write(task, colour, values)
        print(f"written to {task.file}")
    else:
        print("add write:=true to write them there")
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft reward calibrate",
        description="Measures a colour of a task's classifier in regions of an image.",
    )
    made.add_argument("--task", help="name, or path of its file")
    made.add_argument("--colour", help="parameter of the classifier (default: the only one)")
    made.add_argument(
        "--region",
        help="left,top,right,bottom in parts of the image, where the thing is seen; several with ; "
        "between, in quotes",
    )
    made.add_argument(
        "--other", help="regions without it: what looks as there is left out of the others"
    )
    add_sources(made)
    made.add_argument(
        "--output", metavar="FILE", help="picture of what is found (default: <task>_<colour>.png)"
    )
    made.add_argument("--write", action="store_true", help="write the values into the task's file")
    return made


def named_task(command: str, name: str | None) -> TaskConfig:
    """The task that `task:=` names.

    Raises:
        ConfigError: where it names none that there is.
    """
    if name is None:
        raise ConfigError(f"{command}: no task is named (add task:=<name>)")
    try:
        return load_task(TASKS.reference(name))
    except ConfigError as error:
        raise ConfigError(f"task:={name}: {error}") from None


def _colour(task: TaskConfig, wanted: str | None) -> str:
    known = colour_names(task)
    if not known:
        raise ConfigError(
            f"task:={task.name}: its classifier looks at no colours (nothing to calibrate)"
        )
    if wanted is None and len(known) > 1:
        raise ConfigError(f"task:={task.name}: several colours (add colour:=, {', '.join(known)})")
    if wanted is not None and wanted not in known:
        raise ConfigError(
            f"colour:={wanted}: {task.name} has no such colour ({nearest(wanted, known)})"
        )
    return wanted or known[0]


def _regions(option: str, text: str | None) -> list[Box]:
    """The boxes that an option lists; none where it isn't given."""
    kind, regions = TypeAdapter(Region), []
    for part in text.split(";") if text else ():
        try:
            regions.append(kind.validate_python(tuple(part.split(","))))
        except ValidationError as error:
            words = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(
                f"{option}:={text}: {part}: {words} (write left,top,right,bottom, from 0 to 1)"
            ) from None
    return regions


def _values(found: ColourRange, before: ColourRange) -> dict[str, object]:
    """What stands in the file afterwards: a bound that is the default is written only where another
    one stood."""
    fields = type(found).model_fields
    now, then = found.model_dump(), before.model_dump()
    optional = ("max_saturation", "max_value")
    return {
        name: value
        for name, value in now.items()
        if name not in optional or value != fields[name].default or then[name] != value
    }


def _require_accepted(task: TaskConfig, colour: str, values: dict[str, object]) -> None:
    """What was measured is a value that the classifier takes."""
    load_task(task.file, {".".join((*_PLACE, colour)): values})


def _draw(image: ImageArray, marks: Marks, path: Path) -> None:
    beside = cv2.hconcat([draw_marks(image, None), draw_marks(image, marks)])
    try:
        written = cv2.imwrite(str(path), cv2.cvtColor(beside, cv2.COLOR_RGB2BGR))
    except cv2.error:
        written = False
    if not written:
        raise ConfigError(f"output:={path}: can't be written (give a .png in a folder of yours)")


def _tell(
    task: TaskConfig, colour: str, found: Calibration, values: dict[str, object], picture: Path
) -> None:
    print(f"{colour} of {task.name}, from {task.file}:")
    for name, value in values.items():
        print(f"  {name}: {list(value) if isinstance(value, tuple) else value}")
    print(f"{found.inside:.1%} of the region has it, {found.outside:.2%} of the image elsewhere")
    if found.outside > _ELSEWHERE:
        print("Elsewhere is more than nothing: see the picture whether the classifier looks there")
    print(f"picture: {picture}")


def _write(task: TaskConfig, colour: str, values: dict[str, object]) -> None:
    partial = task.file.with_name(f".{task.file.name}.partial")
    try:
        text = with_values(task.file.read_text(encoding="utf-8"), (*_PLACE, colour), values)
        with replacing(partial, task.file):
            partial.write_text(text, encoding="utf-8")
    except KeyError as error:
        raise ConfigError(
            f"{task.file}: classifier.parameters.{colour}: {error.args[0]} (write the values there "
            "by hand)"
        ) from None
    except DiskError as error:
        raise ConfigError(f"{error} (copy the task's file to a folder of yours)") from None
