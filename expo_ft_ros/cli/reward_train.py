# SPDX-License-Identifier: Apache-2.0
"""`expo-ft reward train`: a classifier learned from labelled episodes of runs and datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.cli.reward_calibrate import named_task
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.files import DiskError
from expo_ft_ros.experiment.progress_line import ProgressLine, counted
from expo_ft_ros.experiment.run_folder import find_run, first_uncounted, option_of
from expo_ft_ros.recording.episode_store import files_before, load_episode
from expo_ft_ros.recording.lerobot import read_dataset
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import TaskConfig, load_task
from expo_ft_ros.tasks.learned.files import SUFFIX, Confusion

IMAGE_SIZE = 64
"""Side of the images that the classifier sees [px]."""
_HELD_OUT = 0.2  # share of the episodes
_INFO = Path("meta") / "info.json"  # a LeRobot dataset has one


def main(words: Sequence[str]) -> int:
    """Trains, measures on held-out episodes, and writes weights; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a source that can't be read, too few episodes, or a file
            that can't be written.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    task = named_task("reward train", wanted.task)
    views = _views(wanted.views, wanted.robot)
    output = Path(wanted.output or f"{task.name}_reward{SUFFIX}").expanduser()
    if output.suffix != SUFFIX:
        raise ConfigError(f"output:={output}: is not a {SUFFIX} (give output:=FILE{SUFFIX})")
    if not output.absolute().parent.is_dir():
        raise ConfigError(f"output:={output}: its folder isn't there (make it first)")
    steps, last = _number("steps", wanted.steps), _number("last", wanted.last)
    hold, seed = _number("hold_steps", wanted.hold_steps), _number("seed", wanted.seed, least=0)
    # Heavy: help and refusals do without torch.
    from expo_ft_ros.tasks.learned import training
    from expo_ft_ros.tasks.learned.network import save

    try:
        episodes = [
            training.labelled(episode, views, last)
            for source in wanted.sources or ["latest"]
            for episode in _episodes(source, task, wanted.robot)
        ]
        learned, held_out = training.split(episodes, _HELD_OUT, np.random.default_rng(seed))
    except (ValueError, OSError) as error:
        raise ConfigError(f"reward train: {error}") from None
    with ProgressLine("steps") as line:
        net = training.train(learned, steps, seed, line.tell)
    found = training.measure(net, held_out, wanted.threshold, hold)
    about = training.about(task.name, views, learned, found)
    try:
        save(net, about, output)
    except DiskError as error:
        raise ConfigError(f"{error} (give another output:=)") from None
    succeeded = about.episodes["success"]
    print(f"learned from {len(learned)} episodes, {succeeded} of them successes; held out:")
    print(_line("observations", found[0]))
    print(_line(f"episodes (for {hold} observations)", found[1]))
    print(f"written to {output} and {output.with_suffix('.json').name}")
    print("In a task's file beside them:\nclassifier:\n  name: learned")
    print(
        f"  parameters: {{weights: {output.name}, threshold: {wanted.threshold:g}, "
        f"hold_steps: {hold}}}"
    )
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft reward train",
        description="Learns a task's classifier from labelled episodes: what shows a success.",
    )
    made.add_argument(
        "sources", nargs="*", help="folders of runs or LeRobot datasets, or `latest` (the default)"
    )
    made.add_argument("--task", help="name, or path of its file")
    made.add_argument("--views", help="that it looks at, with commas (default: the robot's)")
    made.add_argument("--robot", default=DEFAULT_ROBOT, help="whose views these are")
    made.add_argument("--last", default="3", help="observations at a success's end that show it")
    made.add_argument(
        "--threshold", type=_share, default=0.5, help="probability from which it is a success"
    )
    made.add_argument("--hold_steps", default="2", help="observations in a row for an episode")
    made.add_argument("--steps", default="600", help="of the optimiser, 64 observations each")
    made.add_argument("--seed", default="0", help="of weights, batches and held-out episodes")
    made.add_argument(
        "--output", metavar="FILE", help=f"the weights (default: <task>_reward{SUFFIX})"
    )
    return made


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise ValueError(text)
    return value


def _number(option: str, text: str, least: int = 1) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) < least:
        raise ConfigError(f"{option}:={text}: is no number from {least} on")
    return int(text)


def _views(text: str | None, robot: str) -> tuple[str, ...]:
    known = load_robot(robot).view_names
    names = tuple(text.split(",")) if text else known
    for name in names:
        if name not in known:
            raise ConfigError(f"views:={text}: {robot} has no view {name!r} ({', '.join(known)})")
    return names


def _episodes(source: str, task: TaskConfig, robot: str) -> Iterator[Episode]:
    """The episodes of a run, those of all stages, or of a dataset."""
    folder = Path(source).expanduser()
    if (folder / _INFO).is_file():
        yield from read_dataset(folder, task.control_hz, load_robot(robot).view_names, IMAGE_SIZE)
        return
    run = find_run(source)
    of, disturbed = option_of(run, "task"), option_of(run, "perturb")
    if of is not None and load_task(of).name != task.name:
        raise ConfigError(f"{run}: task is {of}, not {task.name} (name runs of that task)")
    if disturbed:
        raise ConfigError(f"{run}: its scenes were disturbed by {disturbed} (name other runs)")
    with counted(files_before(run / "episodes", first_uncounted(run)), "episodes") as paths:
        for path in paths:
            yield load_episode(path, IMAGE_SIZE)


def _line(of: str, found: Confusion) -> str:
    successes = found.true_positive + found.false_negative
    return (
        f"  {of}: precision {found.precision:.0%}, recall {found.recall:.0%} ({successes} "
        f"successes, {found.false_positive + found.true_negative} others)"
    )
