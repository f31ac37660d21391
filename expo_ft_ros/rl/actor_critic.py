# SPDX-License-Identifier: Apache-2.0
"""What EXPO-FT, HIL-SERL and DSRL share: a REDQ ensemble with its target, a squashed Gaussian
actor and its temperature, and one gradient step of each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.data.normalisation import RangeNormaliser
from expo_ft_ros.policies.base import Statistics
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
    """Encoder and Q ensemble: what has a Polyak target.

    Args:
        config: Of the agent.
        action_dim: Numbers that Q is a function of, beside the observation.
        visual_shape: What the encoder sees of an observation.
    """

    def __init__(self, config: AgentConfig, action_dim: int, visual_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = CriticEncoder(config.critic, visual_shape, config.value.state_dim)
        self.ensemble = QEnsemble(
            config.critic, self.encoder.out_dim, action_dim, config.minimum_of, config.value
        )


class ActorCritic(nn.Module):
    """Networks, optimisers and steps; the algorithms say what Q and the actor are functions of.

    Args:
        config: Of the agent.
        action_dim: Numbers that Q is a function of, beside the observation.
        visual_shape: What the critic's encoder sees of an observation.
        make_actor: The actor, from the width of the encoder's features.
        alpha: Initial temperature.
        entropy: The actor's target entropy.
        alpha_rate: Adam's rate of the temperature; None: that of the others.
    """

    def __init__(
        self,
        config: AgentConfig,
        action_dim: int,
        visual_shape: tuple[int, ...],
        make_actor: Callable[[int], TanhGaussian],
        *,
        alpha: float,
        entropy: Callable[[TanhGaussian], float],
        alpha_rate: float | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.state_stats = RangeNormaliser(config.value.state_dim)
        self.value = ValueNetwork(config, action_dim, visual_shape)
        self.target = copy.deepcopy(self.value).requires_grad_(False)
        self.actor = make_actor(self.value.encoder.out_dim)
        self.log_alpha = nn.Parameter(torch.tensor(alpha).log())
        self.target_entropy = entropy(self.actor)
        lr = config.learning_rate
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "critic": _critic_optimiser(self.value, lr, config.value.weight_decay),
            "actor": torch.optim.Adam(self.actor.named_parameters(), lr=lr, fused=True),
            "alpha": torch.optim.Adam(
                [("log_alpha", self.log_alpha)], lr=lr if alpha_rate is None else alpha_rate
            ),
        }

    def features(self, network: ValueNetwork, visual: Tensor, state: Tensor) -> Tensor:
        """(B, out_dim) of an observation: visual (B, *visual_shape), state (B, state_dim) as in
        `Transitions`."""
        features: Tensor = network.encoder(visual, self.state_stats.transform(state).clamp(-3, 3))
        return features

    def set_normalization(self, statistics: Statistics) -> None:
        """Takes up what the VLA normalises by."""
        low, high = statistics.state_low, statistics.state_high
        if self.config.value.time_left:
            low, high = functional.pad(low, (0, 1)), functional.pad(high, (0, 1), value=1.0)
        self.state_stats.set_range(low, high)

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

    def bounded(self, target: Tensor, least: Tensor) -> Tensor:
        """y (B,) within what is known of it (`ValueConfig`): the returns that were seen, least, and
        the range of what rewards can return."""
        if self.config.value.return_bound != "none":
            target = torch.maximum(target, least)
        return target.clamp(0, 1) if self.config.value.target_bounds else target

    def critic_step(
        self,
        visual: Tensor,
        state: Tensor,
        action: Tensor,
        target: Tensor,
    ) -> Metrics:
        """One gradient step on the squared TD error, averaged over all members, then Polyak.

        Args:
            visual: (B, *visual_shape).
            state: (B, state_dim) as in `Transitions`.
            action: (B, action_dim).
            target: y, (B,).

        Raises:
            TrainingDiverged: where it isn't finite; the step was not taken.
        """
        features = self.features(self.value, visual, state)
        q = self.value.ensemble(features, action[:, None], learning=True).squeeze(2)
        loss = functional.mse_loss(q, target.expand_as(q))
        made_of = {"target": target, "action": action, "features": features, "q": q}
        step_optimiser(self.optimisers["critic"], loss, "critic loss", made_of)
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

        The encoder's gradient is stopped.

        Args:
            visual: (B, *visual_shape).
            state: (B, state_dim) as in `Transitions`.
            base: (B, action_dim) that the actor sees and adds to; None: its draw is the action.

        Raises:
            TrainingDiverged: where it isn't finite; the step was not taken.
        """
        with torch.no_grad():
            features = self.features(self.value, visual, state)
        condition = features if base is None else torch.cat([features, base], dim=-1)
        drawn, log_density = self.actor.sample(condition)
        action = drawn if base is None else self.executable(base + drawn)
        q = self.value.ensemble(features, action[:, None]).mean(dim=0).squeeze(1)
        loss = (self.log_alpha.exp().detach() * log_density - q).mean()
        made_of = {"condition": condition, "drawn": drawn, "log_density": log_density, "q": q}
        step_optimiser(self.optimisers["actor"], loss, "actor loss", made_of)
        entropy = -log_density.detach().mean()
        alpha_loss = self.log_alpha.exp() * (entropy - self.target_entropy)
        step_optimiser(
            self.optimisers["alpha"], alpha_loss, "temperature loss", {"entropy": entropy}
        )
        return {
            "actor/loss": loss.item(),
            "actor/entropy": entropy.item(),
            "actor/alpha": self.log_alpha.exp().item(),
            "actor/size": self.actor.size_of(drawn.detach()).item(),
            "actor/q": q.mean().item(),
        }


