# SPDX-License-Identifier: Apache-2.0
"""The frames of an episode's video: cameras, where the candidates would go, Q, and who drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from expo_ft_ros.data.types import CandidateKind, ImageArray, Source
from expo_ft_ros.monitor.paths import DRIVER_COLOURS, q_colours, tool_paths
from expo_ft_ros.recording.recorded_episode import RecordedEpisode
from expo_ft_ros.report.drawing import BLUE, GREY, SKY, STYLE
from expo_ft_ros.report.strips import CHOSEN_KINDS
from expo_ft_ros.robots import RobotLimits

WIDTH, HEIGHT = 1280, 720  # px
_CAMERAS = (16, 84, 800, 392)  # left, top, width and height of what the cameras lie in [px]
_GAP = 16  # between two of them [px]
BADGE = (16, 46, 186, 28)
"""Left, top, width and height of the field that says who drives [px]."""
VERDICT = (78, 488)
"""Left and middle of the line that says what came of a step: its reward, and why [px]."""

_DPI = 100
_DASHED, _DOTTED = (0, (3, 2)), (0, (1, 1))
_CHOSEN_STYLES: Mapping[CandidateKind, Any] = {
    CandidateKind.BASE: "-",
    CandidateKind.EDITED: _DASHED,
    CandidateKind.GRIPPER: _DOTTED,
}
_NEAREST = 0.05  # what a view shows to each side at least [m]
_WORDS = {Source.POLICY: "policy drives", Source.HUMAN: "a human drives", Source.HOLD: "held"}
_Q_BOX, _ABOVE_BOX, _BESIDE_BOX = (78, 500, 738, 140), (896, 84, 368, 256), (896, 384, 368, 256)
_KEY = 702  # height of what explains colours and lines [px]


def camera_places(count: int) -> list[tuple[int, int, int]]:
    """Left, top and side [px] of each of so many cameras' images: one beside the other."""
    left, top, width, height = _CAMERAS
    side = min(height, (width - (count - 1) * _GAP) // count)
    left += (width - count * side - (count - 1) * _GAP) // 2
    top += (height - side) // 2
    return [(left + place * (side + _GAP), top, side) for place in range(count)]


class _Moving(NamedTuple):
    """What moves in a view: where the tool was, and where candidates would take it."""

    trace: LineCollection
    base: LineCollection
    edits: LineCollection
    chosen: LineCollection
    tool: Line2D


class EpisodeScene:
    """Draws what stands still once, and each frame over it."""

    def __init__(self, recorded: RecordedEpisode, limits: RobotLimits, control_hz: float) -> None:
        """limits: what an action of 1 meant; control_hz: steps a second [Hz]."""
        self._recorded, self._hz = recorded, control_hz
        self._places = recorded.episode.state[:, :3].astype(np.float64)
        self._sources = [Source(int(source)) for source in recorded.episode.source]
        self._steps = recorded.steps
        self._paths = [
            tool_paths(self._places[max(0, step)], choice.actions, limits, 1 / control_hz)
            for step, choice in zip(self._steps, recorded.choices, strict=True)
        ]
        with matplotlib.rc_context({**STYLE, "font.size": 11, "axes.labelsize": 10}):
            self._build()

    def __len__(self) -> int:
        """Frames: one a step."""
        return len(self._recorded.episode)

    def frame(self, step: int) -> ImageArray:
        """(HEIGHT, WIDTH, 3) RGB of a step: what was seen, and what was done about it."""
        self._canvas.restore_region(self._still)
        for artist in self._moved_to(step):
            self._figure.draw_artist(artist)
        image = np.asarray(self._canvas.buffer_rgba())[..., :3].copy()
        episode = self._recorded.episode
        for seen, (left, top, side) in zip(
            episode.views.values(), camera_places(len(episode.views)), strict=True
        ):
            large = cv2.resize(seen[step], (side, side), interpolation=cv2.INTER_CUBIC)
            image[top : top + side, left : left + side] = large
        return image

    def pixel(self, view: str, point: NDArray[np.floating[Any]]) -> tuple[int, int]:
        """Column and row at which a point (3,) [m] is drawn, counted from where the tool was when
        the newest chunk was chosen; view: `above` or `beside`."""
        axes, other = (self._above, 1) if view == "above" else (self._beside, 2)
        x, y = axes.transData.transform((point[0], point[other]))
        return round(float(x)), round(HEIGHT - 1 - float(y))

    # -- what stands still ----------------------------------------------------------------------
    def _build(self) -> None:
        self._figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI)
        # Of any type: matplotlib's own says none of what these methods take.
        canvas: Any = FigureCanvasAgg(self._figure)
        self._canvas = canvas
        self._q, self._above, self._beside = (
            self._figure.add_axes(_box(box)) for box in (_Q_BOX, _ABOVE_BOX, _BESIDE_BOX)
        )
        self._title()
        self._plot_q()
        self._plot_views()
        self._say()
        self._canvas.draw()
        self._still = self._canvas.copy_from_bbox(self._figure.bbox)

    def _title(self) -> None:
        episode, outcome = self._recorded.episode, self._recorded.episode.outcome
        verdict = "discarded" if outcome.discarded else "success" if outcome.success else "failure"
        words = f"Episode {outcome.episode} ({outcome.stage}): {outcome.cause}"
        if verdict not in outcome.cause:
            words += f", {verdict}"
        _text(self._figure, 16, 24, words, weight="bold", size=13)
        _text(self._figure, WIDTH - 16, 24, f"“{episode.instruction}”", ha="right", color="#555555")

    def _plot_q(self) -> None:
        axes, recorded = self._q, self._recorded
        axes.set(xlim=(-0.01 * len(self), len(self)), xlabel="step", ylabel="Q")
        values = np.concatenate([np.zeros(0), *(choice.q for choice in recorded.choices)])
        values = values[np.isfinite(values)]
        low, high = (min(0.0, *values), max(1.0, *values)) if values.size else (0.0, 1.0)
        axes.set_ylim(low - 0.12 * (high - low), high + 0.06 * (high - low))
        if not values.size:
            axes.set_yticks(())
            why = "no critic said any Q" if recorded.choices else "no policy acted"
            _say_why(axes, why)
        self._q_band = LineCollection([], colors=SKY, alpha=0.6, linewidths=4)
        (self._q_line,) = axes.plot([], [], ".-", color=BLUE)
        self._q_kinds = {
            kind: axes.plot([], [], marker, color=colour, markersize=5)[0]
            for kind, (marker, colour, _) in CHOSEN_KINDS.items()
        }
        # x in steps, y as a part of the panel's height.
        place = axes.get_xaxis_transform()
        self._drivers = LineCollection([], linewidths=7, transform=place)
        (self._now,) = axes.plot([], [], color=GREY, linewidth=1, transform=place)
        for artist in (self._q_band, self._drivers):
            axes.add_collection(artist, autolim=False)
        kinds = self._q_kinds.values()
        _animate((self._q_band, self._q_line, *kinds, self._drivers, self._now))

    def _plot_views(self) -> None:
        self._moving: dict[Axes, _Moving] = {}
        far = [(paths - paths[:, :1]).reshape(-1, 3) for paths in self._paths]
        points = np.concatenate([_NEAREST * np.vstack([np.eye(3), -np.eye(3)]), *far])
        for axes, other, label in (
            (self._above, 1, "y [cm], left"),
            (self._beside, 2, "z [cm], up"),
        ):
            axes.set_ylabel(label)
            axes.xaxis.set_major_formatter(_in_cm)
            axes.yaxis.set_major_formatter(_in_cm)
            _fit(axes, points[:, [0, other]])
            trace = LineCollection([], linewidths=2.5)
            base = LineCollection([], linewidths=1.6)
            edits = LineCollection([], linewidths=1.6, linestyles=[_DASHED])
            chosen = LineCollection([], linewidths=[5.4, 3.6])
            (tool,) = axes.plot([], [], "o", color="black", markersize=5)
            for artist in (trace, chosen, base, edits):
                axes.add_collection(artist, autolim=False)
            self._moving[axes] = _Moving(trace, base, edits, chosen, tool)
            _animate(self._moving[axes])
        self._beside.set_xlabel("x [cm], forwards")
        self._above.set_title("candidates, seen from above", loc="left", fontsize=10)
        self._beside.set_title("from the side", loc="left", fontsize=10)
        self._key()

    def _key(self) -> None:
        """How things are drawn, below everything."""
        x = 16
        for source, words in _WORDS.items():
            _text(self._figure, x, _KEY, "■", color=_rgb(source), size=11)
            _text(self._figure, x + 16, _KEY, words, size=9)
            x += 26 + 7 * len(words)
        words = "Q: line of the chosen, band of all;  diamond: edited, square: gripper"
        _text(self._figure, x, _KEY, words, size=9)
        bar = self._figure.add_axes(_box((821, _KEY - 5, 70, 9)))
        bar.imshow(q_colours(np.linspace(0, 1, 64))[None], aspect="auto")
        bar.set_axis_off()
        _text(self._figure, 815, _KEY, "Q low", ha="right", size=9)
        _text(
            self._figure,
            897,
            _KEY,
            "high;  thick: chosen,  dashed: edited,  dotted: gripper",
            size=9,
        )

    def _say(self) -> None:
        left, top, width, height = BADGE
        self._badge = self._figure.text(
            (left + width / 2) / WIDTH,
            1 - (top + height / 2) / HEIGHT,
            "",
            ha="center",
            va="center",
            color="black",
            size=11,
            weight="bold",
        )
        self._ground = Rectangle(
            (left / WIDTH, 1 - (top + height) / HEIGHT),
            width / WIDTH,
            height / HEIGHT,
            transform=self._figure.transFigure,
        )
        self._figure.add_artist(self._ground)
        self._counter = _text(self._figure, left + width + 16, top + height / 2, "")
        self._verdict = _text(self._figure, *VERDICT, "", size=10)
        _animate((self._badge, self._ground, self._counter, self._verdict))

    # -- what moves -----------------------------------------------------------------------------
    def _moved_to(self, step: int) -> list[Artist]:
        """Everything that moves, as of a step, in the order in which it is drawn."""
        source = self._sources[step]
        self._ground.set_facecolor(_rgb(source))
        self._badge.set_text(_WORDS[source])
        reward, reason = self._recorded.episode.reward[step], self._recorded.reasons[step]
        self._verdict.set_text(f"reward {reward:g}" + (f": {reason}" if reason else ""))
        cause = self._recorded.causes[step]
        x, y, z = self._places[step]
        words = f"step {step + 1} of {len(self)}    {step / self._hz:.1f} s"
        words += f"    tool at {x:.2f}, {y:.2f}, {z:.2f} m"
        done = "held" if source is Source.HOLD else "altered"
        self._counter.set_text(words + (f"    {done}: {cause}" if cause else ""))
        self._move_q(step)
        latest = self._recorded.latest(step)
        for axes, other in ((self._above, 1), (self._beside, 2)):
            self._move_view(axes, (0, other), step, latest)
        moving = [artist for axes in self._moving for artist in self._moving[axes]]
        said = [self._ground, self._badge, self._counter, self._verdict]
        values = [self._q_band, self._q_line, *self._q_kinds.values(), self._drivers, self._now]
        return [*said, *values, *moving]

    def _move_q(self, step: int) -> None:
        past = [
            (at, choice)
            for at, choice in zip(self._steps, self._recorded.choices, strict=True)
            if at <= step and np.isfinite(choice.q).all()
        ]
        self._q_band.set_segments([[(at, c.q.min()), (at, c.q.max())] for at, c in past])
        self._q_line.set_data([at for at, _ in past], [c.q[c.chosen] for _, c in past])
        for kind, dots in self._q_kinds.items():
            chosen = [(at, c.chosen_q) for at, c in past if c.chosen_kind is kind]
            dots.set_data([at for at, _ in chosen], [q for _, q in chosen])
        self._drivers.set_segments([[(n, 0.03), (n + 1, 0.03)] for n in range(step + 1)])
        self._drivers.set_color([_rgb(source) for source in self._sources[: step + 1]])
        self._now.set_data([step, step], [0, 1])

    def _move_view(self, axes: Axes, which: tuple[int, int], step: int, latest: int | None) -> None:
        trace, base, edits, chosen, tool = self._moving[axes]
        drawn_on = step if latest is None else max(0, self._steps[latest])
        origin = self._places[drawn_on, which]
        places = self._places[: step + 1][:, which] - origin
        trace.set_segments(list(np.stack([places[:-1], places[1:]], axis=1)))
        trace.set_color([_rgb(source) for source in self._sources[:step]])
        tool.set_data(places[-1:, 0], places[-1:, 1])
        if latest is None:
            return
        choice, paths = self._recorded.choices[latest], self._paths[latest][..., which] - origin
        colours = q_colours(choice.q) / 255
        others = np.arange(len(paths)) != choice.chosen
        # A gripper decision goes where its base chunk does.
        for lines, kind in ((base, CandidateKind.BASE), (edits, CandidateKind.EDITED)):
            shown = (choice.kind == kind) & others
            lines.set_segments(list(paths[shown]))
            lines.set_color(colours[shown])
        # The chosen one over an edge, so that its own colour is seen on any ground.
        chosen.set_segments([paths[choice.chosen]] * 2)
        chosen.set_color([(0, 0, 0), tuple(colours[choice.chosen])])
        chosen.set_linestyle(["-", _CHOSEN_STYLES[choice.chosen_kind]])


