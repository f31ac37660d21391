# SPDX-License-Identifier: Apache-2.0
"""The console in a browser: buttons and state on top, scene, cameras, curves and health below."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray
from viser import uplot

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor import controls_page, episodes_page, markup
from expo_ft_ros.monitor.auth_proxy import AuthProxy, passed_on
from expo_ft_ros.monitor.camera_stream import CameraStream
from expo_ft_ros.monitor.controls import Action, Controls
from expo_ft_ros.monitor.curves import NO_POINTS, NO_TICKS, draw
from expo_ft_ros.monitor.playback import Player, Recordings
from expo_ft_ros.monitor.scene3d import Scene, furnish
from expo_ft_ros.monitor.server import HiddenServer, page
from expo_ft_ros.monitor.static_files import style
from expo_ft_ros.monitor.training_tab import TrainingTab
from expo_ft_ros.monitor.view import View
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.reward import Classifier

# Where a scene is looked at from, and where to, from the middle of the workspace [m]: from a side
# where no simulated camera is; on a narrow screen the panel covers the lower part.
_WIDE = np.array([[0.34, -0.76, 0.26], [-0.1, 0.0, 0.05]])
_NARROW = np.array([[0.5, -0.95, 0.0], [-0.1, 0.0, -0.4]])
_NARROW_WIDTH = 576  # [px]
_PHONE = """<style>@media (max-width: 36em) {
  div[style*="width: 20em"] { width: 100vw !important; }
}</style>"""
# The y axis is wide enough for a minus and three digits [px].
_AXES = uplot.Axis(ticks=NO_TICKS), uplot.Axis(ticks=NO_TICKS, size=60)
_BLANK = np.zeros((224, 224, 3), np.uint8)
_log = logging.getLogger(__name__)


class Console:
    """Open once it is made; `url` says where. Every browser sees the same."""

    def __init__(
        self,
        actions: Mapping[str, Action],
        task: TaskConfig,
        limits: RobotLimits,
        view_names: Sequence[str],
        *,
        host: str = "127.0.0.1",
        port: int,
        token: str = "",
        recordings: Recordings | None = None,
        classifier: Classifier,
    ) -> None:
        """Opens it.

        Args:
            actions: As of `controls.Controls`.
            task: What is done.
            limits: What an action of 1 means.
            view_names: Of the robot, in order.
            host: As of `auth_proxy.AuthProxy`, as are port and token.
            port: Its port.
            token: What opens it.
            recordings: Of the run; None: there are none.
            classifier: Of the task, whose marks and heights are shown.

        Raises:
            ConfigError: As `AuthProxy`.
        """
        title = f"EXPO-FT · {task.name}"
        self._controls = Controls(actions)
        self._server = HiddenServer(title)
        self._cameras = CameraStream(view_names)
        pages = {"/": controls_page.page(title, view_names), controls_page.SCENE: page()}
        talks = {
            controls_page.SOCKET: self._controls.talk,
            controls_page.CAMERAS: self._cameras.talk,
            controls_page.SCENE: passed_on(self._server.url),
        }
        self._last: View | None = None
        self._failed = False
        self._player: Player | None = None
        self._build(task, limits, view_names, recordings, classifier)
        if self._player is not None:
            pages[episodes_page.PAGE] = episodes_page.page()
            talks[episodes_page.SOCKET] = self._player.talk
        try:
            self._gate = AuthProxy(pages, talks, host, port, token)
        except ValueError:
            if self._player is not None:
                self._player.close()
            self._server.stop()
            raise

    @property
    def url(self) -> str:
        """What to open in a browser: it holds the token, so show it once and log it nowhere."""
        return self._gate.url

    @property
    def watched(self) -> bool:
        """Whether a browser shows scene or cameras: without one nobody needs to draw an overlay."""
        return self._cameras.watched or bool(self._server.get_clients())

    def hear_of(self, episode: int) -> None:
        """Number of the newest episode, as soon as it is known: see `controls.Controls`."""
        self._controls.episode = episode

    def show(self, view: View) -> None:
        """Shows it to every browser. From one thread; it waits for nobody and raises nothing."""
        try:
            self._controls.show(view)
            self._cameras.show(view.images)
            if not self._server.get_clients():
                self._last = None
                return
            with self._server.atomic():
                self._show(view, self._last or View())
            self._last, self._failed = view, False
        except Exception:  # noqa: BLE001 (a view is not worth the graph)
            if not self._failed:
                _log.exception("console: a view can't be shown")
            self._failed = True

    def close(self, last: View | None = None) -> None:
        """Ends every connection and its threads. last: what the pages keep showing."""
        if last is not None:
            self._controls.show_last(last)
        # First, or a page that connects meanwhile would hear of what is gone.
        self._gate.close()
        if self._player is not None:
            self._player.close()
        self._controls.close()
        self._server.stop()

    # -- what is on the page --------------------------------------------------------------------
    def _build(
        self,
        task: TaskConfig,
        limits: RobotLimits,
        view_names: Sequence[str],
        recordings: Recordings | None,
        classifier: Classifier,
    ) -> None:
        server, gui = self._server, self._server.gui
        dress(server, task, classifier.heights)
        self._scene = Scene(server.scene, "/live")

        tabs = gui.add_tab_group()
        with tabs.add_tab("Episode"):
            self._q = gui.add_html("")
            self._q_plot = _q_plot(gui, task.max_steps)
            self._status = gui.add_html("")
        with tabs.add_tab("Training"):
            self._training = TrainingTab(gui)
        with tabs.add_tab("Health"):
            self._health = gui.add_html("")
        if recordings is not None:
            self._player = Player(server, tabs, task, limits, recordings, classifier, self._scene)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(360)

        cameras = gui.add_panel()
        with cameras.add_tab("Cameras"):
            self._images = {
                name: gui.add_image(_BLANK, label=name, format="jpeg", jpeg_quality=80)
                for name in view_names
            }
            gui.add_html(markup.legend_html())
        cameras.dock_left()
        cameras.set_width(290)

    # -- what changes ---------------------------------------------------------------------------
    def _show(self, view: View, last: View) -> None:
        """viser itself leaves out what says the same again, but for images and plots."""
        self._scene.show(view)
        if self._player is not None:
            self._player.cameras = view.cameras
        for name, image in view.images.items():
            _replace(self._images[name], image, last.images.get(name))
        self._q.content = markup.q_html(view)
        self._status.content = markup.rows_html(view.status)
        self._health.content = markup.diagnostics_html(view.diagnostics)
        if not _same(view.q_history, last.q_history):
            draw(self._q_plot, _known(view.q_history))
        self._training.show(view.training, view.left)


def dress(server: viser.ViserServer, task: TaskConfig, heights: Mapping[str, float]) -> None:
    """How a page looks: its colours and styles, where its scene is looked at from, and what stands
    still in it. heights: as of a classifier, name -> [m]."""
    server.gui.configure_theme(
        dark_mode=True, show_logo=False, show_share_button=False, brand_color=(64, 110, 190)
    )
    wide, narrow = _around(task, _WIDE), _around(task, _NARROW)
    server.initial_camera.position, server.initial_camera.look_at = wide

    @server.on_client_connect
    def _(client: viser.ClientHandle) -> None:
        if client.camera.image_width < _NARROW_WIDTH:
            client.camera.position, client.camera.look_at = narrow

    furnish(server.scene, task, heights)
    server.gui.add_html(style(__package__, "markup.css") + _PHONE)


def _around(task: TaskConfig, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) points from the middle of the workspace, in the base frame [m]."""
    return np.asarray((np.array(task.workspace.low) + task.workspace.high) / 2 + points)


def _replace(handle: viser.GuiImageHandle, image: ImageArray, last: ImageArray | None) -> None:
    if last is None or not _same(image, last):
        handle.image = image


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one is other or np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _q_plot(gui: viser.GuiApi, max_steps: int) -> viser.GuiUplotHandle:
    """Over the whole of an episode: where an axis grows, viser may keep an earlier one's end."""
    return gui.add_uplot(
        tuple(np.zeros(0) for _ in range(4)),
        (
            uplot.Series(label="step"),
            uplot.Series(label="least", stroke="#5a6472", points=NO_POINTS),
            uplot.Series(label="greatest", stroke="#5a6472", points=NO_POINTS),
            uplot.Series(label="chosen", stroke="#fde725", width=2),
        ),
        bands=(uplot.Band(series=(2, 1), fill="rgba(90,100,114,0.25)"),),
        scales={"x": uplot.Scale(time=False, range=(0, max_steps))},
        axes=_AXES,
        title="Q over the episode",
        height=150,
        visible=False,
    )


def _known(rows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """(n, series), the first being x: without those that hold no other number."""
    return np.asarray(rows[np.isfinite(rows[:, 1:]).any(axis=1)])
