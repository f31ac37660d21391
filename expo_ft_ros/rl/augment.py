# SPDX-License-Identifier: Apache-2.0
"""Image augmentation of the paper (C.1): crop, rotation and colour, drawn anew for each image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

CROP = 0.95
ROTATION = math.radians(5)
JITTER = 0.1


def augment(
    images: Tensor, generator: torch.Generator | None = None, *, moved: bool = True
) -> Tensor:
    """Images, each with its own draw: 95% random crop resized back, rotation within +-5 degrees,
    brightness, contrast and saturation within +-0.1.

    Args:
        images: (..., 3, h, w) float in [0, 1].
        generator: Of the draws; None: torch's global one.
        moved: False leaves out crop and rotation.

    Returns:
        Images of the same shape, in [0, 1].
    """
    flat = images.reshape(-1, *images.shape[-3:])
    n = flat.shape[0]

    def uniform(low: float, high: float) -> Tensor:
        u = torch.rand(n, generator=generator, device=flat.device)
        return low + (high - low) * u

    out = _move(flat, uniform) if moved else flat
    brightness, contrast, saturation = (
        uniform(1 - JITTER, 1 + JITTER).view(n, 1, 1, 1) for _ in range(3)
    )
    # The three are linear in the pixel, its grey value and the image's mean: one pass, not three.
    grey = out.mean(dim=1, keepdim=True)
    mean = out.mean(dim=(1, 2, 3), keepdim=True) * brightness
    gain = brightness * contrast
    rest = gain * (1 - saturation) * grey + (1 - contrast) * mean
    return torch.addcmul(rest, out, gain * saturation).clamp_(0, 1).view_as(images)


def _move(flat: Tensor, uniform: Callable[[float, float], Tensor]) -> Tensor:
    """Crop, resized back, and rotation of images (n, 3, h, w)."""
    n = len(flat)
    angle = uniform(-ROTATION, ROTATION)
    cos, sin = CROP * angle.cos(), CROP * angle.sin()
    margin = 1 - CROP
    dx, dy = uniform(-margin, margin), uniform(-margin, margin)
    affine = torch.stack([cos, -sin, dx, sin, cos, dy], dim=-1).view(n, 2, 3)
    grid = functional.affine_grid(affine, list(flat.shape), align_corners=False)
    return functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)
