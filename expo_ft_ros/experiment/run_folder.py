"""The folder of a run: where it is, what is written into it first, how it is found again."""

import datetime
import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import yaml

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import put_in_place
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.options import (
    CollectOptions,
    EvalOptions,
    RunOptions,
    TrainOptions,
    budget,
    make_options,
    parse_arguments,
)
from expo_ft_ros.experiment.progress import SUMMARY_FILE
from expo_ft_ros.monitor.address import require_openable_console
from expo_ft_ros.rl.config import load_preset, require_room
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task

CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.jsonl"
PROGRESS_FILE = "progress.json"
LATEST = "latest"
_LOCK_FILE = ".lock"

Options = TypeVar("Options", bound=RunOptions)


@dataclass(frozen=True)
class Run(Generic[Options]):
    """An opened run: its folder, its options, and whether it goes on from an earlier start.

    The lock is held as long as the object lives: one runner in one folder.
    """

    path: Path
    options: Options
    resumed: bool
    lock: IO[str]


class RunFinished(Exception):
    """A run that was to go on has ended already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is finished; a larger budget (steps:=) would go on with it")
        self.path = path


def runs_dir() -> Path:
    """Where runs lie: $EXPO_FT_RUNS, else `runs` in the working directory."""
    return Path(os.environ.get("EXPO_FT_RUNS", "runs")).absolute()


def open_run(command: str, arguments: Sequence[str], model: type[Options]) -> Run[Options]:
    """Parses the arguments and creates the run's folder, or takes up the one of `resume:=`.

    A resumed run keeps its options, except for those given now; its task can't change.

    Args:
        command: The CLI's command, kept in config.yaml.
        arguments: `name:=value`, as typed.
        model: The command's options.

    Raises:
        ConfigError: for wrong arguments, a run that doesn't exist or is of another command or task,
            a folder that can't be written or is in use, a console that can't be opened.
        RunFinished: when there is nothing left to go on with; the run is as it was.
    """
    options = parse_arguments(arguments, model)
    source = options.resume if isinstance(options, CollectOptions) else None
    if source is None:
        # Before there is a folder.
        _refuse_impossible(options)
        _require_console(options)
        path = _new_folder(options)
    else:
        path = find_run(source, command, option="resume")
        options = _resumed(path, command, arguments, options, model)
        _refuse_impossible(options)
    lock = _lock(path)
    if source is not None:
        # After it is known that the run's own console is gone.
        _require_console(options)
        _reopen(path, options)
    _write_config(path, command, options)
    return Run(path, options, source is not None, lock)


def _refuse_impossible(options: RunOptions) -> None:
    """Raises ConfigError for what can't be begun, or couldn't end well."""
    task = load_task(options.task)
    work = budget(options, task)
    if isinstance(options, TrainOptions):
        config = load_preset(options.preset, options.size)
        require_room(config, work.steps, work.demos + work.given, task.max_steps)


def _require_console(options: RunOptions) -> None:
    if options.console:
        require_openable_console(options.console_host, options.console_port)


def find_run(source: str, command: str | None = None, option: str = "run") -> Path:
    """The run that `source` means.

    Args:
        source: A run's folder, or `latest`: the newest of `runs/`.
        command: For `latest`, only runs of this command; without one, such as have an episode
            come first (a look at the simulation has none).
        option: What the error calls it.

    Raises:
        ConfigError: when there is none.
    """
    if source == LATEST:
        found = [path for path in _runs() if command in (None, _command_of(path))]
        if not found:
            kind = f"{command} run" if command else "run"
            raise ConfigError(f"no {kind} in {runs_dir()} yet (start one, or name a run's folder)")
        if command is None:
            found = [path for path in found if (path / METRICS_FILE).is_file()] or found
        return max(found, key=lambda path: (path / CONFIG_FILE).stat().st_mtime_ns)
    path = Path(source).absolute()
    if (path / CONFIG_FILE).is_file():
        return path
    if (runs_dir() / source / CONFIG_FILE).is_file():
        return runs_dir() / source
    names = ", ".join(sorted(run.name for run in _runs())[-5:]) or "none"
    raise ConfigError(
        f"{option}:={source}: no run there, it has no {CONFIG_FILE} (newest runs: {names})"
    )


def find_checkpoint(options: EvalOptions) -> Path:
    """The weights that `checkpoint:=` means: a .safetensors file, or the newest of a run.

    Raises:
        ConfigError: when there is none.
    """
    given = Path(options.checkpoint)
    if given.suffix == ".safetensors":
        if not given.is_file():
            raise ConfigError(f"checkpoint:={given}: no such file")
        return given.absolute()
    if options.checkpoint == LATEST:
        return _newest_weights(options.task)
    run = find_run(options.checkpoint, "train", option="checkpoint")
    trained = _task_of(run)
    if trained != options.task:
        raise ConfigError(
            f"checkpoint:={options.checkpoint}: {run.name} was trained on {trained}, "
            f"not on {options.task} (give task:={trained})"
        )
    weights = _weights(run)
    if not weights:
        raise ConfigError(
            f"checkpoint:={options.checkpoint}: {run} has no checkpoints yet "
            "(train longer, or name another run)"
        )
    return weights[-1]


def _newest_weights(task: str) -> Path:
    """Of every training on the task; a run that was stopped before its first has none."""
    trained = [run for run in _runs() if _command_of(run) == "train" and _task_of(run) == task]
    weights = [path for run in trained for path in _weights(run)]
    if not weights:
        raise ConfigError(
            f"checkpoint:={LATEST}: no training on {task} in {runs_dir()} has a checkpoint yet "
            f"(expo-ft train task:={task}, or name a run's folder)"
        )
    return max(weights, key=lambda path: path.stat().st_mtime_ns)


def _weights(run: Path) -> list[Path]:
    """A run's checkpoints, the newest last."""
    found = (run / "checkpoints").absolute().glob("*.safetensors")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def _task_of(run: Path) -> str | None:
    try:
        return str(read_config(run)["options"]["task"])
    except (ConfigError, KeyError):
        return None


