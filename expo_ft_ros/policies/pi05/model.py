# SPDX-License-Identifier: Apache-2.0
"""pi0.5 behind the contract `VLA`: views, prompt and statistics around its network, and what of it
learns."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.policies.base import PolicyInput, Stage
from expo_ft_ros.policies.modules import QuantilePolicy, features_of, fork_module
from expo_ft_ros.policies.pi05.checkpoint import CheckpointFile, random_tensors
from expo_ft_ros.policies.pi05.config import Pi05Config
from expo_ft_ros.policies.pi05.export import layout_of, write_checkpoint
from expo_ft_ros.policies.pi05.gemma import PrefixCache
from expo_ft_ros.policies.pi05.lora import LoraLinear, add_lora
from expo_ft_ros.policies.pi05.network import Pi05Network, draw_times, keeps_full_precision
from expo_ft_ros.policies.pi05.prompt import Tokenizer, prompt_tokens
from expo_ft_ros.policies.pi05.statistics import read_statistics
from expo_ft_ros.robots import ViewConfig

_log = logging.getLogger(__name__)

_ROLES = ("base", "left_wrist", "right_wrist", None)
"""Order of the views in the prefix (openpi); those without a role come last."""
_FROZEN = ("vision.", "projector.")
"""The image encoder, which never learns (paper, C.1)."""
_HEADS = ("action_in_proj.", "action_out_proj.", "time_mlp_in.", "time_mlp_out.")


def build(config: Pi05Config, views: Sequence[ViewConfig], device: torch.device) -> Pi05:
    """One with the weights and statistics of its checkpoint; without one, with the same random
    weights for every one of its `random_seed`. Low-rank updates are drawn by torch's generator.

    Raises:
        ConfigError: naming what of its files is missing or doesn't fit, and how to get it.
    """
    # Nothing is drawn or kept twice: billions of numbers.
    with torch.device("meta"):
        network = Pi05Network(config)
    shapes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    if config.checkpoint is None:
        _log.warning(
            "pi0.5: random weights, since vla.checkpoint is null: they try the way through a run, "
            "and nothing is to be expected of the policy"
        )
        tensors = random_tensors(shapes, config.random_seed)
    else:
        tensors = CheckpointFile(config.checkpoint).tensors(shapes)
    base = _load(network, tensors, getattr(torch, config.dtype), device)
    vla = Pi05(config, views, network, Tokenizer(config.tokenizer, config.vocabulary), base)
    vla.to(device)
    if config.checkpoint is not None:
        vla.adopt_statistics(config.checkpoint)
    vla.say_what_learns()
    return vla


def _load(
    network: Pi05Network,
    tensors: Iterable[tuple[str, Tensor]],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Gives a network its weights; returns (32,) uint8 that tells them from others: a digest of
    the first numbers of each."""
    digest, weights = hashlib.sha256(), {}
    for name, tensor in tensors:
        digest.update(name.encode() + tensor.flatten()[:64].float().numpy().tobytes())
        weights[name] = tensor.to(device, torch.float32 if keeps_full_precision(name) else dtype)
    network.load_state_dict(weights, assign=True)
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


