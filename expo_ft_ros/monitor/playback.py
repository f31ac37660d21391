# SPDX-License-Identifier: Apache-2.0
"""Plays recorded episodes in the console, in a thread of its own: one at a time is in memory."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import viser
from starlette.websockets import WebSocket

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.episode_list import EpisodeList, row
from expo_ft_ros.monitor.episodes_page import FRAME
from expo_ft_ros.monitor.feed import Feed
from expo_ft_ros.monitor.markup import q_html, recorded_html, reply_html
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.recording import recorded_view
from expo_ft_ros.monitor.scene3d import Scene
from expo_ft_ros.monitor.timeline import driver_name, legend_html, timeline_svg
from expo_ft_ros.recording.episode_store import DISCARD, DISCARDED, LABELS, RESTORE
from expo_ft_ros.recording.recorded_episode import RecordedEpisode, read_recorded
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.reward import Classifier

_LOOK = 2.0  # for new files [s]
_FILES = 8  # are read at a time, so that what is asked for meanwhile isn't held up
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 80)
_log = logging.getLogger(__name__)


class Said(Protocol):
    """What came of an operator's word."""

    @property
    def path(self) -> Path:
        """Where the episode's file lies now."""

    @property
    def words(self) -> str:
        """The answer."""


@dataclass(frozen=True)
class Recordings:
    """A run's recorded episodes.

    Attributes:
        folder: Of the files, which may still be missing.
        words: What an operator can say of an episode, by its number; each raises ValueError with
            the reason where it may not be said. Of `LABELS`, DISCARD and RESTORE.
    """

    folder: Path
    words: Mapping[str, Callable[[int], Said]] = field(default_factory=dict)


class _Played(NamedTuple):
    """The episode that is played. file: its name in the list."""

    file: str
    recorded: RecordedEpisode


