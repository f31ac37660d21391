# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: where it is, what is written into it first, how it is found again."""

import datetime
import fcntl
import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import yaml

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import DiskError, replacing
from expo_ft_ros.experiment.budget import Budget
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.options import RunOptions
from expo_ft_ros.experiment.progress import finite
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.reward import Classifier

CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.jsonl"
PROGRESS_FILE = "progress.json"
LATEST = "latest"
RECORDING = ("train", "collect", "eval", "demo")
"""Commands whose runs have episodes; a look at the simulation has none."""

_LOCK_FILE = ".lock"
_ASKS_AGAIN_AFTER = (0.01, 0.03, 0.1)  # [s]
# libyaml's, where it is there: ten times as fast, and `latest` reads every run.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NEVER = datetime.datetime.fromtimestamp(0, datetime.UTC)

Options = TypeVar("Options", bound=RunOptions)


class RunFinished(Exception):
    """A run that was to go on has ended already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is finished; a larger budget (steps:=) would go on with it")
        self.path = path


def runs_dir() -> Path:
    """Where runs lie: $EXPO_FT_RUNS, else `runs` in the working directory."""
    return Path(os.environ.get("EXPO_FT_RUNS") or "runs").expanduser().absolute()


def find_run(source: str, command: str | None = None, option: str = "run") -> Path:
    """The run that `source` means.

    Args:
        source: A run's folder, or `latest`: the one of `runs/` that was started last, also while
            it is starting.
        command: For `latest`, only runs of this command; without one, of those that record.
        option: What the error calls it.

    Raises:
        ConfigError: when there is none.
    """
    if source == LATEST:
        commands: Collection[str] = RECORDING if command is None else (command,)
        found = [path for path in runs_by_start() if command_of(path) in commands]
        if not found:
            kind = f"{command} run" if command else "run"
            raise ConfigError(f"no {kind} in {runs_dir()} yet (start one, or name a run's folder)")
        return found[-1]
    path = Path(source).expanduser().absolute()
    for place in (path, runs_dir() / source):
        if (place / CONFIG_FILE).is_file():
            return place
    names = ", ".join(run.name for run in runs_by_start()[-5:]) or "none"
    raise ConfigError(
        f"{option}:={source}: no run there, it has no {CONFIG_FILE} (newest runs: {names})"
    )


def runs_by_start() -> list[Path]:
    """The runs of `runs/` in the order of their newest starts, as written in them: times of files
    change with a copy."""
    found = [file.parent for file in runs_dir().glob(f"*/{CONFIG_FILE}")]
    return sorted(found, key=lambda path: (started_at(path), path.name))


def started_at(path: Path) -> datetime.datetime:
    """When a run was started last, by what is written in it; runs of older versions say it to the
    second; 1970 where it doesn't say."""
    try:
        config = read_config(path)
        said = config.get("started") or config["machine"]["time"]
        # YAML reads what machine() writes as a time, too.
        time = datetime.datetime.fromisoformat(str(said))
    except (ConfigError, KeyError, TypeError, ValueError):
        return _NEVER
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def command_of(path: Path) -> str | None:
    """The command that made a run; None where its config.yaml doesn't say."""
    try:
        return str(read_config(path)["command"])
    except (ConfigError, KeyError):
        return None


def option_of(path: Path, name: str) -> str | None:
    """An option of a run, its default where none was given; None where its config.yaml doesn't
    say."""
    try:
        return option_in(read_config(path), name)
    except ConfigError:
        return None


def option_in(config: Mapping[str, Any], name: str) -> str | None:
    """As `option_of`, of a config that was read."""
    resolved = config.get("resolved")
    options = resolved if isinstance(resolved, dict) else config["options"]
    value = options.get(name)
    return None if value is None else str(value)


def control_hz_in(config: Mapping[str, Any], path: Path) -> float:
    """Ticks a second [Hz] of the run that a config was read of.

    Raises:
        ConfigError: where it doesn't say.
    """
    task = config.get("task")
    said = task.get("control_hz") if isinstance(task, dict) else None
    rate = finite(said)
    if rate is None or rate <= 0:
        raise ConfigError(
            f"{path / CONFIG_FILE}: task.control_hz: {said!r} doesn't say the task's rate (is the "
            "file cut off? Bring back a whole one, or write the rate that it was recorded at)"
        )
    return rate


def view_names_of(path: Path) -> tuple[str, ...]:
    """Views of the robot that a run was with, in order; none where its config.yaml doesn't say."""
    try:
        views = read_config(path)["robot"]["views"]
        return tuple(str(view["name"]) for view in views)
    except (ConfigError, LookupError, TypeError):
        return ()


def limits_of(path: Path) -> dict[str, Any]:
    """Limits of the robot that a run was with; none where its config.yaml doesn't say."""
    try:
        limits = read_config(path)["robot"]["limits"]
    except (ConfigError, LookupError, TypeError):
        return {}
    return limits if isinstance(limits, dict) else {}