def _box(place: Sequence[int]) -> tuple[float, float, float, float]:
    """Left, top, width, height [px] as parts of the figure, from its lower left."""
    left, top, width, height = place
    return left / WIDTH, 1 - (top + height) / HEIGHT, width / WIDTH, height / HEIGHT


def _text(figure: Figure, x: float, y: float, words: str, **style: Any) -> Any:
    """Words at a place from the upper left [px]; none of their characters is a formula's."""
    return figure.text(x / WIDTH, 1 - y / HEIGHT, words, va="center", parse_math=False, **style)


def _say_why(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", color="#777777")


def _fit(axes: Axes, points: NDArray[np.float64]) -> None:
    """Limits within which all points (n, 2) lie, in one scale for both axes."""
    size = np.array(axes.get_window_extent().size)
    a_pixel = 1.15 * float(np.max(np.ptp(points, axis=0) / size))
    low = (points.min(axis=0) + points.max(axis=0) - a_pixel * size) / 2
    high = low + a_pixel * size
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def _in_cm(metres: float, _: float) -> str:
    return f"{100 * metres:g}"


def _animate(artists: Sequence[Artist]) -> None:
    """Leaves artists out of what stands still."""
    for artist in artists:
        artist.set_animated(True)


def _rgb(source: Source) -> tuple[float, float, float]:
    red, green, blue = DRIVER_COLOURS[source]
    return red / 255, green / 255, blue / 255
