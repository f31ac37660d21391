# SPDX-License-Identifier: Apache-2.0
"""Q over the episode, as an image: rviz has no plots of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from expo_ft_ros.data.types import ImageArray, Source
from expo_ft_ros.monitor.paths import DRIVER_COLOURS

WIDTH, HEIGHT = 480, 240
_DPI = 100


class QPlot:
    """Draws into one figure, made once."""

    def __init__(self) -> None:
        figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI, layout="constrained")
        self._canvas: Any = FigureCanvasAgg(figure)  # its methods have no types
        self._axes = figure.add_subplot()

    def draw(
        self,
        steps: Sequence[int],
        q: NDArray[np.float64],
        chosen: NDArray[np.float64],
        sources: Sequence[Source],
    ) -> ImageArray:
        """(HEIGHT, WIDTH, 3) RGB: the range of the candidates' Q and that of the chosen one, over
        the steps of an episode, and below who drove.

        steps: (n,) step of each choice; q: (n, K); chosen: (n,), NaN where no critic says any;
        sources: of every step so far.
        """
        axes = self._axes
        axes.clear()
        axes.set(xlabel="step", ylabel="Q", xlim=(0, max(10, len(sources))))
        if len(steps) and np.isfinite(q).any():
            axes.fill_between(steps, q.min(axis=1), q.max(axis=1), alpha=0.3, label="candidates")
            axes.plot(steps, chosen, marker=".", label="chosen")
            axes.legend(loc="upper left", fontsize="x-small")
        for source in Source:
            driven = [step for step, by in enumerate(sources) if by is source]
            colour = np.array(DRIVER_COLOURS[source]) / 255
            line = axes.get_xaxis_transform()
            axes.scatter(driven, [0.02] * len(driven), color=[colour], s=6, transform=line)
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()
