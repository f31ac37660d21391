"""EXPO-FT's own networks, its on-the-fly policy, its TD target and its losses.

Everything here is in the VLA's normalised action space; chunks are flattened to C * 7.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.data.normalisation import QuantileNormaliser
from expo_ft_ros.data.types import STATE_DIM
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.critic import QEnsemble
from expo_ft_ros.rl.edit import EditPolicy, target_entropy
from expo_ft_ros.rl.encoders import CriticEncoder

_KEPT = (
    "the step was not taken, the last good weights are kept; go on from the last checkpoint with a "
    "lower learning_rate"
)


class TrainingDiverged(RuntimeError):
    """A loss is not finite. The step was not taken: the weights are the last good ones."""


@dataclass(frozen=True)
class Selection:
    """On-the-fly choice for B observations among K candidates (eq. 2).

    candidates: (B, K, C * 7), the base chunks first, then their edits; q: (B, K); chosen: (B,).
    """

    candidates: Tensor
    q: Tensor
    chosen: Tensor


@dataclass(frozen=True)
class CriticBatch:
    """Input of one critic step.

    visual, next_visual: what the encoders module calls so, augmented independently; state,
    next_state: (B, STATE_DIM); chunk: (B, C * 7) executed; reward, bootstrap: (B,) as in
    `replay.Window`; next_base: (B, N, C * 7) base chunks at the next observation.
    """

    visual: Tensor
    state: Tensor
    chunk: Tensor
    reward: Tensor
    bootstrap: Tensor
    next_visual: Tensor
    next_state: Tensor
    next_base: Tensor


class ValueNetwork(nn.Module):
    """Encoder and Q ensemble: what has a Polyak target."""

    def __init__(self, config: AgentConfig, chunk_dim: int, feature_dim: int) -> None:
        super().__init__()
        self.encoder = CriticEncoder(config.critic, config.image_size, feature_dim)
        self.ensemble = QEnsemble(config.critic, self.encoder.out_dim, chunk_dim)


class ExpoFT(nn.Module):
    """Critic ensemble with target, edit policy and temperature, and how they are learned."""

    def __init__(
        self, config: AgentConfig, chunk_dim: int, edit_scale: float, feature_dim: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.state_stats = QuantileNormaliser(STATE_DIM, 0.02)
        self.value = ValueNetwork(config, chunk_dim, feature_dim)
        self.target = copy.deepcopy(self.value).requires_grad_(False)
        self.edit = EditPolicy(config.edit, self.value.encoder.out_dim, chunk_dim, edit_scale)
        self.log_alpha = nn.Parameter(torch.tensor(config.edit.alpha).log())
        self.target_entropy = target_entropy(
            chunk_dim, edit_scale, shifted=config.edit.shifted_target
        )
        lr = config.learning_rate
        self.critic_optimiser = torch.optim.Adam(self.value.parameters(), lr=lr, fused=True)
        self.edit_optimiser = torch.optim.Adam(self.edit.parameters(), lr=lr, fused=True)
        self.alpha_optimiser = torch.optim.Adam([self.log_alpha], lr=lr)

    def _features(self, network: ValueNetwork, visual: Tensor, state: Tensor) -> Tensor:
        features: Tensor = network.encoder(visual, self.state_stats.transform(state).clamp(-3, 3))
        return features

    @torch.no_grad()
    def select(
        self,
        visual: Tensor,
        state: Tensor,
        base: Tensor,
        *,
        mode: bool,
        generator: torch.Generator | None = None,
    ) -> Selection:
        """Scores base chunks (B, N, C * 7) and one edit of each by the minimum over freshly drawn
        target members. mode: edits are the edit policy's mode instead of samples."""
        n = base.shape[1]
        features = self._features(self.value, visual, state)[:, None].expand(-1, n, -1)
        edits = (
            self.edit.mode(features, base)
            if mode
            else self.edit.sample(features, base, generator)[0]
        )
        candidates = torch.cat([base, base + edits], dim=1)
        target_features = self._features(self.target, visual, state)
        q = self.target.ensemble.pessimistic(target_features, candidates, generator)
        return Selection(candidates, q, q.argmax(dim=1))

    @torch.no_grad()
    def td_target(self, batch: CriticBatch) -> Tensor:
        """y = sum gamma^i r + gamma^n (1 - terminated) min Q'(s', a*), (B,) (eq. 5, C.1).

        a* is selected as when acting; its value is read from freshly drawn members again.
        """
        selection = self.select(batch.next_visual, batch.next_state, batch.next_base, mode=False)
        rows = torch.arange(len(batch.reward), device=batch.reward.device)
        best = selection.candidates[rows, selection.chosen]
        features = self._features(self.target, batch.next_visual, batch.next_state)
        value = self.target.ensemble.pessimistic(features, best[:, None]).squeeze(1)
        return batch.reward + batch.bootstrap * value

    def critic_step(self, batch: CriticBatch) -> dict[str, float]:
        """One gradient step on the squared TD error averaged over members, then Polyak."""
        y = self.td_target(batch)
        features = self._features(self.value, batch.visual, batch.state)
        q = self.value.ensemble(features, batch.chunk[:, None]).squeeze(2)
        loss = functional.mse_loss(q, y.expand_as(q))
        step_optimiser(self.critic_optimiser, loss, "critic loss")
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.target.parameters()), list(self.value.parameters()), self.config.tau
            )
        return {
            "critic/loss": loss.item(),
            "critic/q": q.mean().item(),
            "critic/target": y.mean().item(),
            "critic/target_max": y.max().item(),
            "critic/member_spread": q.std(dim=0).mean().item(),
        }

    def edit_step(self, visual: Tensor, state: Tensor, chunk: Tensor) -> dict[str, float]:
        """One step of the edit policy (eq. 4), conditioned on the replayed chunk (B, C * 7), and
        one of the temperature. The encoder's gradient is stopped."""
        with torch.no_grad():
            features = self._features(self.value, visual, state)
        edit, log_density = self.edit.sample(features, chunk)
        q = self.value.ensemble(features, (chunk + edit)[:, None]).mean(dim=0).squeeze(1)
        loss = (self.log_alpha.exp().detach() * log_density - q).mean()
        step_optimiser(self.edit_optimiser, loss, "edit loss")
        entropy = -log_density.detach().mean()
        alpha_loss = self.log_alpha.exp() * (entropy - self.target_entropy)
        step_optimiser(self.alpha_optimiser, alpha_loss, "temperature loss")
        return {
            "edit/loss": loss.item(),
            "edit/entropy": entropy.item(),
            "edit/alpha": self.log_alpha.exp().item(),
            "edit/size": (edit.detach().abs().mean() / self.edit.scale).item(),
            "edit/q": q.mean().item(),
        }


def step_optimiser(
    optimiser: torch.optim.Optimizer, loss: Tensor, name: str, max_norm: float | None = None
) -> None:
    """One gradient step, its norm clipped where asked.

    Raises TrainingDiverged, the step not taken, when the loss or its gradient is not finite.
    """
    if not torch.isfinite(loss):
        raise TrainingDiverged(f"{name} is {loss.item()}: {_KEPT}")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, math.inf if max_norm is None else max_norm)
    if not torch.isfinite(norm):
        raise TrainingDiverged(f"gradient of the {name} has norm {norm.item()}: {_KEPT}")
    optimiser.step()
