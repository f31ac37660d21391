# SPDX-License-Identifier: Apache-2.0
"""A run's folder, read once into one value that figures and pages are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from expo_ft_ros.experiment.progress import (
    evaluation_of,
    finite,
    format_line,
    read_status,
    read_summary,
)
from expo_ft_ros.experiment.run_folder import (
    METRICS_FILE,
    PROGRESS_FILE,
    control_hz_in,
    is_running,
    option_in,
    read_config,
)
from expo_ft_ros.recording.episode_store import episode_path

T = TypeVar("T")

EVALUATIONS = ("eval_before", "eval_after")
FINISHED, RUNNING, STOPPED = "finished", "running", "stopped"
_SETTINGS = ("resolved", "budget", "task", "robot")
_PLACES = ("run_dir", "resume")  # where a run lies is no setting of it
_OF_EPISODE = (
    "value_error",
    "q_spread",
    "edited_chosen",
    "gripper_chosen",
    "edit_size",
    "update_ratio",
    "critic_updates",
)


@dataclass(frozen=True)
class EpisodeLine:
    """An episode as the session has counted it.

    steps, human_steps: control steps; discarded: neither learned from nor counted; online_steps:
    those of the run when it was over; numbers: what is finite of what the learner and the critic
    said then (docs/diagnostics.md).
    """

    number: int
    stage: str
    success: bool
    steps: int
    human_steps: int
    discarded: bool
    cause: str
    online_steps: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class RunData:
    """What a run's folder holds.

    kind: the command that made it; state: FINISHED, RUNNING or STOPPED, told: where it stands, in
    a line; control_hz: ticks a second [Hz]; episodes: in order, the discarded too; evaluations:
    stage -> (successes, trials); wall, stages: what wall time was spent on, and in which stage,
    [s]; unread: lines of metrics.jsonl that were cut off or broken.
    """

    path: Path
    kind: str
    state: str
    told: str
    config: Mapping[str, Any]
    control_hz: float
    episodes: tuple[EpisodeLine, ...]
    evaluations: Mapping[str, tuple[int, int]]
    wall: Mapping[str, float]
    stages: Mapping[str, float]
    unread: int

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def counted(self) -> tuple[EpisodeLine, ...]:
        """The episodes that were not discarded."""
        return tuple(line for line in self.episodes if not line.discarded)

    @property
    def online(self) -> tuple[EpisodeLine, ...]:
        """Those of the stage rl that were counted."""
        return tuple(line for line in self.counted if line.stage == "rl")

    @property
    def settings(self) -> dict[str, str]:
        """Dotted name -> value of what config.yaml says of what is done, in its order."""
        lines = {"command": self.kind}
        for part in _SETTINGS:
            prefix = "" if part == "resolved" else f"{part}."
            lines |= {f"{prefix}{name}": value for name, value in _leaves(self.config.get(part))}
        return {name: value for name, value in lines.items() if name not in _PLACES}

    @property
    def machine(self) -> dict[str, str]:
        """Name -> value of what config.yaml knows of where it is done; empty of an older run."""
        return {name: value for name, value in _leaves(self.config.get("machine")) if value}

    def option(self, name: str) -> str:
        """An option of the run as text, "" where it has none of that name."""
        return option_in(self.config, name) or ""

    def bag(self, episode: int) -> Path | None:
        """Where an episode is recorded; None where it isn't, or was set aside."""
        path = episode_path(self.path / "episodes", episode)
        return path if path.is_file() else None


def read_run(path: Path) -> RunData:
    """Reads a run in whatever state it is; what isn't there yet is empty.

    Raises:
        ConfigError: when its config.yaml is missing or broken, or doesn't say the task's rate.
    """
    config = read_config(path)
    summary, status = read_summary(path), read_status(path) or {}
    rate = control_hz_in(config, path)
    episodes, unread = read_episodes(path)
    wall, stages = _wall(path, summary, status)
    return RunData(
        path=path,
        kind=str(config.get("command", "")),
        state=_state(path, summary),
        told=_without_place(format_line(status), path) if status else "no episode yet",
        config=config,
        control_hz=rate,
        episodes=episodes,
        evaluations=evaluations_of(summary, episodes),
        wall=wall,
        stages=stages,
        unread=unread,
    )


