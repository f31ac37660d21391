# SPDX-License-Identifier: Apache-2.0
"""`expo-ft export`: what a run has recorded, for other tools."""

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.experiment.progress_line import counted
from expo_ft_ros.experiment.run_folder import (
    control_hz_in,
    find_run,
    first_uncounted,
    limits_of,
    read_config,
)
from expo_ft_ros.recording.episode_store import files_before, load_episode
from expo_ft_ros.recording.lerobot import DatasetWriter

FORMATS = ("lerobot",)
_ROBOT = "franka"
_ONLY = ("all", "successes", "demonstrations")


def main(words: Sequence[str]) -> int:
    """Exports a run; returns the exit code.

    Raises:
        ConfigError: for a run that isn't there, an episode that is broken, or a folder that can't
            be written.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    if wanted.policy:
        return _export_policy(wanted.folder, wanted.run, wanted.policy)
    run = find_run(wanted.run)
    rate = control_hz_in(read_config(run), run)
    folder, limits = Path(wanted.folder).expanduser(), limits_of(run)
    try:
        with DatasetWriter(folder, rate, _ROBOT, limits) as writer:
            with counted(files_before(run / "episodes", first_uncounted(run)), "episodes") as paths:
                for episode in map(load_episode, paths):
                    if _wanted(episode, wanted.only):
                        writer.add(episode)
            count = writer.close()
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    print(f"{count} episodes of {run} written to {wanted.folder}")
    return 0


def _export_policy(folder: str, run: str, layout: str) -> int:
    from expo_ft_ros.cli.export_policy import export_policy

    try:
        exported = export_policy(Path(folder).expanduser(), find_run(run, "train"), layout)
    except OSError as error:
        raise ConfigError(str(error)) from error
    for note in exported.notes:
        print(note)
    print(f"its policy is written to {folder}")
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft export",
        description="Writes demonstrations and online episodes of a run as a dataset, or its "
        "policy as a checkpoint.",
    )
    made.add_argument("folder", help="where to: a new folder")
    made.add_argument("run", nargs="?", default="latest", help="a run's folder, or `latest`")
    made.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="lerobot: LeRobotDataset v3.0"
    )
    made.add_argument("--only", choices=_ONLY, default=_ONLY[0], help="which episodes")
    made.add_argument(
        "--policy", help="no episodes but the policy, as this project reads it: openpi or lerobot"
    )
    return made


def _wanted(episode: Episode, only: str) -> bool:
    outcome = episode.outcome
    if only == "successes" and not outcome.success:
        return False
    return outcome.stage in (("collect",) if only == "demonstrations" else LEARNED_STAGES)
