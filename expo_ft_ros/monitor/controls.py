# SPDX-License-Identifier: Apache-2.0
"""State and buttons of the console. Their page answers at once, while the scene in the frame below
takes a browser without a GPU seconds to draw."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from starlette.websockets import WebSocket

from expo_ft_ros.control.episode_machine import State
from expo_ft_ros.control.plan import MOTION_OFF
from expo_ft_ros.monitor import markup
from expo_ft_ros.monitor.controls_page import BUTTONS
from expo_ft_ros.monitor.feed import Feed
from expo_ft_ros.monitor.headline import device_lost, headline, is_silent
from expo_ft_ros.monitor.view import View

Action = Callable[[], str]
"""Asks for something and gives the words of the answer. It may take a second; raises where it
failed."""

_OF_AN_EPISODE = ("success", "failure", "reset", "redo")
_MAY_BE_LATE = ("estop", "pause")  # what holds the arm harms nobody
_LATE = 2.5  # after which a press is an old one [s]
_OLD = 10.0  # after which an answer is no news any more [s]
_LAST = 1.0  # for the pages to hear of the run's end [s]
_BEAT = 0.5  # between two signs of life [s]
_log = logging.getLogger(__name__)


class _Seen(NamedTuple):
    """What a page had last heard when its button was pressed, as `controls_page.SOCKET` has it."""

    beat: int
    episode: int
    stop: int


class NotDone(Exception):
    """What a button asked for was not done; the words say why."""


class Controls:
    """Tells every page that is open the same, and does what any of them asks for.

    `episode` is the number of the newest that was heard of: a verdict on another one, which the
    operator saw when pressing, isn't passed on. Nor is what was pressed long ago, but for what
    holds the arm, nor the release of an earlier stop than the newest.
    """

    def __init__(self, actions: Mapping[str, Action]) -> None:
        """Serves nobody yet.

        Args:
            actions: Of each of `BUTTONS`; called in threads, one call of a kind at a time.

        Raises:
            ValueError: Where one is missing.
        """
        missing = sorted(set(BUTTONS) - set(actions))
        if missing:
            raise ValueError(f"console: buttons that do nothing: {', '.join(missing)}")
        self.episode = 0
        self._actions = actions
        self._asking: set[str] = set()
        self._stops = 0
        self._alarmed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(2 * len(BUTTONS), "console")
        self._feed = Feed(self._heard)
        self._shown = said_of(View())
        self._reply = ""
        self._beats = {0: time.monotonic()}
        self._feed.tell(**self._shown, reply="", alarm="", beat=0, stop=0)

    def show(self, view: View) -> None:
        """How things stand; a sign of life as well. From any one thread; it waits for nobody."""
        what = said_of(view)
        news = {key: value for key, value in what.items() if self._shown[key] != value}
        self._shown = what
        if news.get("stopped"):
            self._count_stop()
        if what["stopped"] and self._alarmed:
            # It was obeyed after all, or somebody else's was.
            self._sound_alarm("")
        newest, now = max(self._beats), time.monotonic()
        if now - self._beats[newest] >= _BEAT:
            news["beat"] = newest + 1
            self._beats = {k: at for k, at in self._beats.items() if now - at < _LATE} | {
                newest + 1: now
            }
        if news:
            self._feed.tell(**news)

    def show_last(self, view: View) -> None:
        """How things stand in the end: every page that is open has been told once this returns, or
        was too slow."""
        self._feed.tell(**said_of(view))
        self._feed.flush(_LAST)

    def close(self) -> None:
        """Lets its threads go; after the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def talk(self, page: WebSocket) -> None:
        """Serves one page until it goes; what it says that means nothing is left out."""
        await self._feed.talk(page)

    def _heard(self, said: Mapping[str, Any]) -> None:
        try:
            name = str(said["button"])
            seen = _Seen(int(said["beat"]), int(said["episode"]), int(said["stop"]))
        except (ValueError, TypeError, KeyError, OverflowError):
            return
        if name in BUTTONS:
            # While one answer is awaited another button may be pressed.
            task = asyncio.create_task(self._ask(name, seen))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, name: str, seen: _Seen) -> None:
        """One call of a kind at a time: a press repeated meanwhile has been heard. Each stop
        is passed on."""
        stops = name == "estop"
        if name in self._asking and not stops:
            return
        self._asking.add(name)
        label, failed = BUTTONS[name].label, True
        self._answer(markup.reply_html(f"{label} ..."))
        try:
            self._require_meant(name, seen)
            if stops:
                self._count_stop()
            answer = asyncio.get_running_loop().run_in_executor(self._threads, self._actions[name])
            words, failed = await answer, False
        except NotDone as error:
            words = str(error)
        except Exception as error:  # noqa: BLE001 (told to the operator)
            _log.exception("console: %s failed", name)
            words = f"failed: {error}"
        finally:
            self._asking.discard(name)
        said = f"{time.strftime('%H:%M:%S')} {label}: {words}"
        if stops:
            # What is pressed next doesn't wipe out that a stop has failed.
            self._sound_alarm(markup.alarm_html(said) if failed else "")
        reply = markup.reply_html(said, failed=failed)
        self._answer(reply)
        asyncio.get_running_loop().call_later(_OLD, self._forget, reply)

    def _count_stop(self) -> None:
        self._stops += 1
        self._feed.tell(stop=self._stops)

    def _sound_alarm(self, alarm: str) -> None:
        self._alarmed = bool(alarm)
        self._feed.tell(alarm=alarm)

    def _answer(self, reply: str) -> None:
        self._reply = reply
        self._feed.tell(reply=reply)

    def _forget(self, reply: str) -> None:
        if self._reply == reply:
            self._answer("")

    def _require_meant(self, name: str, seen: _Seen) -> None:
        """Raises NotDone for what came late, on an episode that is no longer the newest, or of a
        stop before the newest."""
        if name in _MAY_BE_LATE:
            return
        if time.monotonic() - self._beats.get(seen.beat, -_LATE) > _LATE:
            raise NotDone("came too late to be meant now: press again")
        if name in _OF_AN_EPISODE and seen.episode != self.episode:
            raise NotDone(
                f"meant for episode {seen.episode}, which is over: press again if you mean it"
            )
        if name == "release" and seen.stop != self._stops:
            raise NotDone("somebody has stopped the arm again meanwhile: press again if it may go")