class Player:
    """A tab of its own; while an episode is chosen the scene shows that one, and it is said so.

    Every browser sees the same, and each may choose and play.
    """

    def __init__(
        self,
        server: viser.ViserServer,
        tabs: viser.GuiTabGroupHandle,
        task: TaskConfig,
        limits: RobotLimits,
        recordings: Recordings,
        classifier: Classifier,
        live: Scene | None = None,
    ) -> None:
        """Adds the tab.

        Args:
            server: Whose scene shows the episode.
            tabs: Which get one more.
            task: What is done.
            limits: What an action of 1 means.
            recordings: Of the run.
            classifier: As of `recorded_view`.
            live: What happens now, hidden meanwhile; None: nothing.
        """
        self._limits, self._words, self._classifier = limits, recordings.words, classifier
        self._server, self._task, self._live = server, task, live
        self._scene = Scene(server.scene, "/recorded", visible=False)
        low, high = np.array(task.workspace.low), np.array(task.workspace.high)
        self._label = server.scene.add_label(
            "/recorded/title", "", position=np.array([*(low + high)[:2] / 2, high[2] + 0.1])
        )
        gui = server.gui
        # On top of all tabs, and for every browser: the scene is not what happens now.
        self._notice = gui.add_html("", visible=False, order=-2)
        self._to_live = gui.add_button("live", visible=False, order=-1, hint="Ends the recording")
        self._to_live.on_click(lambda _: self._heard({"open": ""}))
        with tabs.add_tab("Recorded"):
            gui.add_html(FRAME)
        self._list = EpisodeList(recordings.folder)
        self.cameras: Mapping[str, Camera] = {}
        """What is known of them now, by the names of views."""
        self._played: _Played | None = None
        self._step, self._drawn, self._playing = 0, -1, False
        self._feed = Feed(self._heard)
        self._asked: deque[Mapping[str, Any]] = deque()
        self._changed, self._closing = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="playback", daemon=True)
        self._thread.start()

    async def talk(self, page: WebSocket) -> None:
        """Serves one page of `episodes_page`."""
        await self._feed.talk(page)

    def close(self) -> None:
        """Ends the thread."""
        self._closing = True
        self._wake()
        self._thread.join(timeout=5.0)

    # -- in any thread --------------------------------------------------------------------------
    def _heard(self, said: Mapping[str, Any]) -> None:
        self._asked.append(said)
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    # -- in the thread --------------------------------------------------------------------------
    def _run(self) -> None:
        looked, due = 0.0, 0.0
        while not self._closing:
            left = 0
            try:
                while self._asked:
                    said = self._asked.popleft()
                    # A page that was just opened says nothing else.
                    looked = looked if said else 0.0
                    self._obey(said)
                now = time.monotonic()
                if now - looked >= _LOOK:
                    left = self._look()
                    looked = 0.0 if left else now
                if self._playing and now >= due:
                    due = now + self._task.period
                    self._advance()
                self._draw()
            except Exception as error:  # noqa: BLE001 (shown on the page)
                _log.exception("console: the recording can't be shown")
                self._show(None)
                self._reply(str(error), failed=True)
            with self._changed:
                if not self._closing and not self._asked and not left:
                    pause = max(0.0, due - time.monotonic()) if self._playing else _LOOK
                    self._changed.wait(pause)

    def _look(self) -> int:
        """Looks for new files, and gives how many are still to be read. Where nobody looks at the
        page, nothing is read, and the next one sees what happens then."""
        if self._played is not None and not self._feed.watched and not self._server.get_clients():
            self._show(None)
        if not self._feed.watched:
            return 0
        news, left = self._list.refresh(_FILES)
        if news:
            period = self._task.period
            self._feed.tell(rows=[row(each, period) for each in self._list.episodes], reading=left)
        return left

    def _obey(self, said: Mapping[str, Any]) -> None:
        """Does what a page asks for; what means nothing is left out."""
        match said:
            case {"open": str(file)}:
                self._open(file)
            case {"step": int(step)} if self._played is not None:
                self._step = min(max(0, step), len(self._played.recorded.episode))
            case {"play": bool(playing)} if self._played is not None:
                ended = self._step >= len(self._played.recorded.episode)
                self._step = 0 if playing and ended else self._step
                self._play(playing)
            case {"word": str(name), "file": str(file)} if name in self._words:
                self._say(name, file)
            case _:
                pass

    def _advance(self) -> None:
        if self._played is not None and self._step < len(self._played.recorded.episode):
            self._step += 1
        else:
            self._play(False)

    def _play(self, playing: bool) -> None:
        self._playing = playing
        self._feed.tell(playing=playing)

    def _open(self, file: str, step: int = 0) -> None:
        """Lets go of one episode before it reads the next. file: "" for none."""
        self._show(None)
        path = self._list.path(file)
        self._reply(f"reading {file} ..." if path else "")
        if path is None:
            return
        try:
            recorded = read_recorded(path)
        except (OSError, ValueError) as error:
            self._reply(str(error), failed=True)
            return
        self._reply("")
        self._step = min(step, len(recorded.episode))
        self._show(_Played(file, recorded))

    def _say(self, name: str, file: str) -> None:
        """Passes an operator's word on, and shows what came of it."""
        number, _, aside = file.partition(".")
        if name not in _words_on(file) or not number.isdecimal():
            self._reply(f"{file}: set aside as {aside}, nothing is learned from it", failed=True)
            return
        try:
            done = self._words[name](int(number))
        except (OSError, ValueError) as error:
            self._reply(str(error), failed=True)
            return
        # At once, also what has changed just now.
        self._look()
        if self._played is not None and self._played.file == file:
            self._open(done.path.stem, self._step)
        self._reply(done.words)

    def _reply(self, words: str, *, failed: bool = False) -> None:
        self._feed.tell(reply=reply_html(words, failed=failed) if words else "")

    def _show(self, played: _Played | None) -> None:
        """What is shown from now on; None: what happens now."""
        self._played, self._drawn = played, -1
        self._play(False)
        if played is not None:
            title = _title(played.file)
            self._label.text = f"recorded: {title}"
            self._notice.content = recorded_html(title)
        with self._server.atomic():
            self._scene.visible = played is not None
            if self._live is not None:
                self._live.visible = played is None
                self._notice.visible = self._to_live.visible = played is not None
        self._feed.tell(episode=self._described(played), **({} if played else {"frame": None}))

    def _described(self, played: _Played | None) -> dict[str, Any] | None:
        if played is None:
            return None
        words = [name for name in _words_on(played.file) if name in self._words]
        return {
            "file": played.file,
            "title": _title(played.file),
            "summary": played.recorded.summary,
            "words": words,
            "note": "" if words or not self._words else "it was set aside, and stays as it is",
            "steps": len(played.recorded.episode),
            "period": self._task.period,
            "timeline": timeline_svg(played.recorded),
            "legend": legend_html(played.recorded),
        }

    def _draw(self) -> None:
        if self._played is None or self._drawn == self._step:
            return
        self._drawn = self._step
        recorded = self._played.recorded
        view = recorded_view(
            recorded, self._step, self._limits, self._task, self._classifier, self.cameras
        )
        with self._server.atomic():
            self._scene.show(view)
        self._feed.tell(
            frame={
                "step": self._step,
                "driver": driver_name(view.driver),
                "images": [_address(image) for image in view.images.values()],
                "q": q_html(view, "Q then"),
            }
        )


def _words_on(file: str) -> tuple[str, ...]:
    """What can be said of a file: a number alone names another one than that which was set
    aside."""
    _, _, aside = file.partition(".")
    if not aside:
        return (*LABELS, DISCARD)
    return (RESTORE,) if aside.startswith(DISCARDED) else ()


def _title(file: str) -> str:
    number, _, aside = file.partition(".")
    return f"{int(number)}{aside and ', '}{aside}"


def _address(image: ImageArray) -> str:
    """(h, w, 3) RGB as a data: address."""
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), _JPEG)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