def _critic_optimiser(network: nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """Adam; where weights decay AdamW, whose decay leaves alone what scales, shifts or is added."""
    if not decay:
        return torch.optim.Adam(network.named_parameters(), lr=rate, fused=True)
    matrices: list[tuple[str, Tensor]] = []
    rest: list[tuple[str, Tensor]] = []
    for name, parameter in network.named_parameters():
        # What a layer of the ensemble adds or scales by is (E, 1, out).
        of_member = parameter.dim() == 3 and parameter.shape[1] == 1
        (rest if parameter.dim() == 1 or of_member else matrices).append((name, parameter))
    groups = [{"params": matrices, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def step_optimiser(
    optimiser: torch.optim.Optimizer,
    loss: Tensor,
    name: str,
    made_of: Mapping[str, Tensor],
    max_norm: float | None = None,
) -> None:
    """One gradient step: `add_gradient` once, then `apply_gradient`, whose errors it raises."""
    optimiser.zero_grad(set_to_none=True)
    add_gradient(parameters_of(optimiser), loss, name, made_of)
    apply_gradient(optimiser, name, max_norm)


def add_gradient(
    learns: Mapping[str, Tensor], loss: Tensor, name: str, made_of: Mapping[str, Tensor]
) -> None:
    """Adds the gradient of a loss to what parameters have.

    Args:
        learns: The parameters; those that want no gradient get none.
        loss: A scalar.
        name: The loss, in errors.
        made_of: Tensors that the loss was made of, in the order in which they were computed.

    Raises:
        TrainingDiverged: when the loss is not finite; it names the first tensor that isn't, the
            parameters among them.
    """
    if not torch.isfinite(loss):
        raise diverged(name, loss.item(), _not_finite({**learns, **made_of}))
    # Of no other parameters: the actor's loss goes through the whole ensemble.
    wanted = [parameter for parameter in learns.values() if parameter.requires_grad]
    loss.backward(inputs=wanted)  # type: ignore[no-untyped-call]


def apply_gradient(
    optimiser: torch.optim.Optimizer, name: str, max_norm: float | None = None
) -> None:
    """Takes the optimiser's step by the gradient that was added up.

    Args:
        optimiser: Made of named parameters.
        name: The loss, in errors.
        max_norm: The gradient is clipped to it; None: not at all.

    Raises:
        TrainingDiverged: the step not taken, when the gradient is not finite, as `add_gradient`.
    """
    parameters = [p for _, p in _named(optimiser)]
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

    Raises:
        ValueError: where it is another's, or KeyError.
    """
    own = [(group["lr"], group["weight_decay"]) for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, (rate, decay) in zip(optimiser.param_groups, own, strict=True):
        group["lr"], group["weight_decay"] = rate, decay


def diverged(name: str, value: float, where: str) -> TrainingDiverged:
    """That a loss has that value, and where it comes from."""
    return TrainingDiverged(f"{name} is {value} ({where}): {_KEPT}")


def parameters_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What it was made of, named."""
    return dict(_named(optimiser))


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
