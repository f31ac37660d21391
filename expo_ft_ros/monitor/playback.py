# SPDX-License-Identifier: Apache-2.0
"""Plays recorded episodes in the console, in a thread of its own: one at a time is in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import viser

from expo_ft_ros.monitor.markup import q_html, recorded_html, reply_html
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.recording import recorded_view
from expo_ft_ros.monitor.scene3d import Scene
from expo_ft_ros.recording.recorded_episode import RecordedEpisode, read_recorded
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig

LIVE = "none: what happens now"
"""Instead of an episode."""

_LOOK = 2.0  # for new files [s]
_log = logging.getLogger(__name__)


class Player:
    """A tab of its own; while an episode is chosen the scene shows that one, and it is said so."""

    def __init__(
        self,
        server: viser.ViserServer,
        tabs: viser.GuiTabGroupHandle,
        task: TaskConfig,
        limits: RobotLimits,
        episodes: Path,
        live: Scene,
    ) -> None:
        """tabs: which get one more; episodes: folder of recordings, which may still be missing;
        live: hidden meanwhile."""
        self._limits = limits
        self._server, self._task, self._folder, self._live = server, task, episodes, live
        self._scene = Scene(server.scene, "/recorded", visible=False)
        low, high = np.array(task.workspace.low), np.array(task.workspace.high)
        self._label = server.scene.add_label(
            "/recorded/title", "", position=np.array([*(low + high)[:2] / 2, high[2] + 0.1])
        )
        gui = server.gui
        # On top of all tabs, and for every browser: the scene is not what happens now.
        self._notice = gui.add_html("", visible=False, order=-2)
        self._to_live = gui.add_button("live", visible=False, order=-1, hint="Ends the recording")
        with tabs.add_tab("Recorded"):
            self._chosen: Any = gui.add_dropdown("episode", (LIVE,))
            self._words = gui.add_html("")
            self._image = gui.add_image(np.zeros((8, 16, 3), np.uint8), visible=False)
            self._step: Any = gui.add_slider("step", 0, 1, 1, 0, visible=False)
            self._playing: Any = gui.add_checkbox("play", False, visible=False)
            self._q = gui.add_html("", visible=False)
        self.cameras: Mapping[str, Camera] = {}
        """What is known of them now, by the names of views."""
        self._recorded: RecordedEpisode | None = None
        self._shown: tuple[str, int] = (LIVE, 0)
        self._changed, self._closing = threading.Condition(), False
        for control in (self._chosen, self._step, self._playing):
            control.on_update(self._wake)
        self._to_live.on_click(self._go_live)
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closing = True
        self._wake()
        self._thread.join(timeout=5.0)

    def _wake(self, _: object = None) -> None:
        with self._changed:
            self._changed.notify()

    def _go_live(self, _: object) -> None:
        self._chosen.value = LIVE
        self._wake()

    def _run(self) -> None:
        while not self._closing:
            try:
                self._advance()
            except Exception as error:  # noqa: BLE001 (shown on the page)
                _log.exception("console: the recording can't be shown")
                self._recorded, self._shown = None, self._wanted
                self._words.content = reply_html(str(error), failed=True)
            with self._changed:
                if not self._closing and self._wanted == self._shown:
                    self._changed.wait(self._task.period if self._playing.value else _LOOK)

    @property
    def _wanted(self) -> tuple[str, int]:
        return self._chosen.value, int(self._step.value)

    def _advance(self) -> None:
        """One round: looks for files, loads what is chosen, shows the step that is wanted. Where
        nobody looks any more, the next one sees what happens then."""
        if self._chosen.value != LIVE and not self._server.get_clients():
            self._chosen.value = LIVE
        files = episode_files(self._folder)
        if tuple(files) != self._chosen.options[1:]:
            self._chosen.options = (LIVE, *files)
        title, step = self._wanted
        if title != self._shown[0]:
            self._open(title, files.get(title))
        elif self._recorded is not None and self._playing.value and step == self._shown[1]:
            # After its end it begins anew.
            self._step.value = (step + 1) % (len(self._recorded.episode) + 1)
        self._shown = (title, int(self._step.value))
        if self._recorded is not None:
            self._draw(self._recorded, self._shown[1])

    def _open(self, title: str, path: Path | None) -> None:
        """Lets go of one episode before it reads the next."""
        self._recorded, self._shown = None, (title, 0)
        self._show_controls(False)
        self._words.content = reply_html(f"reading {title} ..." if path else "")
        if path is None:
            return
        try:
            recorded = read_recorded(path)
        except ValueError as error:
            self._words.content = reply_html(str(error), failed=True)
            return
        self._words.content = reply_html(recorded.summary)
        self._label.text = f"recorded: {title}"
        self._notice.content = recorded_html(title)
        self._step.max, self._step.value = len(recorded.episode), 0
        self._playing.value = False
        self._recorded = recorded
        self._show_controls(True)

    def _show_controls(self, shown: bool) -> None:
        with self._server.atomic():
            shown_with_it = (self._image, self._step, self._playing, self._q)
            for control in (self._notice, self._to_live, *shown_with_it):
                control.visible = shown
            self._scene.visible, self._live.visible = shown, not shown

    def _draw(self, recorded: RecordedEpisode, step: int) -> None:
        view = recorded_view(recorded, step, self._limits, self._task, self.cameras)
        with self._server.atomic():
            self._scene.show(view)
            self._image.image = np.hstack(list(view.images.values()))
            self._q.content = q_html(view, "Q then")


def episode_files(directory: Path) -> dict[str, Path]:
    """Title -> file of every episode of a folder, the newest first; also of those set aside."""
    files = sorted(directory.glob("[0-9]*.mcap"), reverse=True)
    titles = (path.name.removesuffix(".mcap").partition(".") for path in files)
    return {
        f"{number}{why and ', '}{why}": path
        for (number, _, why), path in zip(titles, files, strict=True)
    }
