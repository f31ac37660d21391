# SPDX-License-Identifier: Apache-2.0
"""`expo-ft episodes play`: a recorded episode as a video that browsers play, by the FFmpeg in
OpenCV's wheel."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.cli.episodes import episode_number
from expo_ft_ros.cli.serving import show
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.experiment.operator_word import episode_file
from expo_ft_ros.experiment.progress_line import counted
from expo_ft_ros.experiment.run_folder import find_run
from expo_ft_ros.recording.recorded_episode import read_recorded
from expo_ft_ros.report.run_data import RunData, read_run
from expo_ft_ros.report.scene import EpisodeScene
from expo_ft_ros.robots import RobotLimits

SUFFIX, VIDEOS = ".webm", "videos"
_CODECS = ("VP90", "VP80")


def main(words: Sequence[str]) -> int:
    """Renders an episode; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, an episode that isn't there or has no whole step, or a
            file that can't be written.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    number = episode_number(wanted.number)
    run = read_run(find_run(wanted.run))
    path = episode_file(run.path, number)
    output = run.path / VIDEOS / f"episode_{number:06d}{SUFFIX}"
    if wanted.output:
        output = Path(wanted.output).expanduser()
    if output.suffix != SUFFIX:
        raise ConfigError(f"episodes play: {output} is not a {SUFFIX} (give output:=FILE{SUFFIX})")
    try:
        if not wanted.output:
            output.parent.mkdir(exist_ok=True)
        scene = EpisodeScene(read_recorded(path), _limits(run), run.control_hz)
        with counted(range(len(scene)), "frames") as steps:
            count = write_video(output, map(scene.frame, steps), run.control_hz)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"{output}: can't be written: {error.strerror or error} (give another output:=)"
        ) from error
    print(f"{count} steps of episode {number} of {run.path}: {output}")
    show(output.absolute().as_uri())
    return 0


def _parser() -> Parser:
    made = Parser(prog="expo-ft episodes play", description="Renders an episode to a video.")
    made.add_argument("number", help="of the episode (see episodes list)")
    made.add_argument("run", nargs="?", default="latest", help="a run's folder, or `latest`")
    made.add_argument(
        "--output",
        metavar="FILE",
        help=f"the video (default: <run>/{VIDEOS}/episode_<number>{SUFFIX})",
    )
    return made


def _limits(run: RunData) -> RobotLimits:
    """What an action of 1 meant in that run."""
    # In older runs they were the task's.
    robot = run.config.get("robot", run.config["task"])
    return RobotLimits.model_validate(robot.get("limits", {}))


def write_video(path: Path, frames: Iterable[ImageArray], rate: float) -> int:
    """Writes frames (h, w, 3) RGB, of one size, both sides even; rate: frames a second [Hz]. Gives
    their number. The file is there whole or not at all.

    Raises:
        OSError: when it can't be written.
    """
    partial = path.with_name(f".{path.stem}.partial{SUFFIX}")
    count, writer = 0, None
    try:
        for image in frames:
            if writer is None:
                writer = _open(partial, (image.shape[1], image.shape[0]), rate)
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            count += 1
        if writer is not None:
            writer.release()
            partial.replace(path)
    finally:
        if writer is not None:
            writer.release()
        partial.unlink(missing_ok=True)
    return count


def _open(path: Path, size: tuple[int, int], rate: float) -> cv2.VideoWriter:
    # OpenCV doesn't say why it can't.
    path.touch()
    for codec in _CODECS:
        with _silenced():
            code = cv2.VideoWriter_fourcc(*codec)  # type: ignore[attr-defined]
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, rate, size)
        if writer.isOpened():
            return writer
    raise OSError(f"this OpenCV ({cv2.__version__}) writes neither VP9 nor VP8")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keeps from standard error what OpenCV prints there: that WebM has no four-letter codes."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
