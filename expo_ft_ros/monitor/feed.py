# SPDX-License-Identifier: Apache-2.0
"""Tells every page that is open the same, and hears what each of them asks for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from expo_ft_ros.monitor.asgi_server import messages


class Feed:
    """Named values, the newest of each. A page whose connection is slow misses those that are
    overtaken by newer ones; the last it gets."""

    def __init__(self, heard: Callable[[Mapping[str, Any]], None]) -> None:
        """heard: gets each object that a page sends, in the thread of the connections; what is
        none is left out."""
        self._heard = heard
        self._told: dict[str, Any] = {}
        self._changing = threading.Lock()
        self._pages: dict[WebSocket, _Pending] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._pages)

    def tell(self, **what: Any) -> None:
        """New values, each of plain JSON. From any thread; it waits for nobody."""
        with self._changing:
            self._told |= what
            loop = self._loop
        if loop is not None:
            # A loop that is closed has no pages any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._pass_on, what)

    def flush(self, within: float) -> None:
        """Waits until every page that is open has been told; for so long at most [s]. Not from the
        thread of the connections."""
        if self._loop is not None:
            with contextlib.suppress(TimeoutError, RuntimeError):
                asyncio.run_coroutine_threadsafe(self._flushed(), self._loop).result(within)

    async def _flushed(self) -> None:
        await asyncio.gather(*(pending.told.wait() for pending in self._pages.values()))

    async def talk(self, page: WebSocket) -> None:
        """Serves one page until it goes."""
        with self._changing:
            self._loop = asyncio.get_running_loop()
            pending = self._pages[page] = _Pending(dict(self._told))
        sending = asyncio.create_task(_send(page, pending))
        try:
            async for text in messages(page):
                with contextlib.suppress(ValueError, RecursionError):
                    said = json.loads(text)
                    if isinstance(said, dict):
                        self._heard(said)
        finally:
            del self._pages[page]
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _pass_on(self, what: Mapping[str, Any]) -> None:
        for pending in self._pages.values():
            pending.add(what)


class _Pending:
    """What a page is still to be told. told: set while that is nothing."""

    def __init__(self, what: dict[str, Any]) -> None:
        self._what, self._any, self.told = what, asyncio.Event(), asyncio.Event()
        self._any.set()

    def add(self, what: Mapping[str, Any]) -> None:
        self._what |= what
        self.told.clear()
        self._any.set()

    async def take(self) -> dict[str, Any]:
        if not self._any.is_set():
            self.told.set()
        await self._any.wait()
        self._any.clear()
        taken, self._what = self._what, {}
        return taken


async def _send(page: WebSocket, pending: _Pending) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await page.send_text(json.dumps(await pending.take()))
