# SPDX-License-Identifier: Apache-2.0
"""How every figure looks, and how it becomes a picture of a page and a file.

Figures are 7.2 inches wide with letters of 9 points, so that they can be read at 700 px; their
colours are those of Okabe and Ito, which colour-blind people tell apart. No state of pyplot is
touched.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.paths import DRIVER_COLOURS

Function = TypeVar("Function", bound=Callable[..., Any])

WIDTH = 7.2  # inches

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#222222", "#8a8a8a"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
"""With `PALETTE`, 21 lines that differ."""

HUMAN = "#{:02x}{:02x}{:02x}".format(*DRIVER_COLOURS[Source.HUMAN])

# Of any type, since matplotlib's own is a list of some 300 names.
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "svg.fonttype": "path",
    # A figure of the same run is the same file.
    "svg.hashsalt": "expo_ft_ros",
}

PNG_DPI = 200
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class Picture:
    """A figure as it is shown. name: of its file, without suffix; words: what it shows, for who
    can't see it; png: the file; embedded: a data URI, SVG or PNG."""

    name: str
    words: str
    png: bytes
    embedded: str


def styled(function: Function) -> Function:
    """A decorator of what makes or renders figures: they look as `STYLE` says."""
    return matplotlib.rc_context(STYLE)(function)


def new_figure(height: float) -> Figure:
    """An empty figure, `WIDTH` x height [inches], that lays itself out."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def share_axis(axes: Axes, label: str) -> None:
    """Has the y axis show shares from 0 to 1 as per cents."""
    axes.set(ylabel=label, ylim=(-0.06, 1.06), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.set_yticklabels(["0%", "25%", "50%", "75%", "100%"])


@styled
def render(figure: Figure, name: str, words: str, *, photographs: bool = False) -> Picture:
    """The picture of a figure; photographs: it holds camera images, so that it is embedded as PNG,
    where SVG would be larger and no sharper."""
    png = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    if photographs:
        embedded = _uri("image/png", png.getvalue())
    else:
        svg = io.StringIO()
        FigureCanvasSVG(figure)
        figure.savefig(svg, format="svg", metadata=_NO_METADATA)
        embedded = _uri("image/svg+xml", svg.getvalue().encode())
    return Picture(name, words, png.getvalue(), embedded)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
