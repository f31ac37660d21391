# SPDX-License-Identifier: Apache-2.0
"""The agent whose choice is measured: its weights as trained, or a critic refitted beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import FloatArray, ImageArray
from expo_ft_ros.experiment.bench_options import ChoiceOptions, LearnOptions
from expo_ft_ros.experiment.branches import Branches
from expo_ft_ros.experiment.changes import split_changes
from expo_ft_ros.experiment.episode_arrays import kept_episodes, read_episodes
from expo_ft_ros.experiment.option_checks import check_options
from expo_ft_ros.experiment.options import EvalOptions
from expo_ft_ros.experiment.run_folder import LATEST, find_run, first_uncounted, option_of
from expo_ft_ros.experiment.weights import Weights, weights_to_evaluate
from expo_ft_ros.recording.episode_store import load_episodes, whole_files
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.algorithms.base import EncodedObservation
from expo_ft_ros.rl.algorithms.expo_ft import ExpoFT
from expo_ft_ros.rl.checkpoint import load_state
from expo_ft_ros.rl.checkpoint_files import SUFFIX
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.rl.update_schedule import newest_learned
from expo_ft_ros.robots import RobotConfig, load_robot
from expo_ft_ros.tasks import TaskConfig, load_task

_FITTED = {"vla_steps_per_update": "0", "vla_encoder_every": "0"}
"""A critic is fitted to a policy that stays as it is."""

Told = Callable[[int, dict[str, float]], None]
"""Called now and then while a critic is fitted: with steps done and the newest metrics."""


@dataclass(frozen=True)
class AgentSource:
    """An agent, and the task and robot that it was trained for, in words: another process makes
    the same of it.

    task_name, robot_name: as options name them; changes, task_changes: fields that differ from
    their files; refit: critic steps from scratch, 0: the critic as it was trained.
    """

    weights: Weights
    task_name: str
    robot_name: str
    changes: dict[str, str] = field(default_factory=dict)
    task_changes: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    refit: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigError for what isn't there, or can't be changed so."""
        config, task = self.config, self.task
        if config.vla.horizon < task.execute_steps:
            raise ConfigError(
                f"change:=task.execute_steps={task.execute_steps}: more than the policy's horizon "
                f"{config.vla.horizon} (give less)"
            )

    @property
    def task(self) -> TaskConfig:
        """Read from its file each time; so are the others."""
        return load_task(self.task_name, self.task_changes)

    @property
    def robot(self) -> RobotConfig:
        """The simulated robot."""
        return load_robot(self.robot_name)

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.weights.path.parent.parent

    @property
    def config(self) -> AgentConfig:
        """Of the agent."""
        changes = {**self.changes, **(_FITTED if self.refit else {})}
        return load_preset(self.weights.preset, self.weights.size, changes)


def find_source(options: ChoiceOptions) -> AgentSource:
    """What `bench choice` is asked about, as `source_of`.

    Raises:
        ConfigError: as `source_of`, for an algorithm whose critic says nothing of the policy's
            chunks, and for a refit without episodes.
    """
    source = source_of(options)
    if source.weights.algorithm != "expo_ft":
        raise ConfigError(
            f"checkpoint:={options.checkpoint}: trained by {source.weights.algorithm}, whose "
            "critic values no chunks of the policy (name a run of expo_ft)"
        )
    if options.refit and not (kept_episodes(source.run) or whole_files(source.run / "episodes")):
        raise ConfigError(
            f"refit:={options.refit}: {source.run} has no episodes to fit a critic to (bench learn "
            "keeps them with checkpoints:=last)"
        )
    return source


def source_of(options: ChoiceOptions) -> AgentSource:
    """A run's newest weights, or a file's; with the run's task, robot and changed fields where the
    options name no others.

    Raises:
        ConfigError: as `weights_to_evaluate`, and for changes that can't be made.
    """
    path = Path(options.checkpoint).expanduser()
    run: Path | None = None
    if path.suffix == SUFFIX:
        run = path.absolute().parent.parent
    elif options.checkpoint != LATEST:
        run = find_run(options.checkpoint, option="checkpoint")

    def said(name: str) -> str:
        """An option, else the run's."""
        of_run = None if run is None else option_of(run, name)
        given = str(getattr(options, name))
        return given if name in options.model_fields_set else of_run or given

    task_name, robot_name = said("task"), said("robot")
    asked = EvalOptions(checkpoint=options.checkpoint, task=task_name, robot=robot_name)
    weights = weights_to_evaluate(asked)
    check_options(LearnOptions(task=task_name, robot=robot_name, size=weights.size))
    trained_with = option_of(weights.path.parent.parent, "change") or ""
    changes, of_task = split_changes(",".join(filter(None, (trained_with, options.change))))
    changes["threads"] = str(options.threads)
    return AgentSource(
        weights, task_name, robot_name, changes, of_task, options.seed, options.refit
    )


def make_agent(source: AgentSource) -> Agent:
    """The agent as it was trained.

    Raises:
        ConfigError: when the weights aren't of its configuration.
    """
    agent = _new_agent(source)
    try:
        agent.load_weights(source.weights.path)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return agent


def refitted_agent(source: AgentSource, told: Told = lambda steps, metrics: None) -> Agent:
    """The run's policy with a critic of new weights, fitted by `refit` steps to the episodes that
    the policy was learned from; edits learn beside it where the configuration has them.

    Raises:
        ConfigError: when the policy isn't of its configuration, and where there are no such
            episodes, or more than replay holds.
        TrainingDiverged: as learning does.
    """
    agent = _new_agent(source)
    try:
        agent.load_vla(source.weights.path)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    _take_episodes(agent, source)
    calls = math.ceil(source.refit / agent.config.critic_steps_per_update)
    for metrics in agent.learn(calls):
        if "critic/loss" in metrics and agent.critic_updates % 100 == 0:
            told(agent.critic_updates, metrics)
    return agent


