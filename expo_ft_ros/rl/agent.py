"""The agent: a VLA and EXPO-FT over one replay buffer. Nodes and trainers talk to this alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.instruction import tokenise
from expo_ft_ros.data.replay import Window
from expo_ft_ros.data.types import ACTION_DIM, FloatArray, Observation
from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.flow_vla import FlowVLA
from expo_ft_ros.rl.checkpoint import load_state, save_state
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.rl.expo_ft import CriticBatch, ExpoFT, step_optimiser
from expo_ft_ros.rl.memory import Memory
from expo_ft_ros.tasks import TaskConfig

Progress = Callable[[float, dict[str, float]], bool]
"""Called with the share done and the newest metrics; False asks to stop early."""


@dataclass(frozen=True)
class ActResult:
    """What was chosen for one observation, in robot-normalised units.

    actions: (H, 7), of which C are meant to be executed; q: value of the choice, NaN while the
    critic is untrained; candidates: (K, C, 7); candidate_q: (K,); candidate_edited: (K,) bool;
    chosen: index among them.
    """

    actions: FloatArray
    q: float
    edited: bool
    candidates: FloatArray
    candidate_q: FloatArray
    candidate_edited: np.ndarray
    chosen: int


class Agent:
    """Acts, takes episodes, imitates, updates, saves and loads."""

    def __init__(self, task: TaskConfig, config: AgentConfig, seed: int) -> None:
        torch.manual_seed(seed)
        torch.set_num_threads(config.threads)
        self.task, self.config = task, config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.steps = task.execute_steps
        if config.vla.horizon < self.steps:
            raise ValueError(
                f"the VLA's horizon {config.vla.horizon} is shorter than the task's execute_steps "
                f"{self.steps}: raise vla.horizon"
            )
        self.vla = FlowVLA(config.vla).to(self.device)
        self.expo = ExpoFT(
            config, self.steps * ACTION_DIM, task.edit_scale, self.vla.feature_dim
        ).to(self.device)
        self.vla_optimiser = torch.optim.AdamW(
            self.vla.parameters(), lr=config.vla_learning_rate, fused=True
        )
        self.rng = np.random.default_rng(seed)
        # Evaluation neither depends on what was learned before it nor changes what comes after.
        self._evaluation = torch.Generator(self.device).manual_seed(seed)
        self.memory = Memory(config, self.vla, self.steps, self.device, self.rng)
        self.version = 0
        self.critic_updates = 0
        self.vla_updates = 0
        self.online_episodes = 0
        self.online_steps = 0

    @classmethod
    def create(cls, task: TaskConfig, preset: str, seed: int) -> Agent:
        """An untrained agent of a preset (config/presets)."""
        return cls(task, load_preset(preset), seed)

    @property
    def replay_size(self) -> int:
        """Steps in the replay buffer."""
        return len(self.memory.replay)

    @property
    def replay_human_steps(self) -> int:
        """Of them, steps that a person drove."""
        return self.memory.replay.human_steps

    @property
    def update_ratio(self) -> float:
        """Critic gradient steps an online environment step, as realised."""
        return self.critic_updates / self.online_steps if self.online_steps else 0.0

    # --- acting ---------------------------------------------------------------------------------

    def act(self, observation: Observation, mode: str = "sample") -> ActResult:
        """The on-the-fly policy (eq. 2). mode "mode" evaluates: the edit policy's mode is used,
        base chunks and members are drawn from a generator of their own, seeded with the agent.

        While the critic is untrained the first base chunk is executed, unedited.
        """
        with torch.inference_mode():
            images, inputs = self._input_of(observation)
            evaluates = mode == "mode"
            generator = self._evaluation if evaluates else None
            base = self.vla.sample(inputs, self.config.candidates, generator)
            if self.critic_updates == 0:
                candidates = base[:, :, : self.steps]
                q, chosen = torch.full(base.shape[:2], math.nan), 0
            else:
                shared = self.config.critic.encoder == "shared"
                visual = cast(Tensor, inputs.features) if shared else images
                selection = self.expo.select(
                    visual,
                    inputs.state,
                    base[:, :, : self.steps].flatten(2),
                    mode=evaluates,
                    generator=generator,
                )
                candidates = selection.candidates.view(1, -1, self.steps, ACTION_DIM)
                q, chosen = selection.q, int(selection.chosen)
            whole = base[0, chosen % self.config.candidates].clone()
            whole[: self.steps] = candidates[0, chosen]
            edited = np.arange(candidates.shape[1]) >= self.config.candidates
            return ActResult(
                actions=self.vla.denormalise(whole).cpu().numpy(),
                q=float(q[0, chosen]),
                edited=bool(edited[chosen]),
                candidates=self.vla.denormalise(candidates[0]).cpu().numpy(),
                candidate_q=q[0].float().cpu().numpy(),
                candidate_edited=edited,
                chosen=chosen,
            )

    def _input_of(self, observation: Observation) -> tuple[Tensor, PolicyInput]:
        """Both images as float (1, 2, 3, h, w), and the observation with their features."""
        size = self.config.image_size
        views = [resize_image(v, size) for v in (observation.side, observation.wrist)]
        stacked = np.stack(views).transpose(0, 3, 1, 2)[None].astype(np.float32) / 255
        images = torch.from_numpy(stacked).to(self.device)
        state = torch.from_numpy(observation.proprio.vector())[None].to(self.device)
        tokens = torch.from_numpy(tokenise(observation.instruction))[None].to(self.device)
        return images, PolicyInput(images, state, tokens, self.vla.image_features(images))

    # --- data -----------------------------------------------------------------------------------

    def add_episode(self, episode: Episode) -> None:
        """Takes a demonstration or an online episode into replay."""
        self.memory.add(episode)
        if episode.outcome.stage == "rl":
            self.online_episodes += 1
            self.online_steps += len(episode)

    # --- learning -------------------------------------------------------------------------------

    def imitate(self, progress: Progress) -> dict[str, float]:
        """Supervised finetuning on what is in replay (successful episodes)."""
        config, replay = self.config.imitation, self.memory.replay
        starts = replay.starts(successful_only=True)
        if len(starts) == 0:
            raise ValueError("no successful demonstration to imitate: collect some first")
        states = torch.from_numpy(replay.state[starts]).to(self.device)
        self.vla.action_stats.fit(torch.from_numpy(replay.action[starts]).to(self.device))
        self.vla.state_stats.fit(states)
        self.expo.state_stats.fit(states)
        optimiser = torch.optim.AdamW(
            self.vla.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, config.steps, eta_min=config.learning_rate / 10
        )
        metrics: dict[str, float] = {}
        for step in range(config.steps):
            window = self.memory.sample(self.vla.horizon, starts, config.batch)
            inputs = self.memory.seen(window.start, augmented=True)
            metrics = {"vla/loss": self._imitation_step(optimiser, inputs, window)}
            schedule.step()
            if not progress((step + 1) / config.steps, metrics):
                break
        self.version += 1
        return metrics

    def _imitation_step(
        self, optimiser: torch.optim.Optimizer, inputs: PolicyInput, window: Window
    ) -> float:
        actions = self.vla.normalise(torch.from_numpy(window.actions).to(self.device))
        loss = self.vla.imitation_loss(inputs, actions).mean()
        step_optimiser(optimiser, loss, "vla loss", max_norm=1.0)
        return loss.item()

    def update(self, progress: Progress) -> dict[str, float]:
        """K update calls after an episode (ALGORITHM, The loop); none during the warm-up.

        Each call: critic steps (UTD), then VLA, edit and temperature steps. Raises
        TrainingDiverged and leaves the last good weights.
        """
        config = self.config
        if self.online_episodes < config.warmup_episodes:
            return {}
        first = self.critic_updates == 0
        calls = self.task.updates_per_episode + (config.warmup_updates if first else 0)
        totals: dict[str, list[float]] = {}
        every = config.vla_encoder_every
        if every and self.online_episodes % every == 0:
            self._encoder_steps(totals, progress)
        self.vla.image_encoders.requires_grad_(not config.freeze_vla_encoder)
        self.memory.fill(self.vla_updates)
        utd = config.critic_steps_per_update
        for step in range(calls * utd):
            _append(totals, self.expo.critic_step(self._critic_batch()))
            self.critic_updates += 1
            if (step + 1) % utd == 0:
                self._policy_steps(totals)
                self.memory.refresh(config.refresh_per_update, self.vla_updates)
            if not progress((step + 1) / (calls * utd), {k: v[-1] for k, v in totals.items()}):
                break
        self.version += 1
        return {name: float(np.mean(values)) for name, values in totals.items()}

    def _encoder_steps(self, totals: dict[str, list[float]], progress: Progress) -> None:
        """VLA steps on images, the image encoder learning too; kept features are then stale."""
        starts = self.memory.replay.starts(successful_only=self.config.vla_data == "successful")
        self.vla.image_encoders.requires_grad_(True)
        for _ in range(self.config.vla_encoder_steps if len(starts) else 0):
            window = self.memory.sample(self.vla.horizon, starts)
            inputs = self.memory.seen(window.start, augmented=True)
            _append(totals, {"vla/loss": self._imitation_step(self.vla_optimiser, inputs, window)})
            self.vla_updates += 1
            if not progress(0.0, {"vla/loss": totals["vla/loss"][-1]}):
                break
        self.memory.features.forget(self.memory.replay.slots)

    def _policy_steps(self, totals: dict[str, list[float]]) -> None:
        config, memory = self.config, self.memory
        starts = memory.replay.starts(successful_only=config.vla_data == "successful")
        see = memory.known if config.freeze_vla_encoder else memory.seen
        for _ in range(config.vla_steps_per_update if len(starts) else 0):
            window = memory.sample(self.vla.horizon, starts)
            inputs = see(window.start, augmented=True)
            _append(totals, {"vla/loss": self._imitation_step(self.vla_optimiser, inputs, window)})
            self.vla_updates += 1
        for _ in range(config.edit.steps_per_update):
            window = memory.sample(self.steps)
            visual, state = self._visual(window.start)
            _append(totals, self.expo.edit_step(visual, state, self._chunk(window)))

    def _visual(self, slots: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What the critic's encoder sees at those slots, augmented, and the state."""
        if self.config.critic.encoder == "shared":
            inputs = self.memory.known(slots, augmented=True)
            return cast(Tensor, inputs.features), inputs.state
        inputs = self.memory.seen(slots, augmented=True)
        return inputs.images, inputs.state

    def _chunk(self, window: Window) -> Tensor:
        actions = torch.from_numpy(window.actions[:, : self.steps]).to(self.device)
        return self.vla.normalise(actions).flatten(1)

    def _critic_batch(self) -> CriticBatch:
        window = self.memory.sample(self.steps)
        visual, state = self._visual(window.start)
        next_visual, next_state = self._visual(window.after)
        if self.config.target_candidates == "fresh":
            self.memory.draw_candidates(np.unique(window.after), self.vla_updates)
        base = torch.from_numpy(self.memory.candidates.chunks[window.after])
        return CriticBatch(
            visual=visual,
            state=state,
            chunk=self._chunk(window),
            reward=torch.from_numpy(window.reward).to(self.device),
            bootstrap=torch.from_numpy(window.bootstrap).to(self.device),
            next_visual=next_visual,
            next_state=next_state,
            next_base=base.to(self.device).flatten(2),
        )

    # --- keeping --------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Weights, targets, optimisers, temperature, RNG and counters to one safetensors file.

        The replay buffer is not in it: it is rebuilt from the recorded episodes.
        """
        expo = self.expo
        save_state(
            path,
            {
                "vla": self.vla.state_dict(),
                "expo": expo.state_dict(),
                "optimisers": {
                    "vla": self.vla_optimiser.state_dict(),
                    "critic": expo.critic_optimiser.state_dict(),
                    "edit": expo.edit_optimiser.state_dict(),
                    "alpha": expo.alpha_optimiser.state_dict(),
                },
                "torch_rng": torch.get_rng_state(),
                "numpy_rng": self.rng.bit_generator.state,
                "counters": {
                    "version": self.version,
                    "critic_updates": self.critic_updates,
                    "vla_updates": self.vla_updates,
                },
            },
        )

    def load_weights(self, path: Path) -> None:
        """Takes up what acting needs of what `save` wrote: weights and counters.

        Raises ValueError when it isn't of this configuration.
        """
        self._load_weights(path, load_state(path))

    def _load_weights(self, path: Path, state: dict[str, Any]) -> None:
        try:
            self.vla.load_state_dict(state["vla"])
            self.expo.load_state_dict(state["expo"])
        except RuntimeError as error:
            raise ValueError(f"{path}: made by another preset or task: {error}") from error
        for name, value in state["counters"].items():
            setattr(self, name, value)

    def load(self, path: Path) -> None:
        """Takes up all that `save` wrote. Raises ValueError when it isn't of this configuration."""
        state = load_state(path)
        self._load_weights(path, state)
        optimisers = state["optimisers"]
        self.vla_optimiser.load_state_dict(optimisers["vla"])
        self.expo.critic_optimiser.load_state_dict(optimisers["critic"])
        self.expo.edit_optimiser.load_state_dict(optimisers["edit"])
        self.expo.alpha_optimiser.load_state_dict(optimisers["alpha"])
        torch.set_rng_state(state["torch_rng"])
        self.rng.bit_generator.state = state["numpy_rng"]


def _append(totals: dict[str, list[float]], values: dict[str, float]) -> None:
    for name, value in values.items():
        totals.setdefault(name, []).append(value)