class Pi05(QuantilePolicy):
    """pi0.5: images, prompt and state in; chunks of `horizon` x 7 out. Implements `VLA` and
    `Exports`.

    Args:
        config: Its files and its size.
        views: The robot's cameras in their order; by their roles they are put into openpi's. A
            role that the robot hasn't is left out, as masking it would.
        network: With its weights; layers that learn by LoRA get their updates here.
        tokenizer: Of the prompt.
        base: (32,) uint8 that tells the network's weights from others.
    """

    base: Tensor

    def __init__(
        self,
        config: Pi05Config,
        views: Sequence[ViewConfig],
        network: Pi05Network,
        tokenizer: Tokenizer,
        base: Tensor,
    ) -> None:
        super().__init__(config.action_floor, config.state_floor)
        self.config, self._views, self._tokenizer = config, tuple(views), tokenizer
        self._order = sorted(range(len(views)), key=lambda v: _ROLES.index(views[v].role))
        self.register_buffer("base", base)
        self.network = network
        if config.lora is not None:
            lora = config.lora
            add_lora(network, self._used("vlm."), lora.vlm_rank, lora.vlm_alpha)
            add_lora(network, self._used("expert."), lora.expert_rank, lora.expert_alpha)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(self._learns(name))

    @property
    def horizon(self) -> int:
        """See VLA."""
        return self.config.horizon

    @property
    def noise_dim(self) -> int:
        """See VLA: what actions are padded to."""
        return self.config.action_dim

    @property
    def feature_shape(self) -> tuple[int, int, int]:
        """See VLA: the VLM's tokens of each view, in the robot's order."""
        return len(self._views), self.config.patches, self.config.vlm.width

    @property
    def feature_dtype(self) -> torch.dtype:
        """See VLA."""
        return self.network.dtype

    def prepare(
        self, instructions: Sequence[str], state: Tensor, views: Tensor | None
    ) -> PolicyInput:
        """See VLA: images of any size, in [0, 1]; the state is in the prompt, by the statistics
        there are now."""
        normalised = self.state_stats.transform(state)
        tokens = prompt_tokens(self._tokenizer, instructions, normalised, self.config.max_tokens)
        images = None if views is None else _fitted(views, self.config.image_size)
        return PolicyInput(images, state, tokens.to(state.device))

    def image_features(self, images: Tensor) -> Tensor:
        """(B, V, 3, s, s) in [-1, 1] to (B, *feature_shape)."""
        return self.network.image_features(images)

    def encode(self, observation: PolicyInput) -> PrefixCache:
        """Keys and values of images and prompt, made once for all chunks."""
        features = features_of(observation, self.image_features)
        return self.network.prefix(features[:, self._order], observation.tokens)

    def denoise(self, prefix: PrefixCache, noise: Tensor) -> Tensor:
        """See VLA."""
        return self.network.denoise(prefix, noise)[..., :ACTION_DIM]

    @torch.no_grad()
    def invert(self, prefix: PrefixCache, chunk: Tensor) -> Tensor:
        """See VLA: what actions are padded with is 0 in the chunk."""
        return self.network.invert(prefix, self._padded(chunk))

    @torch.no_grad()
    def sample(
        self, observation: PolicyInput, n: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """See VLA."""
        prefix = self.encode(observation)
        shape = (len(prefix), n, self.horizon, self.noise_dim)
        noise = torch.randn(shape, generator=generator, device=observation.state.device)
        return self.denoise(prefix, noise)

    def loss_draws(self, actions: Tensor) -> dict[str, Tensor]:
        """See VLA: the flow's noise and times."""
        noise = torch.randn_like(self._padded(actions))
        return {"noise": noise, "t": draw_times(len(noise), noise.device)}

    def imitation_loss(
        self,
        observation: PolicyInput,
        actions: Tensor,
        draws: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """See VLA: flow matching, the mean over all `noise_dim` numbers of a step (openpi)."""
        drawn = self.loss_draws(actions) if draws is None else draws
        prefix, goal = self.encode(observation), self._padded(actions)
        losses = self.network.flow_loss(prefix, goal, drawn["noise"], drawn["t"])
        return losses.mean(dim=(1, 2))

    def _padded(self, actions: Tensor) -> Tensor:
        return functional.pad(actions, (0, self.noise_dim - ACTION_DIM))

    def adopt_statistics(self, checkpoint: Path) -> None:
        """Takes up a checkpoint's statistics, where they are of this robot's numbers; else says
        in the log that the demonstrations' are needed.

        Raises:
            ConfigError: for statistics that can't be read or chosen.
        """
        found = read_statistics(checkpoint, self.config.asset)
        if found is None:
            _log.warning(
                "%s: no statistics: expected those of %d states and %d actions; they will be taken "
                "from the demonstrations",
                *(checkpoint, STATE_DIM, ACTION_DIM),
            )
            return
        path, known = found
        sizes = len(known.state_low), len(known.action_low)
        if sizes != (STATE_DIM, ACTION_DIM):
            _log.warning(
                "%s: expected %d states and %d actions, found %d and %d, of another robot; they "
                "will be taken from the demonstrations (imitation.keep_statistics: false)",
                *(path, STATE_DIM, ACTION_DIM, *sizes),
            )
            return
        self.state_stats.set_range(known.state_low, known.state_high)
        self.action_stats.set_range(known.action_low, known.action_high)
        self._loaded = True

    def _used(self, part: str) -> list[str]:
        """Names of the modules in a part of the network from which anything follows."""
        names = [name for name, _ in self.network.named_modules() if name.startswith(part)]
        return [name for name in names if self.network.is_used(name)]

    def _learns(self, name: str) -> bool:
        """Whether a parameter of the network is trained."""
        if name.startswith(_FROZEN) or not self.network.is_used(name):
            return False
        by_lora = self.config.lora is not None
        return not by_lora or name.startswith(_HEADS) or ".lora_" in name

    def trainable(self, stage: Stage) -> dict[str, nn.Parameter]:
        """See VLA: the same in every stage, since the image encoder is frozen: low-rank updates,
        and the layers around actions and time; without LoRA all that has a gradient."""
        named = self.network.named_parameters()
        return {f"network.{name}": value for name, value in named if self._learns(name)}

    def say_what_learns(self) -> None:
        """Writes into the log how much of it is trained, and what."""
        count = sum(parameter.numel() for parameter in self.network.parameters())
        learning = sum(parameter.numel() for parameter in self.trainable("sft").values())
        updates = sum(isinstance(layer, LoraLinear) for layer in self.modules())
        _log.info(
            "pi0.5: %s of its %s parameters learn: %s, the layers around actions and time; its "
            "image encoder is frozen",
            f"{learning:,}",
            f"{count:,}",
            f"low-rank updates of {updates} layers" if updates else "VLM and expert",
        )

    def weights(self) -> dict[str, Tensor]:
        """See VLA; and `base`, which says what they are an update of."""
        learning = self.trainable("sft").keys()
        return {
            name: value
            for name, value in self.state_dict().items()
            if name in learning or not name.startswith("network.")
        }

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See VLA.

        Raises:
            KeyError: where something is missing or unknown.
            RuntimeError: where a shape differs, or they are an update of another checkpoint.
        """
        own = self.weights()
        differing = sorted(own.keys() ^ weights.keys())
        if differing:
            what = "missing" if differing[0] in own else "unknown"
            raise KeyError(
                f"{differing[0]}: {what}, as are {len(differing) - 1} others (set vla.lora and the "
                "depths of vla as it was trained with)"
            )
        for name, value in own.items():
            if value.shape != weights[name].shape:
                raise RuntimeError(
                    f"{name}: expected {list(value.shape)}, found {list(weights[name].shape)} (set "
                    "the sizes and ranks of vla that it was trained with)"
                )
        if not torch.equal(own["base"].cpu(), weights["base"].cpu()):
            raise RuntimeError(
                "base: these weights are an update of another checkpoint of pi0.5 (set "
                "vla.checkpoint to the one that they were trained from)"
            )
        for name, value in own.items():
            value.copy_(weights[name])
        self._loaded = True

    def fork(self, stage: Stage) -> Pi05:
        """See VLA."""
        return fork_module(self, self.trainable(stage))

    def export(self, path: Path, layout: str) -> None:
        """See Exports: a folder for "openpi" (its PyTorch layout) or "lerobot", LoRA merged.

        Raises:
            ValueError: for another layout, or a checkpoint of its own that is gone.
            DiskError: where it can't be written.
        """
        known, statistics = layout_of(layout), self.statistics()
        write_checkpoint(path, known, self.config, self._views, self.network, statistics)


def _fitted(images: Tensor, size: int) -> Tensor:
    """(B, V, 3, h, w) in [0, 1] to (B, V, 3, size, size) in [-1, 1], undistorted, black around
    (openpi)."""
    height, width = images.shape[-2:]
    if (height, width) != (size, size):
        ratio = max(height, width) / size
        rows, columns = max(1, int(height / ratio)), max(1, int(width / ratio))
        flat = functional.interpolate(
            images.flatten(0, 1), (rows, columns), mode="bilinear", antialias=True
        )
        top, left = (size - rows) // 2, (size - columns) // 2
        around = (left, size - columns - left, top, size - rows - top)
        images = functional.pad(flat, around).view(*images.shape[:3], size, size)
    return images.clamp(0, 1) * 2 - 1
