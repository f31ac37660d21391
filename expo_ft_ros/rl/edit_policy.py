# SPDX-License-Identifier: Apache-2.0
"""The edit policy: a squashed Gaussian over what is added to a chunk (paper, eq. 1 and 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from expo_ft_ros.data.types import ACTION_DIM
from expo_ft_ros.rl.edit_config import EditConfig
from expo_ft_ros.rl.gaussian import TanhGaussian


def edit_bounds(config: EditConfig, beta: float) -> tuple[float, ...]:
    """Largest edit of each of the 7 numbers of an action, normalised; 0: it is left as it is."""
    factors = (
        *[config.position_scale] * 3,
        *[config.rotation_scale] * 3,
        config.gripper_scale,
    )
    return tuple(beta * factor for factor in factors)


class EditPolicy(TanhGaussian):
    """Draws edits (..., C * 7) of chunks, given their condition.

    What is drawn, and what has a density, are the free numbers: those of an action whose bound is
    above 0, at each of C steps or at each of a few knots. Between knots edits are interpolated
    linearly, the first knot being the first step and the last one the last; a single one holds for
    all steps.

    Args:
        in_dim: Numbers of the condition.
        length: C.
        beta: Edit scale of the task.
        config: Knots, scales, and how it begins.

    Raises:
        ValueError: for more knots than steps.
    """

    def __init__(self, in_dim: int, length: int, beta: float, config: EditConfig) -> None:
        if config.knots > length:
            raise ValueError(
                f"edit.knots {config.knots} is more than the task's execute_steps {length} "
                "(0: each step has its own numbers)"
            )
        bounds = edit_bounds(config, beta)
        free = [axis for axis, bound in enumerate(bounds) if bound > 0]
        points = config.knots or length
        super().__init__(
            in_dim,
            points * len(free),
            config.hidden,
            [bounds[axis] for axis in free] * points,
            zero_start=config.zero_start,
            initial_std=config.initial_std,
        )
        self._length, self._free, self._points = length, free, points
        self._chunk_bounds: Sequence[float] = bounds * length

    def sample(
        self, condition: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """An edit (..., C * 7), and the log-density (...) of the numbers that it is made of."""
        drawn, log_density = super().sample(condition, generator)
        return self.edit_of(drawn), log_density

    def mode(self, condition: Tensor) -> Tensor:
        """The edit at the Gaussian's mean: (..., C * 7)."""
        return self.edit_of(super().mode(condition))

    def edit_of(self, drawn: Tensor) -> Tensor:
        """The edit (..., C * 7) that the drawn numbers (..., dims) stand for."""
        at_points = drawn.view(*drawn.shape[:-1], self._points, len(self._free))
        edit = drawn.new_zeros(*drawn.shape[:-1], self._length, ACTION_DIM)
        edit[..., self._free] = self._interpolated(at_points)
        return edit.flatten(-2)

    def _interpolated(self, at_points: Tensor) -> Tensor:
        """(..., C, n) of (..., points, n)."""
        points, length = self._points, self._length
        if points == length:
            return at_points
        if points == 1:
            return at_points.expand(*at_points.shape[:-2], length, -1)
        place = torch.linspace(0, points - 1, length, device=at_points.device)
        before = place.long().clamp(max=points - 2)
        share = (place - before)[:, None].to(at_points.dtype)
        return torch.lerp(at_points[..., before, :], at_points[..., before + 1, :], share)

    def size_of(self, drawn: Tensor) -> Tensor:
        """Mean size of edits (..., C * 7) as a share of their bounds, a scalar."""
        return drawn.abs().sum(dim=-1).mean() / math.fsum(self._chunk_bounds)