def read_episodes(path: Path) -> tuple[tuple[EpisodeLine, ...], int]:
    """The lines of metrics.jsonl, and how many of them say nothing: a run that goes on, or was
    killed, may have written one in part."""
    episodes, unread = [], 0
    for text in _texts(path / METRICS_FILE):
        try:
            episodes.append(_episode(json.loads(text), path))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            unread += 1
    return tuple(episodes), unread


def evaluations_of(
    summary: Mapping[str, Any] | None, episodes: tuple[EpisodeLine, ...]
) -> dict[str, tuple[int, int]]:
    """Stage -> (successes, trials) as a run's summary says; before there is one, as far as its
    episodes go."""
    found = {}
    for stage in EVALUATIONS:
        told = evaluation_of(summary or {}, stage)
        if told is not None:
            found[stage] = told
            continue
        trials = [line.success for line in episodes if line.stage == stage and not line.discarded]
        if trials:
            found[stage] = (sum(trials), len(trials))
    return found


def _state(path: Path, summary: Mapping[str, Any] | None) -> str:
    if is_running(path):
        return RUNNING
    return STOPPED if summary is None else FINISHED


def _texts(file: Path) -> Iterator[str]:
    if file.is_file():
        yield from file.read_text(errors="replace").splitlines()


def _episode(line: Mapping[str, Any], path: Path) -> EpisodeLine:
    said = {name: line.get(name) for name in _OF_EPISODE} | dict(line.get("metrics") or {})
    return EpisodeLine(
        number=_of(int, line["episode"]),
        stage=_of(str, line["stage"]),
        success=_of(bool, line["success"]),
        steps=_of(int, line["steps"]),
        human_steps=_of(int, line["human_steps"]),
        discarded=_of(bool, line["discarded"]),
        cause=_without_place(str(line.get("cause", "")), path),
        online_steps=_of(int, line.get("env_steps", 0)),
        numbers=_finite(said),
    )


def _of(kind: type[T], value: Any) -> T:
    """The value, where it is of the kind: "false" isn't false, and true is no number."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _finite(values: Any) -> dict[str, float]:
    """The finite numbers of a mapping; none of what isn't one."""
    if not isinstance(values, Mapping):
        return {}
    numbers = {str(name): finite(value) for name, value in values.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _wall(
    path: Path, summary: Mapping[str, Any] | None, status: Mapping[str, Any]
) -> tuple[dict[str, float], dict[str, float]]:
    if summary is not None:
        return _finite(summary.get("wall_seconds")), _finite(summary.get("stage_seconds"))
    try:
        books = json.loads((path / PROGRESS_FILE).read_bytes())["wall"]
        return _finite(books["spent"]), _finite(books["stages"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _finite(status.get("wall")), {}


def _without_place(text: str, path: Path) -> str:
    """A text that names files of the run, without where on this machine the run lies."""
    return text.replace(f"{path.absolute()}/", "").replace(str(path.absolute()), path.name)


def _leaves(content: Any, above: str = "") -> list[tuple[str, str]]:
    """Dotted name and text of each value of a mapping; of anything else none."""
    found: list[tuple[str, str]] = []
    if not isinstance(content, Mapping):
        return found
    for name, value in content.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{above}{name}.")
        elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
            parts = {str(number): part for number, part in enumerate(value)}
            found += _leaves(parts, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", _in_words(value)))
    return found


def _in_words(value: Any) -> str:
    """As YAML would say it; of a path only its last part, since a page is shown elsewhere."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return ", ".join(_in_words(part) for part in value)
    if isinstance(value, str) and value.startswith(("/", "~")):
        return f"…/{Path(value).name}"
    return str(value)