def episodes_of(weights: Weights, image_size: int) -> Iterator[Episode]:
    """What weights were learned from: the demonstrations of their run, and its online episodes up
    to the newest that they had learned from.

    Of a run with a graph these are recorded, and only what the session counted; of one without,
    what `bench learn` kept.

    Raises:
        ConfigError: where the weights don't say how far they had come, or the books are broken.
        ValueError: for a file that holds no whole episode.
    """
    run = weights.path.parent.parent
    try:
        newest = newest_learned(load_state(weights.path)["counters"])
    except LookupError:
        raise ConfigError(
            f"{weights.path}: doesn't say which episodes it was learned from (name a checkpoint "
            "of a training)"
        ) from None
    every = (
        read_episodes(run)
        if kept_episodes(run)
        else load_episodes(run / "episodes", first_uncounted(run), image_size)
    )
    for episode in every:
        outcome = episode.outcome
        if outcome.stage not in LEARNED_STAGES:
            continue
        if outcome.stage == "collect" or outcome.episode <= newest.get("", 0):
            yield episode


def _take_episodes(agent: Agent, source: AgentSource) -> None:
    """Puts them into the replay of an agent.

    Raises:
        ConfigError: as `episodes_of`; for no episodes, and for more than replay holds: it would
            forget the demonstrations.
    """
    steps, capacity = 0, agent.config.replay_capacity
    for episode in episodes_of(source.weights, agent.config.image_size):
        agent.add_episode(episode)
        steps += len(episode)
        if agent.replay_size < steps:
            raise ConfigError(
                f"refit:={source.refit}: the episodes that {source.weights.path} was learned from "
                f"are more than a replay of {capacity} slots holds, the demonstrations would be "
                "forgotten (change:=replay_capacity=, more)"
            )
    if steps == 0:
        raise ConfigError(
            f"refit:={source.refit}: {source.weights.path} was learned from no episode of its run "
            "that was counted (name a later checkpoint)"
        )


def chunk_values(
    agent: Agent,
    images: ImageArray,
    state: FloatArray,
    instruction: str,
    chunks: FloatArray,
    *,
    place: tuple[int, int],
) -> FloatArray:
    """What the critic says of chunks (K, C, 7) at one observation: (K,), NaN while it is untrained.

    By the value that the agent acts by (`value.acting_value`). images: (V, 3, s, s) uint8;
    state: (STATE_DIM,) SI units; chunks in robot-normalised units; place: seed of the state's
    episode and steps before it, which say how many of the agent's task are left, and what members
    are drawn: others at each state, the same for each set of weights, so values of two runs differ
    by their weights alone.

    Raises:
        TypeError: for an algorithm whose critic values no such chunks.
    """
    algorithm = agent.algorithm
    if not isinstance(algorithm, ExpoFT):
        raise TypeError(f"{type(algorithm).__name__} values no chunks of the policy")
    if agent.critic_updates == 0:
        return np.full(len(chunks), np.nan, dtype=np.float32)
    seed = int(np.random.SeedSequence(place).generate_state(1)[0])
    generator = torch.Generator(agent.device).manual_seed(seed)
    with torch.inference_mode(), agent.precision():
        left = np.array([agent.task.max_steps - place[1]], dtype=np.float32)
        seen = agent.memory.of_kept(images[None], state[None], [instruction], left)
        encoded = EncodedObservation(*seen)
        normalised = agent.vla.normalise(torch.from_numpy(chunks).to(agent.device))
        values = algorithm.values(encoded, normalised[None], generator)
    found: FloatArray = values[0].float().cpu().numpy()
    return found


def values_of_branches(agent: Agent, branches: Branches) -> FloatArray:
    """(R,) what the agent's critic says of all chunks of branches."""
    q = np.full(len(branches.at), np.nan, dtype=np.float32)
    for place in range(len(branches)):
        rows: NDArray[np.intp] = np.flatnonzero(branches.at == place)
        q[rows] = chunk_values(
            agent,
            branches.images[place],
            branches.state[place],
            str(branches.instruction[place]),
            branches.chunk[rows],
            place=(int(branches.scene[place]), int(branches.step[place])),
        )
    return q


def require_fit(source: AgentSource, branches: Branches, task: str, path: Path) -> None:
    """Refuses branches of another task, other images, views or chunks than the agent's.

    Raises:
        ConfigError: with both.
    """
    if task != source.task.name:
        raise ConfigError(
            f"branches:={path}: of the task {task}, {source.weights.path} was trained on "
            f"{source.task.name} (name branches of that, or branch anew without branches:=)"
        )
    size = source.config.image_size
    wanted = (len(source.robot.views), 3, size, size)
    if branches.images.shape[1:] != wanted:
        raise ConfigError(
            f"branches:={path}: images of {branches.images.shape[1:]} (views, colours, pixels), "
            f"the agent of {source.weights.path} sees {wanted} (branch anew without branches:=)"
        )
    if branches.chunk.shape[1] != source.task.execute_steps:
        raise ConfigError(
            f"branches:={path}: chunks of {branches.chunk.shape[1]} steps, the agent executes "
            f"{source.task.execute_steps} (change:=task.execute_steps={branches.chunk.shape[1]})"
        )


def _new_agent(source: AgentSource) -> Agent:
    config = source.config
    return Agent(source.task, config, source.robot.views, source.seed, source.weights.algorithm)
