"""`expo-ft episodes play`: a recorded episode as a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.bringup.arguments import Parser
from expo_ft_ros.bringup.episodes import episode_file, episode_number
from expo_ft_ros.bringup.run_folder import find_run
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.report.recorded import read_recorded, step_causes
from expo_ft_ros.report.run_data import RunData, read_run
from expo_ft_ros.report.scene import EpisodeScene
from expo_ft_ros.report.video import SUFFIX, write_video
from expo_ft_ros.tasks import RobotLimits


def main(words: Sequence[str]) -> int:
    """Renders an episode; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, an episode that isn't there or has no whole step, or a
            file that can't be written.
    """
    wanted = _parser().parse_args(list(words))
    number = episode_number(wanted.number)
    run = read_run(find_run(wanted.run))
    path = episode_file(run.path, number)
    output = Path(wanted.output or f"episode_{number:06d}{SUFFIX}").expanduser()
    if output.suffix != SUFFIX:
        raise ConfigError(f"episodes play: {output} is not a {SUFFIX} (give --output FILE{SUFFIX})")
    try:
        recorded = read_recorded(path)
        if recorded is None:
            raise ConfigError(f"{path}: no whole step to play (see expo-ft episodes list)")
        scene = EpisodeScene(recorded, step_causes(path), _limits(run), run.control_hz)
        frames = (scene.frame(step) for step in range(len(scene)))
        count = write_video(output, frames, run.control_hz)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"{output}: can't be written: {error.strerror or error} (give another --output)"
        ) from error
    print(f"{count} steps of episode {number}: {output}")
    return 0


def _parser() -> Parser:
    made = Parser(prog="expo-ft episodes play", description="Renders an episode to a video.")
    made.add_argument("number", help="of the episode (see episodes list)")
    made.add_argument("run", nargs="?", default="latest", help="a run's folder, or `latest`")
    made.add_argument("--output", metavar="FILE", help=f"default: episode_<number>{SUFFIX}, here")
    return made


def _limits(run: RunData) -> RobotLimits:
    """What an action of 1 meant in that run."""
    return RobotLimits.model_validate(run.config["task"].get("limits", {}))
