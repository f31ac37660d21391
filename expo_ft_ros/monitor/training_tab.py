# SPDX-License-Identifier: Apache-2.0
"""How the training goes, over robot time: a tab of the console."""

from __future__ import annotations

from typing import Any

import numpy as np
import viser
from viser import uplot

from expo_ft_ros.monitor.curves import NO_POINTS, NO_TICKS, draw
from expo_ft_ros.monitor.markup import rows_html
from expo_ft_ros.monitor.training import Training

_SHOWN = {"eval_before": "evaluation before", "eval_after": "evaluation after"}
_HELPED, _ALONE, _HUMAN, _EVALUATED = "#4cc38a", "#5b9dff", "#ff8c00", "#ffffff"
_TIME = "#b48ead"


class TrainingTab:
    """Its curves are drawn anew where the training is another one."""

    def __init__(self, gui: viser.GuiApi) -> None:
        """Args:
        gui: Of the tab that is open.
        """
        self._words = gui.add_html("")
        self._shares = _plot(
            gui,
            "Success and intervention",
            "share",
            (
                uplot.Series(label="success, with help", stroke=_HELPED, points=NO_POINTS),
                uplot.Series(label="without help", stroke=_ALONE, width=2, points=NO_POINTS),
                uplot.Series(label="steps by a human", stroke=_HUMAN, points=NO_POINTS),
                _dots("evaluation", _EVALUATED, 9),
            ),
            uplot.Scale(range=(0, 1.08)),
        )
        self._times = _plot(
            gui,
            "Episode time",
            "seconds",
            (
                uplot.Series(label="mean of the last 20", stroke=_TIME, width=2, points=NO_POINTS),
                _dots("each", f"{_TIME}80", 4),
            ),
            uplot.Scale(),
        )
        self._last: Training | None = None

    def show(self, training: Training, left: str) -> None:
        """left: of the whole run's time, in words; "" where that isn't told."""
        words = {"time left": left} if left else {}
        for stage, (won, trials) in training.evaluations.items():
            words[_SHOWN.get(stage, stage)] = f"{won} of {trials} succeeded ({won / trials:.0%})"
        self._words.content = rows_html(words, "no training yet")
        if training is self._last:
            return
        self._last = training
        draw(self._shares, training.shares)
        draw(self._times, training.times)


def _plot(
    gui: viser.GuiApi, title: str, y: str, series: tuple[uplot.Series, ...], scale: uplot.Scale
) -> viser.GuiUplotHandle:
    return gui.add_uplot(
        tuple(np.zeros(0) for _ in range(len(series) + 1)),
        (uplot.Series(label="minutes"), *series),
        scales={"x": uplot.Scale(time=False), "y": scale},
        axes=(
            uplot.Axis(ticks=NO_TICKS, label="robot time online [min]", labelSize=20, size=30),
            uplot.Axis(ticks=NO_TICKS, label=y, labelSize=20, size=44),
        ),
        title=title,
        height=230,
        visible=False,
    )


def _dots(label: str, colour: str, size: int) -> uplot.Series:
    """Points without a line."""
    points: Any = {"show": True, "size": size, "fill": colour, "stroke": colour}
    return uplot.Series(label=label, stroke=colour, width=0, points=points)
