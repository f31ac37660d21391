# SPDX-License-Identifier: Apache-2.0
"""From camera images to what networks see: one way, for acting and for learning."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import FloatArray, ImageArray
from expo_ft_ros.policies.base import VLA, PolicyInput
from expo_ft_ros.rl.augment import augment
from expo_ft_ros.rl.config import Augmentation


def network_image(image: ImageArray, size: int) -> ImageArray:
    """A camera's image (h, w, 3) uint8 as replay keeps it: (3, size, size) uint8.

    Contiguous: of another layout in memory convolutions give other last bits.
    """
    return np.ascontiguousarray(resize_image(image, size).transpose(2, 0, 1))


def require_views(there: Collection[str], needed: Collection[str]) -> None:
    """Refuses an observation or episode without a view.

    Raises:
        ValueError: with both lists.
    """
    missing = [name for name in needed if name not in there]
    if missing:
        raise ValueError(
            f"view {missing[0]!r} is missing: the policy sees {', '.join(needed)}, there are "
            f"{', '.join(there) or 'none'} (take a robot with these views)"
        )


def augmented(images: Tensor, kind: Augmentation) -> Tensor:
    """Images (..., 3, h, w) in [0, 1], each with its own draw of that kind."""
    return images if kind == "none" else augment(images, moved=kind == "openpi")


class InputBuilder:
    """Makes the networks' inputs of images, states and instructions.

    Args:
        vla: The policy, which prepares its own input.
        views: Names of the views, in the order in which it was built.
        image_size: Side of the networks' images [px].
        device: Of the inputs.
        max_steps: Of an episode, where the critic sees how much of them is left; None: it doesn't.
    """

    def __init__(
        self,
        vla: VLA,
        views: Sequence[str],
        image_size: int,
        device: torch.device,
        max_steps: int | None,
    ) -> None:
        self.views, self.image_size = tuple(views), image_size
        self._vla, self._device, self._max_steps = vla, device, max_steps

    def images(self, kept: ImageArray) -> Tensor:
        """Images as replay keeps them, (B, V, 3, s, s) uint8, as float in [0, 1]."""
        return torch.from_numpy(kept).to(self._device).float().div_(255)

    def policy_input(
        self, images: Tensor | None, state: FloatArray, instructions: Sequence[str]
    ) -> PolicyInput:
        """What the policy sees.

        Args:
            images: (B, V, 3, s, s) float in [0, 1]; None where features will stand in for them.
            state: (B, STATE_DIM) SI units.
            instructions: B texts.
        """
        return self._vla.prepare(instructions, torch.from_numpy(state).to(self._device), images)

    def critic_state(self, state: FloatArray, steps_left: FloatArray) -> Tensor:
        """(B, state_dim) what the critic sees of a state beside images: `Transitions.state`.

        Args:
            state: (B, STATE_DIM) SI units.
            steps_left: (B,) until the timeout; NaN where that isn't known.

        Raises:
            ValueError: where it isn't known, and the critic is to see it.
        """
        if self._max_steps is not None:
            if np.isnan(steps_left).any():
                raise ValueError(
                    "an observation doesn't say how many steps are left of its episode, which the "
                    "critic sees (value.time_left): set steps_left"
                )
            share = (steps_left / self._max_steps).clip(0, 1)
            state = np.column_stack([state, share]).astype(np.float32)
        return torch.from_numpy(state).to(self._device)

    def kept(self, views: Mapping[str, ImageArray]) -> ImageArray:
        """Cameras' images as replay keeps an observation's: (V, 3, s, s) uint8.

        Raises:
            ValueError: when a view is missing.
        """
        require_views(views, self.views)
        return np.stack([network_image(views[name], self.image_size) for name in self.views])
