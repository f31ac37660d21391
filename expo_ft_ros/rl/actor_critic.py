"""What EXPO-FT, HIL-SERL and DSRL share: a REDQ ensemble with its target, a squashed Gaussian
actor and its temperature, and one gradient step of each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.data.normalisation import QuantileNormaliser
from expo_ft_ros.data.types import STATE_DIM
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.critic import QEnsemble
from expo_ft_ros.rl.encoders import CriticEncoder
from expo_ft_ros.rl.gaussian import TanhGaussian

Metrics = dict[str, float]

_KEPT = (
    "the step was not taken, the last good weights are kept; go on from the last checkpoint with a "
    "lower learning rate (learning_rate; of the VLA vla_learning_rate, in imitation "
    "imitation.learning_rate)"
)


class TrainingDiverged(RuntimeError):
    """A loss is not finite. The step was not taken: the weights are the last good ones."""


class ValueNetwork(nn.Module):
    """Encoder and Q ensemble: what has a Polyak target. action_dim: of what Q is a function of."""

    def __init__(self, config: AgentConfig, action_dim: int, feature_dim: int) -> None:
        super().__init__()
        self.encoder = CriticEncoder(config.critic, config.image_size, feature_dim)
        self.ensemble = QEnsemble(
            config.critic, self.encoder.out_dim, action_dim, config.minimum_of
        )


class ActorCritic(nn.Module):
    """Networks, optimisers and steps; the algorithms say what Q and the actor are functions of.

    feature_dim: F of the VLA's image features where the critic's encoder is "shared".
    """

    def __init__(
        self,
        config: AgentConfig,
        action_dim: int,
        feature_dim: int,
        make_actor: Callable[[int], TanhGaussian],
        *,
        alpha: float,
        entropy: Callable[[TanhGaussian], float],
    ) -> None:
        super().__init__()
        self.config = config
        self.state_stats = QuantileNormaliser(STATE_DIM, 0.02)
        self.value = ValueNetwork(config, action_dim, feature_dim)
        self.target = copy.deepcopy(self.value).requires_grad_(False)
        self.actor = make_actor(self.value.encoder.out_dim)
        self.log_alpha = nn.Parameter(torch.tensor(alpha).log())
        self.target_entropy = entropy(self.actor)
        lr = config.learning_rate
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "critic": torch.optim.Adam(self.value.named_parameters(), lr=lr, fused=True),
            "actor": torch.optim.Adam(self.actor.named_parameters(), lr=lr, fused=True),
            "alpha": torch.optim.Adam([("log_alpha", self.log_alpha)], lr=lr),
        }

    def features(self, network: ValueNetwork, visual: Tensor, state: Tensor) -> Tensor:
        """(B, out_dim) of an observation; visual as the encoders module calls it."""
        known: Tensor = network.encoder(visual, self.state_stats.transform(state).clamp(-3, 3))
        return known

    def set_normalization(self, state: QuantileNormaliser, action: QuantileNormaliser) -> None:
        """Takes up the statistics of the VLA that was just imitated."""
        self.state_stats.load_state_dict(state.state_dict())

    def executable(self, action: Tensor) -> Tensor:
        """What of an action the robot would execute; here all of it."""
        return action

    @torch.no_grad()
    def td_target_of_actor(
        self, reward: Tensor, bootstrap: Tensor, next_visual: Tensor, next_state: Tensor
    ) -> Tensor:
        """y = r + bootstrap * min Q'(s', a'), a' drawn by the actor; no entropy term (C.3)."""
        drawn = self.actor.sample(self.features(self.value, next_visual, next_state))[0]
        features = self.features(self.target, next_visual, next_state)
        value = self.target.ensemble.pessimistic(features, drawn[:, None]).squeeze(1)
        return reward + bootstrap * value

    def critic_step(self, visual: Tensor, state: Tensor, action: Tensor, target: Tensor) -> Metrics:
        """One gradient step on the squared TD error, averaged over all members, then Polyak.

        action: (B, action_dim); target: y, (B,). Raises TrainingDiverged.
        """
        features = self.features(self.value, visual, state)
        q = self.value.ensemble(features, action[:, None]).squeeze(2)
        loss = functional.mse_loss(q, target.expand_as(q))
        known = {"target": target, "action": action, "features": features, "q": q}
        step_optimiser(self.optimisers["critic"], loss, "critic loss", known)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.target.parameters()), list(self.value.parameters()), self.config.tau
            )
        return {
            "critic/loss": loss.item(),
            "critic/q": q.mean().item(),
            "critic/target": target.mean().item(),
            "critic/target_min": target.min().item(),
            "critic/target_max": target.max().item(),
            "critic/member_spread": q.std(dim=0).mean().item(),
        }

    def actor_step(self, visual: Tensor, state: Tensor, base: Tensor | None = None) -> Metrics:
        """One step of the actor, loss alpha * log pi - mean Q, and one of the temperature (eq. 4).

        base: (B, action_dim) that the actor knows and adds to; None: the actor's draw is the
        action. The encoder's gradient is stopped. Raises TrainingDiverged.
        """
        with torch.no_grad():
            features = self.features(self.value, visual, state)
        known = features if base is None else torch.cat([features, base], dim=-1)
        drawn, log_density = self.actor.sample(known)
        action = drawn if base is None else self.executable(base + drawn)
        q = self.value.ensemble(features, action[:, None]).mean(dim=0).squeeze(1)
        loss = (self.log_alpha.exp().detach() * log_density - q).mean()
        seen = {"known": known, "drawn": drawn, "log_density": log_density, "q": q}
        step_optimiser(self.optimisers["actor"], loss, "actor loss", seen)
        entropy = -log_density.detach().mean()
        alpha_loss = self.log_alpha.exp() * (entropy - self.target_entropy)
        step_optimiser(
            self.optimisers["alpha"], alpha_loss, "temperature loss", {"entropy": entropy}
        )
        return {
            "actor/loss": loss.item(),
            "actor/entropy": entropy.item(),
            "actor/alpha": self.log_alpha.exp().item(),
            "actor/size": (
                drawn.detach().abs().sum(dim=-1).mean() / (self.actor.free_dims * self.actor.scale)
            ).item(),
            "actor/q": q.mean().item(),
        }


def step_optimiser(
    optimiser: torch.optim.Optimizer,
    loss: Tensor,
    name: str,
    made_of: Mapping[str, Tensor],
    max_norm: float | None = None,
) -> None:
    """One gradient step, its norm clipped where asked.

    made_of: tensors that the loss was made of, in the order in which they were computed. Raises
    TrainingDiverged, the step not taken, when the loss or its gradient is not finite; it names the
    first tensor that isn't, the optimiser's parameters (it knows their names) among them.
    """
    if not torch.isfinite(loss):
        where = _not_finite({**dict(_named(optimiser)), **made_of})
        raise TrainingDiverged(f"{name} is {loss.item()} ({where}): {_KEPT}")
    optimiser.zero_grad(set_to_none=True)
    parameters = [p for _, p in _named(optimiser)]
    # Of nobody else's: the actor's loss goes through the whole ensemble.
    loss.backward(inputs=[p for p in parameters if p.requires_grad])  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if not torch.isfinite(norm):
        named = {n: p.grad for n, p in _named(optimiser) if p.grad is not None}
        where = _not_finite(named)
        raise TrainingDiverged(f"gradient of the {name} has norm {norm.item()} ({where}): {_KEPT}")
    if max_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    optimiser.step()


def resume_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Takes up a state_dict's moments; the rates stay as configured, which may have changed since.

    Raises ValueError or KeyError where it is another's.
    """
    own = [(group["lr"], group["weight_decay"]) for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, (rate, decay) in zip(optimiser.param_groups, own, strict=True):
        group["lr"], group["weight_decay"] = rate, decay


def _named(optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for group in optimiser.param_groups:
        yield from zip(group["param_names"], group["params"], strict=True)


def _not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The first of them that isn't, in words."""
    for name, tensor in tensors.items():
        wrong = int((~torch.isfinite(tensor)).sum())
        if wrong:
            return f"{wrong} of {tensor.numel()} values of {name} are not finite"
    return "each tensor is finite: it overflowed"
