# SPDX-License-Identifier: Apache-2.0
"""The agent of a process, made once, with the lock that acting and learning share."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.checkpoint_files import newest_whole
from expo_ft_ros.rl.config import ALGORITHM, ALGORITHM_NAMES, PRESET, SIZE, AgentConfig, load_preset
from expo_ft_ros.rl.gradient_processes import GradientProcesses
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.graph_node import NodeParameters, parameter
from expo_ft_ros.tasks import load_task

_log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
# In async mode the newest weights go from learner to policy by this file of the run's folder.
LIVE_WEIGHTS = Path("weights") / "live.safetensors"
MODES = ("sync", "async")


@dataclass(frozen=True)
class LearningParameters(NodeParameters):
    """Parameters of policy and learner, which in sync mode share one agent."""

    algorithm: str = parameter(ALGORITHM, f"What learns: {', '.join(ALGORITHM_NAMES)}.")
    preset: str = parameter(PRESET, "The algorithm's constants: a file name of config/presets.")
    size: str = parameter(SIZE, "Sizes for a machine: a file name of config/sizes, or a path.")
    seed: int = parameter(0, "Seed of networks and sampling.", low=0, high=2**31 - 1)
    mode: str = parameter("sync", "sync: one process and one agent; async: two, weights by file.")
    imitation_scale: float = parameter(
        1.0, "Share of the preset's imitation steps.", low=0.001, high=1.0
    )
    warmup_episodes: int = parameter(
        -1, "Online episodes before the first update; -1: the preset's.", low=-1, high=10_000
    )
    demonstrations: str = parameter(
        "", "Folder of a LeRobot dataset that is learned from as demonstrations; empty: none."
    )
    wandb: str = parameter(
        "", "Project of Weights & Biases that scalars are sent to; empty: none is."
    )
    learner_processes: int = parameter(
        1, "Processes that share the VLA's gradient steps, this one counted in.", low=1, high=64
    )
    checkpoint: str = parameter(
        "", "Weights to act with; empty: those of the run's newest, with all that learns from them."
    )
    learner_dir: str = parameter(
        "", "Folder of the run whose learner it acts for, where it has joined one; empty: run_dir."
    )

    @property
    def learner_folder(self) -> Path:
        """Where checkpoints and live weights are."""
        return Path(self.learner_dir or self.run_dir)


class AgentHandle:
    """Makes the agent when it is first asked for. Hold `lock` while using it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._agent: Agent | None = None
        self._processes: GradientProcesses | None = None

    def get(self, wanted: LearningParameters, *, learns: bool = False) -> Agent:
        """The agent of these parameters, begun from its checkpoint.

        Args:
            wanted: What it is.
            learns: With the further processes that it names; a node that only acts needs none.

        Raises:
            ConfigError: for an unknown task or preset, or processes that there can't be.
            ValueError: for a checkpoint that doesn't fit, or an unknown mode.
            ProcessLost: when one of its further processes can't begin.
        """
        if wanted.mode not in MODES:
            raise ValueError(f"mode is {wanted.mode!r}, known are {', '.join(MODES)}")
        processes = self._processes
        if processes is None and learns and wanted.learner_processes > 1:
            # Each builds its policy, while this one does.
            views = load_robot(wanted.robot).views
            processes = GradientProcesses(_config_of(wanted), views, wanted.learner_processes)
        try:
            if self._agent is None:
                self._agent = make_agent(wanted)
            if processes is not None and processes is not self._processes:
                processes.join()
        except BaseException:
            if processes is not None:
                processes.close()
            raise
        self._processes = self._agent.vla_trainer.processes = processes
        return self._agent

    def require_processes(self) -> None:
        """Raises ProcessLost when one of the learner's further processes has ended."""
        if self._processes is not None:
            self._processes.require_alive()

    def end_processes(self, *, broken: bool = False) -> None:
        """Ends the learner's further processes; broken: at once, also where somebody waits for
        them."""
        processes = self._processes
        if processes is None:
            return
        processes.close(broken=broken)
        if not broken and self._agent is not None:
            # They would be started again with the learner.
            self._processes = self._agent.vla_trainer.processes = None


def make_agent(wanted: LearningParameters) -> Agent:
    """A new agent, begun from the checkpoint named, else from the run's newest."""
    config = _config_of(wanted)
    views = load_robot(wanted.robot).views
    agent = Agent(load_task(wanted.task), config, views, wanted.seed, wanted.algorithm)
    if wanted.checkpoint:
        # Nothing is learned from them.
        agent.load_weights(Path(wanted.checkpoint))
    elif wanted.run_dir:
        newest, skipped = newest_whole(wanted.learner_folder / CHECKPOINTS)
        for path in skipped:
            _log.warning("%s is cut off or damaged, and was skipped", path)
        if newest:
            agent.load(newest.path)
    return agent


def _config_of(wanted: LearningParameters) -> AgentConfig:
    config = load_preset(wanted.preset, wanted.size)
    steps = max(1, round(config.imitation.steps * wanted.imitation_scale))
    imitation = config.imitation.model_copy(update={"steps": steps})
    changed: dict[str, object] = {"imitation": imitation}
    if wanted.warmup_episodes >= 0:
        changed["warmup_episodes"] = wanted.warmup_episodes
        # A short form has no time for it.
        changed["warmup_updates"] = 0
    # Never more threads than the graph leaves to this process.
    changed["threads"] = min(config.threads, int(os.environ.get("OMP_NUM_THREADS", config.threads)))
    return config.model_copy(update=changed)
