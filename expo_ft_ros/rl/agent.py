# SPDX-License-Identifier: Apache-2.0
"""The agent: a VLA and an algorithm over one replay buffer. Nodes and trainers talk to this."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import CandidateKind, Candidates, FloatArray, Observation
from expo_ft_ros.policies.base import VLA
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.rl.actor_critic import Metrics, resume_optimiser
from expo_ft_ros.rl.algorithms import AlgorithmContext, EncodedObservation, make_algorithm
from expo_ft_ros.rl.checkpoint import load_state, save_state
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.memory import Memory
from expo_ft_ros.rl.torch_runtime import precision, prepare
from expo_ft_ros.rl.update_schedule import UpdateSchedule
from expo_ft_ros.rl.vla_trainer import VLATrainer
from expo_ft_ros.robots import ViewConfig
from expo_ft_ros.tasks import TaskConfig

T = TypeVar("T")

ACT_MODES = ("sample", "mode", "base_policy")

Progress = Callable[[float, dict[str, float]], bool]
"""Called with the share done and the newest metrics; False asks to stop early."""


@dataclass(frozen=True)
class ActResult:
    """What was chosen for one observation, in robot-normalised units.

    Attributes:
        actions: (H, 7), of which C are meant to be executed.
        q: Value of the choice, NaN while the critic is untrained.
        kind: Of the choice.
        candidates: (K, C, 7) it was chosen from.
        candidate_q: (K,).
        candidate_kind: (K,) of CandidateKind.
        chosen: Index among them.
        explored: It was drawn at random.
        member_spread: (K,) standard deviation of Q among the critic's members; NaN while there
            is none.
    """

    actions: FloatArray
    q: float
    kind: CandidateKind
    candidates: FloatArray
    candidate_q: FloatArray
    candidate_kind: NDArray[np.uint8]
    chosen: int
    explored: bool
    member_spread: FloatArray

    @property
    def edited(self) -> bool:
        """Whether the choice is an edit."""
        return self.kind is CandidateKind.EDITED

    def choice(self, observation: int) -> Candidates:
        """The candidates with what was chosen, for the observation of that number."""
        made = self.candidates, self.candidate_q, self.candidate_kind
        return Candidates(observation, *made, self.chosen, self.explored, self.member_spread)


class Agent:
    """Acts, takes episodes, imitates, updates, saves and loads.

    Args:
        task: What is learned.
        config: By which algorithm's constants, and how large.
        views: The robot's cameras, in the order that networks see.
        seed: Of networks and draws.
        algorithm: A name of `ALGORITHM_NAMES`.

    Raises:
        ConfigError: for an unknown policy or algorithm.
        ValueError: for a horizon that is shorter than what the task executes.
    """

    def __init__(
        self,
        task: TaskConfig,
        config: AgentConfig,
        views: Sequence[ViewConfig],
        seed: int,
        algorithm: str = "expo_ft",
    ) -> None:
        torch.manual_seed(seed)
        prepare(config.threads)
        self.task, self.config = task, config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if config.vla.horizon < task.execute_steps:
            raise ValueError(
                f"the VLA's horizon {config.vla.horizon} is shorter than the task's execute_steps "
                f"{task.execute_steps}: raise vla.horizon"
            )
        self.vla = build_policy(config.vla, views, self.device)
        self.rng = np.random.default_rng(seed)
        # Evaluation neither depends on what was learned before it nor changes what comes after.
        self._evaluation = torch.Generator(self.device)
        names = [view.name for view in views]
        self.memory = Memory(config, self.vla, names, task, self.device, self.rng)
        self.vla_trainer = VLATrainer(config, self.vla, self.memory)
        self.memory.target_vla = self.vla_trainer.target
        context = AlgorithmContext(config, task, self.vla, self.memory, self.vla_trainer)
        self.algorithm = make_algorithm(algorithm, context)
        self._base_policy = make_algorithm("sft", context)
        self.version = 0
        self._schedule = UpdateSchedule(
            config, task.updates_per_episode, self.algorithm.updates_per_step
        )
        self._restored: dict[str, Any] = {}

    @property
    def critic_updates(self) -> int:
        """Critic gradient steps so far."""
        return self.algorithm.critic_updates

    @property
    def online_episodes(self) -> int:
        """Online episodes that were taken."""
        return self._schedule.episodes

    @property
    def online_steps(self) -> int:
        """Their environment steps."""
        return self._schedule.env_steps

    @property
    def joined_steps(self) -> int:
        """Those of them that robots other than the run's own took."""
        return self._schedule.joined_steps

    @property
    def replay_size(self) -> int:
        """Steps in the replay buffer."""
        return len(self.memory.replay)

    @property
    def replay_human_steps(self) -> int:
        """Of them, steps that a human drove."""
        return self.memory.replay.human_steps

    @property
    def replay_by_robot(self) -> dict[str, int]:
        """Steps in the replay buffer by the robot that took them; "" is the run's own."""
        return self.memory.replay.steps_by_robot

    @property
    def update_ratio(self) -> float:
        """Critic gradient steps an online environment step, as realised."""
        return self.critic_updates / self.online_steps if self.online_steps else 0.0

    # --- acting ---------------------------------------------------------------------------------

    def act(self, observation: Observation, mode: str = "sample") -> ActResult:
        """The algorithm's choice for an observation.

        Args:
            observation: With the views that the policy sees.
            mode: "sample" explores; "mode" evaluates: nothing explores, and what is drawn comes
                from a generator of its own (see `begin_evaluation`); "base_policy" evaluates the
                VLA's first chunk, unvalued and unedited.

        Raises:
            ValueError: for another mode, or a view that is missing.
        """
        if mode not in ACT_MODES:
            raise ValueError(f"mode is {mode!r}, known are {', '.join(ACT_MODES)}")
        evaluates = mode != "sample"
        algorithm = self._base_policy if mode == "base_policy" else self.algorithm
        with torch.inference_mode(), self.precision():
            encoded = EncodedObservation(*self.memory.of_observation(observation))
            choice = algorithm.choose(
                encoded, mode=evaluates, generator=self._evaluation if evaluates else None
            )
            return ActResult(
                actions=self.vla.denormalise(choice.chunk).float().cpu().numpy(),
                q=float(choice.q[choice.chosen]),
                kind=CandidateKind(int(choice.kind[choice.chosen])),
                candidates=self.vla.denormalise(choice.candidates).float().cpu().numpy(),
                candidate_q=choice.q.float().cpu().numpy(),
                candidate_kind=choice.kind.cpu().numpy(),
                chosen=choice.chosen,
                explored=choice.explored,
                member_spread=choice.member_spread.float().cpu().numpy(),
            )

    def begin_evaluation(self, seed: int) -> None:
        """Seeds what an evaluation's episode draws: the same noise before training and after."""
        self._evaluation.manual_seed(seed)

    # --- data -----------------------------------------------------------------------------------

    def add_episode(self, episode: Episode) -> None:
        """Takes a demonstration or an online episode into replay."""
        self.memory.add(episode)
        if episode.outcome.stage == "rl":
            self._schedule.add(episode.outcome.episode, len(episode), episode.robot)

    # --- learning -------------------------------------------------------------------------------

    def imitate(self, progress: Progress) -> dict[str, float]:
        """Supervised finetuning on what is in replay (successful episodes).

        Raises:
            ValueError: when there are none.
        """
        metrics: dict[str, float] = {}
        for share, metrics in self._precisely(self.vla_trainer.finetune()):
            if not progress(share, metrics):
                break
        self._take_up_imitation()
        return metrics

    def _take_up_imitation(self) -> None:
        self.algorithm.set_normalization(self.vla.statistics())
        self.version += 1

    def update(self, progress: Progress) -> dict[str, float]:
        """The update calls that are due after an episode (paper, Table 4); none during the
        warm-up.

        Args:
            progress: Told after each gradient step.

        Returns:
            The mean of each metric.

        Raises:
            TrainingDiverged: leaves the last good weights.
        """
        rounds = self._schedule.pending
        if not rounds:
            return {}
        totals: dict[str, list[float]] = {}
        calls = sum(count for count, _ in rounds)
        expected = max(
            1, self.algorithm.gradient_steps(calls, encoder_phase=self._schedule.encoder_phase)
        )
        done = 0
        for count, newest_of in rounds:
            encoder_phase = self._schedule.encoder_phase
            for metrics in self.learn(count, encoder_phase=encoder_phase):
                done += 1
                for name, value in metrics.items():
                    totals.setdefault(name, []).append(value)
                newest = {name: values[-1] for name, values in totals.items()}
                if not progress(min(1.0, done / expected), newest):
                    # What was broken off is still due.
                    break
            else:
                self._schedule.commit(newest_of, encoder_phase=encoder_phase)
                continue
            break
        self.version += 1
        means = {name: float(np.mean(values)) for name, values in totals.items()}
        return means | {
            f"cache/left_out_gb/{name}": size / 1e9
            for name, size in self.memory.budget.left_out.items()
        }

    def learn(self, calls: int, *, encoder_phase: bool = False) -> Iterator[Metrics]:
        """The algorithm's update calls, a gradient step at a time, in the configured precision."""
        yield from self._precisely(self.algorithm.learn(calls, encoder_phase=encoder_phase))

    def _precisely(self, steps: Iterator[T]) -> Iterator[T]:
        """The same steps, each taken in the configured precision."""
        while True:
            with self.precision():
                taken = next(steps, None)
            if taken is None:
                return
            yield taken

    def precision(self) -> torch.autocast:
        """The configured precision, in which networks are called."""
        return precision(self.device, self.config.bfloat16)

    # --- keeping --------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Weights, targets, optimisers, temperature, RNG, counters, and what was drawn beside
        replay, to one safetensors file.

        Replay is not in it: it is rebuilt from the recorded episodes.
        """
        save_state(
            path,
            {
                **self._weights(learning=True),
                "optimiser": self.vla_trainer.optimiser.state_dict(),
                "torch_rng": torch.get_rng_state(),
                "cuda_rng": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
                "numpy_rng": self.rng.bit_generator.state,
                "memory": self.memory.state_dict(),
            },
            self.version,
        )

    def save_weights(self, path: Path) -> None:
        """All weights of what `save` writes: for `load_weights`."""
        save_state(path, self._weights(learning=False))

    def publish_weights(self, path: Path) -> None:
        """The weights that act, and no others: for `take_weights` of another process's agent."""
        save_state(path, self._weights(learning=False, networks={"vla": self.vla}))

    def _weights(
        self, *, learning: bool, networks: Mapping[str, VLA] | None = None
    ) -> dict[str, Any]:
        networks = self.vla_trainer.networks if networks is None else networks
        return {
            **{name: vla.weights() for name, vla in networks.items()},
            "algorithm": self.algorithm.state_dict(learning=learning),
            "counters": {
                "version": self.version,
                "vla_updates": self.vla_trainer.updates,
                **self._schedule.state_dict(),
            },
        }

    def save_vla(self, path: Path) -> None:
        """The VLA alone, as imitation left it: what every algorithm may begin with."""
        save_state(path, {"vla": self.vla.weights()})

    def load_vla(self, path: Path) -> None:
        """Takes up what `save_vla` wrote in place of imitating.

        Raises:
            ValueError: when it isn't of this configuration.
        """
        state = load_state(path)
        try:
            self.vla_trainer.load_weights(state["vla"])
        except (KeyError, RuntimeError) as error:
            raise _other_configuration(path, error) from error
        self._take_up_imitation()

    def load_weights(self, path: Path) -> None:
        """Takes up what acting needs, weights and counters, of what either of them wrote.

        Raises:
            ValueError: when it isn't of this configuration.
        """
        self._load_weights(path, load_state(path), self.vla_trainer.networks)

    def take_weights(self, path: Path, state: dict[str, Any]) -> None:
        """Takes up what `publish_weights` wrote, so that it acts by it; it can't learn from there.

        Args:
            path: The file, for errors.
            state: What `load_state` read from it: reading needs no lock, this takes little time.

        Raises:
            ValueError: when it isn't of this configuration.
        """
        self._load_weights(path, state, {"vla": self.vla})

    def _load_weights(self, path: Path, state: dict[str, Any], networks: Mapping[str, VLA]) -> None:
        try:
            for name, vla in networks.items():
                vla.load_weights(state[name])
            self.algorithm.load_state_dict(state["algorithm"])
            counters = state["counters"]
            self._schedule.load_state_dict(counters)
        except (KeyError, RuntimeError) as error:
            raise _other_configuration(path, error) from error
        self.version = counters["version"]
        self.vla_trainer.updates = counters["vla_updates"]

    def load(self, path: Path) -> None:
        """Takes up all that `save` wrote.

        What was drawn beside replay is taken up by `restore_caches`, once the episodes are there
        again.

        Raises:
            ValueError: when it isn't of this configuration.
        """
        state = load_state(path)
        self._load_weights(path, state, self.vla_trainer.networks)
        resume_optimiser(self.vla_trainer.optimiser, state["optimiser"])
        torch.set_rng_state(state["torch_rng"])
        if self.device.type == "cuda" and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"])
        self.rng.bit_generator.state = state["numpy_rng"]
        self._restored = state["memory"]

    def restore_caches(self, *, lost: bool = True) -> None:
        """After `load` and every episode up to the checkpoint (later ones may follow): takes up
        the features and candidates that were kept with it.

        Args:
            lost: The later ones' updates were lost and are due with the next one's.

        Raises:
            ValueError: when they are of another version.
        """
        if self._restored:
            if lost:
                self._schedule.mark_lost()
            try:
                self.memory.load_state_dict(self._restored)
            except KeyError as error:
                raise ValueError(
                    f"the checkpoint lacks {error}: another version wrote it (go on with that one, "
                    "or start a new run)"
                ) from error
        self._restored = {}


def _other_configuration(path: Path, error: Exception) -> ValueError:
    # The first mismatch of many says enough.
    reason = " ".join(str(error).split("\n")[:2])
    return ValueError(
        f"{path}: made by another algorithm, preset, size, task or version, go on with that one or "
        f"start a new run: {reason}"
    )
