# SPDX-License-Identifier: Apache-2.0
"""Where `expo-ft reward calibrate` has its image from: a file, a recorded episode, or a camera."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

from expo_ft_ros.cli.arguments import Parser
from expo_ft_ros.cli.episodes import episode_number
from expo_ft_ros.configuration import ConfigError, nearest
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.experiment.environment import (
    require_chosen_domain,
    require_environment,
    ros_environment,
)
from expo_ft_ros.experiment.operator_word import episode_file
from expo_ft_ros.experiment.run_folder import find_run
from expo_ft_ros.recording.episode_store import rescue_episode
from expo_ft_ros.recording.lerobot import DatasetError, read_dataset
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import TaskConfig

SOURCES = ("image", "run", "dataset", "topic")
_TIMEOUT = 10.0  # for an image of a topic: discovery takes some seconds [s]


def add_sources(parser: Parser) -> None:
    """Adds the options that say where the image is."""
    parser.add_argument("--image", metavar="FILE", help="an image's file")
    parser.add_argument("--run", help="a run's folder, or `latest`: an episode that it recorded")
    parser.add_argument("--dataset", metavar="FOLDER", help="an episode of a LeRobot dataset")
    parser.add_argument("--episode", default="1", help="of the run or dataset")
    parser.add_argument("--step", default="0", help="of the episode, from 0")
    parser.add_argument("--view", help="of the episode (default: its first)")
    parser.add_argument("--robot", default=DEFAULT_ROBOT, help="whose views the dataset has")
    parser.add_argument("--topic", help="a camera's, of sensor_msgs/Image: its next image")


def read_image(wanted: argparse.Namespace, task: TaskConfig) -> ImageArray:
    """(h, w, 3) uint8 RGB: the image that the options name.

    Raises:
        ConfigError: where they name none, or several, or it can't be had.
    """
    named = [source for source in SOURCES if getattr(wanted, source)]
    if len(named) != 1:
        given = " and ".join(named) or "no"
        raise ConfigError(
            f"reward calibrate: {given} source of an image (name one of {', '.join(SOURCES)})"
        )
    match named[0]:
        case "image":
            return _of_file(Path(wanted.image).expanduser())
        case "topic":
            return _of_topic(wanted.topic)
        case "run":
            return _of_episode(_recorded(wanted), wanted)
    return _of_episode(_of_dataset(wanted, task), wanted)


def _of_file(path: Path) -> ImageArray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        cause = "no image that can be read" if path.is_file() else "no such file"
        raise ConfigError(f"image:={path}: {cause} (give a .png or .jpg)")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _of_topic(topic: str) -> ImageArray:
    require_environment()
    require_chosen_domain()
    os.environ.update(ros_environment(Path.home() / ".ros"))
    from expo_ft_ros.ros.one_image import take_image

    try:
        return take_image(topic, _TIMEOUT)
    except (TimeoutError, ValueError) as error:
        raise ConfigError(f"topic:={error} (see `ros2 topic hz {topic}`)") from None


def _recorded(wanted: argparse.Namespace) -> Episode:
    path = episode_file(find_run(wanted.run), episode_number(wanted.episode))
    try:
        episode = rescue_episode(path)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if episode is None:
        raise ConfigError(f"{path}: has no whole step (name another episode)")
    return episode


def _of_dataset(wanted: argparse.Namespace, task: TaskConfig) -> Episode:
    number, views = episode_number(wanted.episode), load_robot(wanted.robot).view_names
    try:
        for episode in read_dataset(Path(wanted.dataset).expanduser(), task.control_hz, views):
            if episode.outcome.episode == number:
                return episode
    except (DatasetError, OSError) as error:
        raise ConfigError(f"dataset:={error}") from None
    raise ConfigError(f"episode:={number}: {wanted.dataset} has no such episode (from 1)")


def _of_episode(episode: Episode, wanted: argparse.Namespace) -> ImageArray:
    view = wanted.view or next(iter(episode.views))
    if view not in episode.views:
        raise ConfigError(f"view:={view}: not of the episode ({nearest(view, episode.views)})")
    step = int(wanted.step) if wanted.step.isdecimal() else -1
    if not 0 <= step <= len(episode):
        raise ConfigError(f"step:={wanted.step}: the episode has steps 0 to {len(episode)}")
    image: ImageArray = episode.views[view][step]
    return image
