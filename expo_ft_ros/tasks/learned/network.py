# SPDX-License-Identifier: Apache-2.0
"""From the views of one observation to how likely it shows a success: a small convolutional net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from expo_ft_ros.data.files import replacing, write_atomically
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.tensor_files import save_tensors
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.tasks.learned.files import About, about_path, digest

_CHANNELS = (16, 32, 32, 32)
_HIDDEN, _DROPOUT = 64, 0.3


class SuccessNet(nn.Module):
    """Stacks the views as channels; four strided convolutions, then two layers."""

    def __init__(self, views: int, image_size: int) -> None:
        """views: how many; image_size: side of their images [px]."""
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 3 * views, image_size
        for wider in _CHANNELS:
            layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.ReLU()]
            channels, side = wider, (side + 1) // 2
        self.seen = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(_DROPOUT))
        self.judged = nn.Sequential(
            nn.Linear(channels * side**2, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """(n,) logits of images (n, views, 3, size, size) float32 in [0, 1]."""
        logits: Tensor = self.judged(self.seen(images.flatten(1, 2) - 0.5))
        return logits[:, 0]


def seen_by(views: Mapping[str, ImageArray], names: Sequence[str], size: int) -> ImageArray:
    """(views, size, size, 3) uint8 of one observation: the named views, resized."""
    return np.stack([resize_image(views[name], size) for name in names])


def to_tensor(images: ImageArray) -> Tensor:
    """(n, views, 3, size, size) float32 in [0, 1] of images (n, views, size, size, 3) uint8."""
    return torch.from_numpy(images).permute(0, 1, 4, 2, 3).float() / 255.0


@torch.inference_mode()
def probabilities(net: SuccessNet, images: ImageArray, batch: int = 128) -> NDArray[np.float32]:
    """(n,) in [0, 1], of success, for images (n, views, size, size, 3) uint8; batch: at a time."""
    net.eval()
    parts = [net(to_tensor(images[i : i + batch])) for i in range(0, len(images), batch)]
    return np.asarray(torch.sigmoid(torch.cat(parts)).numpy(), dtype=np.float32)


def save(net: SuccessNet, about: About, path: Path) -> None:
    """Writes weights, and what they are beside them.

    Raises:
        DiskError: where they can't be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    with replacing(partial, path):
        save_tensors(partial, net.state_dict())
    sealed = about.model_copy(update={"sha256": digest(path)})
    write_atomically(about_path(path), sealed.model_dump(mode="json"))


def load(path: Path, about: About) -> SuccessNet:
    """The net of weights that `read_about` has checked."""
    net = SuccessNet(len(about.views), about.image_size)
    net.load_state_dict(load_file(path))
    return net.eval()