def said_of(view: View) -> dict[str, Any]:
    """What a view says to the page, as `controls_page.SOCKET` has it."""
    first = headline(view)
    return {
        "state": markup.state_html(view),
        "headline": {
            "words": first.words,
            "more": first.more,
            "tone": first.tone.value,
            "press": first.press,
        },
        "motion": _motion_off() if view.motion_off else "",
        "episode": view.episode.episode,
        "idle": _idle(view),
        "over": bool(view.result) or view.ending,
        "stopped": view.episode.state == State.STOPPED and not (view.result or view.ending),
    }


def _motion_off() -> str:
    words, colon, more = MOTION_OFF.partition(":")
    return words.upper() + colon + more


def _idle(view: View) -> dict[str, str]:
    """The buttons that would do nothing now, with why."""
    episode, state = view.episode, view.episode.state
    if view.result or view.ending:
        return dict.fromkeys(BUTTONS, "the run is over")
    if is_silent(view):
        words = "the control loop is silent"
        return {name: words for name in BUTTONS if name != "estop"}
    # Under a stop it isn't told whether one may still be judged: who asks is answered in words.
    on = state in (State.RUNNING, State.DECIDING, State.PAUSED, State.STOPPED)
    no_episode = "" if on else "no episode runs"
    stopped = "Release comes first" if state == State.STOPPED else ""
    over = "the episode is discarded" if stopped and episode.discarded else no_episode
    collecting = view.session.stage == "collect"
    none_yet = collecting and not view.session.stage_episodes and not episode.steps
    why = {
        "success": over,
        "failure": over,
        "reset": stopped or ("" if episode.asked else no_episode),
        "redo": stopped
        or ("" if collecting else "only in demonstrations")
        or ("no demonstration yet" if none_yet else ""),
        "pause": "it is paused" if episode.paused else "",
        "resume": "" if episode.paused else "nothing is paused",
        "save_checkpoint": "" if view.learning.stage else "nothing learns here",
        "acknowledge": "" if device_lost(view) else "no device was lost",
        "recover": "" if view.fault else "no stop of its own",
        "release": "" if state == State.STOPPED else "nothing is stopped",
    }
    return {name: reason for name, reason in why.items() if reason}