def classifier_in(config: Mapping[str, Any]) -> Classifier | None:
    """The task's classifier with the parameters that it had in the run that a config was read of;
    None where it can't be made any more."""
    task = config.get("task")
    said = task.get("classifier") if isinstance(task, dict) else None
    parameters = said.get("parameters") if isinstance(said, dict) else None
    name = option_in(config, "task")
    if not isinstance(parameters, dict) or name is None:
        return None
    changes = {f"classifier.parameters.{name}": value for name, value in parameters.items()}
    try:
        return make_classifier(load_task(name, changes))
    except ConfigError:
        return None


def first_uncounted(folder: Path) -> int:
    """Number of the first episode that the session has not counted; 1 without books.

    Raises:
        ConfigError: when the books are broken.
    """
    path = folder / PROGRESS_FILE
    try:
        number = json.loads(path.read_bytes())["session"]["episode"]
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"session.episode is {number!r}")
        return number
    except FileNotFoundError:
        return 1
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: broken ({_one_line(error)}) (move it away; the stages then begin anew)"
        ) from error


def is_running(path: Path) -> bool:
    """Whether a runner holds the folder now."""
    try:
        stream = (path / _LOCK_FILE).open()
    except OSError:
        return False
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def runner_of(path: Path) -> int | None:
    """Process id of the runner that holds the folder now; None where nobody does, or it doesn't
    say."""
    try:
        with (path / _LOCK_FILE).open() as stream:
            said = stream.read().strip()
    except OSError:
        return None
    return int(said) if said.isdecimal() and is_running(path) else None


def read_config(path: Path) -> dict[str, Any]:
    """A run's config.yaml: `command`, `options` and what followed from them.

    Raises:
        ConfigError: when it is missing or broken.
    """
    file = path / CONFIG_FILE
    try:
        content = yaml.load(file.read_bytes(), _Loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: can't be read: {_one_line(error)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("options"), dict):
        raise ConfigError(f"{file}: has no options (is it the config.yaml of a run?)")
    return content


def new_folder(options: RunOptions) -> Path:
    """Where a new run is to lie; nothing is made yet.

    Raises:
        ConfigError: when there is a run already.
    """
    if options.run_dir is not None:
        path = Path(options.run_dir).expanduser().absolute()
        if (path / CONFIG_FILE).exists():
            raise ConfigError(
                f"run_dir:={path}: holds a run already (resume:={path} goes on with "
                "it, another folder starts anew)"
            )
        return path
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in ["", *(f"_{number}" for number in range(2, 100))]:
        path = runs_dir() / f"{stamp}_{options.task_name}{suffix}"
        if not path.exists():
            return path
    raise ConfigError(f"{runs_dir()}: no free name left for this second (give run_dir:=)")


def make_folder(path: Path) -> None:
    """Makes a run's folder and those in it. Raises ConfigError where it can't be made."""
    try:
        for name in ("logs", "params", "checkpoints", "episodes"):
            (path / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be created: {error.strerror} (give another run_dir:=)"
        ) from None


def lock_folder(path: Path) -> IO[str]:
    """Takes a run's folder for one runner; held as long as the file stays open.

    Raises:
        ConfigError: when it is taken, or can't be written.
    """
    try:
        stream = (path / _LOCK_FILE).open("a+")
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be written: {error.strerror} (give yourself the right to write there)"
        ) from None
    if not _taken(stream):
        stream.seek(0)
        owner = stream.read().strip() or "unknown"
        stream.close()
        raise ConfigError(f"{path}: in use by process {owner} (stop it first)") from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


def _taken(stream: IO[str]) -> bool:
    """Whether the lock is ours now. Who asks whether a run goes on (`is_running`) holds it for an
    instant, and is no other runner."""
    for wait in (*_ASKS_AGAIN_AFTER, None):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if wait is not None:
                time.sleep(wait)
    return False


def write_config(
    path: Path, command: str, options: RunOptions, task: TaskConfig, budget: Budget
) -> None:
    """Writes config.yaml; see `read_config`. Raises ConfigError where it can't be written."""
    kept = {**vars(budget), "task": options.task, "seed": options.seed}
    content = {
        "command": command,
        # Of its newest start, where it goes on from an earlier one; `machine` too.
        "started": datetime.datetime.now().astimezone().isoformat(timespec="microseconds"),
        # What a resumed run keeps, the budget that followed from defaults too.
        "options": options.model_dump(mode="json", exclude_unset=True, exclude={"resume"})
        | {name: value for name, value in kept.items() if name in type(options).model_fields},
        "resolved": options.model_dump(mode="json"),
        "budget": dict(vars(budget)),
        "task": task.model_dump(mode="json"),
        "robot": load_robot(options.robot).model_dump(mode="json"),
        "machine": machine(),
    }
    partial = path / f".{CONFIG_FILE}.partial"
    try:
        with replacing(partial, path / CONFIG_FILE):
            partial.write_text(yaml.safe_dump(content, sort_keys=False))
    except DiskError as error:
        raise ConfigError(str(error)) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