def first_uncounted(folder: Path) -> int:
    """Number of the first episode that the session has not counted; 1 without books.

    Raises:
        ValueError: when the books are broken.
    """
    try:
        return int(json.loads((folder / PROGRESS_FILE).read_text())["session"]["episode"])
    except FileNotFoundError:
        return 1
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / PROGRESS_FILE}: broken ({error}); move it away") from error


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


def trained_with(options: EvalOptions, checkpoint: Path) -> dict[str, str]:
    """Algorithm, preset and size of an evaluation: as given, else those of the weights' run."""
    run = checkpoint.parent.parent
    known = read_config(run).get("resolved", {}) if (run / CONFIG_FILE).is_file() else {}
    default = TrainOptions()
    return {
        name: str(getattr(options, name) or known.get(name, getattr(default, name)))
        for name in ("algorithm", "preset", "size")
    }


def read_config(path: Path) -> dict[str, Any]:
    """A run's config.yaml: `command`, `options` and what followed from them.

    Raises:
        ConfigError: when it is missing or broken.
    """
    file = path / CONFIG_FILE
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: can't be read: {_one_line(error)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("options"), dict):
        raise ConfigError(f"{file}: has no options (is it the config.yaml of a run?)")
    return content


def _runs() -> list[Path]:
    return [file.parent for file in runs_dir().glob(f"*/{CONFIG_FILE}")]


def _command_of(path: Path) -> str | None:
    try:
        return read_config(path).get("command")
    except ConfigError:
        return None


def _resumed(
    path: Path, command: str, arguments: Sequence[str], given: Options, model: type[Options]
) -> Options:
    before = read_config(path)
    if before.get("command") != command:
        raise ConfigError(
            f"resume: {path} is a run of `expo-ft {before.get('command')}`, "
            f"not of `expo-ft {command}`"
        )
    old = make_options(dict(before["options"]), model)
    if "task" in given.model_fields_set and given.task != old.task:
        raise ConfigError(
            f"task:={given.task}: {path.name} is a run of {old.task} "
            "(leave task out, or start a new run)"
        )
    if given.run_dir is not None:
        raise ConfigError("run_dir: a resumed run stays in its folder (leave run_dir out)")
    return parse_arguments(arguments, model, base=old)


def _new_folder(options: RunOptions) -> Path:
    if options.run_dir is not None:
        path = Path(options.run_dir).absolute()
        if (path / CONFIG_FILE).exists():
            raise ConfigError(
                f"run_dir:={path}: holds a run already (resume:={path} goes on with "
                "it, another folder starts anew)"
            )
        _make(path, exist_ok=True)
        return path
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in ["", *(f"_{number}" for number in range(2, 100))]:
        path = runs_dir() / f"{stamp}_{options.task}{suffix}"
        if not path.exists():
            _make(path, exist_ok=False)
            return path
    raise ConfigError(f"{runs_dir()}: no free name left for this second (give run_dir:=)")


def _make(path: Path, *, exist_ok: bool) -> None:
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
        for name in ("logs", "params", "checkpoints", "episodes"):
            (path / name).mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be created: {error.strerror} (give another run_dir:=)"
        ) from None


def _lock(path: Path) -> IO[str]:
    try:
        stream = (path / _LOCK_FILE).open("a+")
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        owner = stream.read().strip() or "unknown"
        stream.close()
        raise ConfigError(f"{path}: in use by process {owner} (stop it first)") from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


def _reopen(path: Path, options: RunOptions) -> None:
    """Takes the end of a run back that is asked for more; raises RunFinished where it isn't."""
    if not (path / SUMMARY_FILE).is_file():
        return
    done = read_config(path).get("budget", {})
    wanted = vars(budget(options, load_task(options.task)))
    names = ("steps", "eval_trials") if isinstance(options, TrainOptions) else ("demos",)
    if all(wanted[name] <= done.get(name, 0) for name in names):
        raise RunFinished(path)
    (path / SUMMARY_FILE).unlink()


def _write_config(path: Path, command: str, options: RunOptions) -> None:
    task = load_task(options.task)
    work = budget(options, task)
    kept = {**vars(work), "task": options.task, "seed": options.seed}
    content = {
        "command": command,
        # What a resumed run keeps, the budget that followed from defaults too.
        "options": options.model_dump(mode="json", exclude_unset=True, exclude={"resume"})
        | {name: value for name, value in kept.items() if name in type(options).model_fields},
        "resolved": options.model_dump(mode="json"),
        "budget": dict(vars(work)),
        "task": task.model_dump(mode="json"),
        "robot": load_robot(options.robot).model_dump(mode="json"),
        # Of its newest start, where it goes on from an earlier one.
        "machine": machine(),
    }
    temporary = path / f".{CONFIG_FILE}.tmp"
    temporary.write_text(yaml.safe_dump(content, sort_keys=False))
    put_in_place(temporary, path / CONFIG_FILE)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
