# SPDX-License-Identifier: Apache-2.0
"""The cameras' images for a page that has no room for the scene: the newest of each, as JPEG."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import cv2
from starlette.websockets import WebSocket, WebSocketDisconnect

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.monitor.asgi_server import messages

_QUALITY = 80


class CameraStream:
    """Each message is a view's number, one byte, and its image as JPEG.

    A page that is slow gets fewer of them: what it hasn't been sent when the next ones come is left
    out.
    """

    def __init__(self, view_names: Sequence[str]) -> None:
        """view_names: of the robot; a view's number is its place among them."""
        self._names = tuple(view_names)
        self._frames: dict[int, bytes] = {}
        self._shown: dict[str, ImageArray] = {}
        self._news: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def watched(self) -> bool:
        """Whether a page looks."""
        return bool(self._news)

    def show(self, images: Mapping[str, ImageArray]) -> None:
        """Sends those that are new to every page. images: name -> (h, w, 3) RGB. From one thread;
        it waits for nobody."""
        loop = self._loop
        if not self._news or loop is None:
            return
        frames = {
            number: _jpeg(number, images[name])
            for number, name in enumerate(self._names)
            if name in images and self._shown.get(name) is not images[name]
        }
        self._shown = dict(images)
        # A loop that is closed has no pages any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._tell, frames)

    async def talk(self, page: WebSocket) -> None:
        """Serves one page until it goes."""
        self._loop = asyncio.get_running_loop()
        news = asyncio.Event()
        news.set()
        gone = asyncio.ensure_future(_leave(page))
        self._news.add(news)
        try:
            with contextlib.suppress(WebSocketDisconnect):
                await self._send(page, news, gone)
        finally:
            self._news.discard(news)
            gone.cancel()
            if not self._news:
                self._frames, self._shown = {}, {}  # Old ones by the time that somebody looks.

    async def _send(self, page: WebSocket, news: asyncio.Event, gone: asyncio.Future[None]) -> None:
        sent: dict[int, bytes] = {}
        while not gone.done():
            waits = asyncio.ensure_future(news.wait())
            await asyncio.wait((waits, gone), return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
            news.clear()
            for number, frame in list(self._frames.items()):
                if sent.get(number) is not frame:
                    await page.send_bytes(frame)
                    sent[number] = frame

    def _tell(self, frames: Mapping[int, bytes]) -> None:
        self._frames |= frames
        for news in self._news:
            news.set()


async def _leave(page: WebSocket) -> None:
    """Waits until it goes; what it says is left out."""
    async for _ in messages(page):
        pass


def _jpeg(number: int, image: ImageArray) -> bytes:
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes([number]) + encoded.tobytes()
