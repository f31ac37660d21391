# SPDX-License-Identifier: Apache-2.0
"""What `bench learn` keeps of a run without ROS: weights, episodes and options, as a run's folder.

So what looks for a run's weights (`experiment.weights`) finds these, too.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import time
from pathlib import Path

import yaml

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.files import replacing, writing
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.episode_arrays import write_episode
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.run_folder import CONFIG_FILE, runs_dir
from expo_ft_ros.experiment.weights import CHECKPOINTS
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.checkpoint_files import SUFFIX
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import TaskConfig

COMMAND = "bench learn"
LAST = "last"


class KeptRun:
    """Keeps episodes as they come, and weights once so many online steps are done.

    Args:
        folder: Of the run; there already.
        steps: Online steps after which weights are kept.
    """

    def __init__(self, folder: Path, steps: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self._due = sorted(steps)
        self._newest = -1

    @classmethod
    def new(cls, options: LearnOptions, task: TaskConfig, seed: int) -> KeptRun:
        """A new folder in `runs/`, with the options in it.

        Raises:
            DiskError: where it can't be written.
        """
        name = "_".join(filter(None, ("bench", task.name, options.algorithm, options.label)))
        when = time.strftime("%Y-%m-%d_%H-%M-%S")
        folder = _made(runs_dir() / f"{when}_{name}_seed{seed}")
        said = options.model_dump(mode="json", exclude={"imitated"}) | {"seed": seed}
        content = {
            "command": COMMAND,
            "started": datetime.datetime.now().astimezone().isoformat(timespec="microseconds"),
            "options": said,
            "resolved": said,
            "task": task.model_dump(mode="json"),
            "robot": load_robot(options.robot).model_dump(mode="json"),
            "machine": machine(),
        }
        partial = folder / f".{CONFIG_FILE}.partial"
        with replacing(partial, folder / CONFIG_FILE):
            partial.write_text(yaml.safe_dump(content, sort_keys=False))
        steps = "" if options.checkpoints == LAST else options.checkpoints
        return cls(folder, tuple(int(number) for number in filter(None, steps.split(","))))

    def take(self, episode: Episode, agent: Agent, env_steps: int) -> None:
        """An episode was learned from, after so many online steps in all.

        Raises:
            DiskError: where it can't be written.
        """
        write_episode(self.folder, episode)
        if self._due and env_steps >= self._due[0]:
            self._due = [steps for steps in self._due if steps > env_steps]
            self.finish(agent, env_steps)

    def finish(self, agent: Agent, env_steps: int) -> None:
        """Keeps the weights as they are now.

        Raises:
            DiskError: where they can't be written.
        """
        if env_steps == self._newest:
            return
        self._newest = env_steps
        name = f"step{env_steps:06d}_v{agent.version:05d}{SUFFIX}"
        agent.save_weights(self.folder / CHECKPOINTS / name)


def _made(folder: Path) -> Path:
    """The folder, or one with a number behind its name where another run has it."""
    for count in itertools.count(2):
        with writing(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
        folder = folder.with_name(f"{folder.name.partition('.')[0]}.{count}")
    return folder
