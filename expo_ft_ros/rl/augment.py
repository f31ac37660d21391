"""Image augmentation of the paper (C.1): crop, rotation and colour, drawn anew for each image."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

CROP = 0.95
ROTATION = math.radians(5)
JITTER = 0.1


def augment(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """(..., 3, h, w) float in [0, 1] to the same shape.

    Each image has its own draw: 95% random crop resized back, rotation within +-5 degrees,
    brightness, contrast and saturation within +-0.1.
    """
    flat = images.reshape(-1, *images.shape[-3:])
    n = flat.shape[0]

    def uniform(low: float, high: float) -> Tensor:
        u = torch.rand(n, generator=generator, device=flat.device)
        return low + (high - low) * u

    angle = uniform(-ROTATION, ROTATION)
    cos, sin = CROP * angle.cos(), CROP * angle.sin()
    margin = 1 - CROP
    dx, dy = uniform(-margin, margin), uniform(-margin, margin)
    affine = torch.stack([cos, -sin, dx, sin, cos, dy], dim=-1).view(n, 2, 3)
    grid = functional.affine_grid(affine, list(flat.shape), align_corners=False)
    out = functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)

    def column(low: float, high: float) -> Tensor:
        return uniform(low, high).view(n, 1, 1, 1)

    out = out * column(1 - JITTER, 1 + JITTER)
    mean = out.mean(dim=(1, 2, 3), keepdim=True)
    out = (out - mean) * column(1 - JITTER, 1 + JITTER) + mean
    grey = out.mean(dim=1, keepdim=True)
    out = (out - grey) * column(1 - JITTER, 1 + JITTER) + grey
    return out.clamp(0, 1).view_as(images)
