# SPDX-License-Identifier: Apache-2.0
"""The only door to the console: pages and websockets, for those who may press its buttons."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from expo_ft_ros.monitor.asgi_server import AsgiServer, messages
from expo_ft_ros.monitor.gate import Gate, address

Talk = Callable[[WebSocket], Awaitable[None]]
"""Serves one websocket, which is accepted, until it closes."""

_CLOSES_WITHIN = 1.0  # a peer that left without a word isn't waited for longer [s]
# Pages are all there is: their own scripts run, nothing that somebody smuggles into them, and
# nothing is sent anywhere else. In a frame is viser, with its WebAssembly and workers.
_OUTER = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; connect-src 'self'; "
    "img-src blob:; frame-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
)
_INNER = (
    "default-src 'self' data: blob:; style-src 'unsafe-inline'; "
    "script-src {scripts} 'strict-dynamic' blob: 'unsafe-eval'; "
    "frame-ancestors 'self'; form-action 'none'; base-uri 'none'"
)
_SCRIPT = re.compile(rb"<script[^>]*>(.*?)</script>", re.DOTALL)


class AuthProxy(AsgiServer):
    """Serves pages, and websockets by way of `talks`, to those whom a `Gate` lets in."""

    def __init__(
        self,
        pages: Mapping[str, bytes],
        talks: Mapping[str, Talk],
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
    ) -> None:
        """Listens at once.

        Args:
            pages: Path -> HTML, "/" being the one that may show the others in a frame.
            talks: Path -> what serves its websockets.
            host: As of `Gate`, as is token.
            port: As of `AsgiServer`.
            token: What opens it.

        Raises:
            ConfigError: As both.
        """
        self._token = token
        router = Router(
            [
                *(
                    Route(path, _response(path, page), methods=["GET"])
                    for path, page in pages.items()
                ),
                *(WebSocketRoute(path, _accepted(talk)) for path, talk in talks.items()),
                Route("/favicon.ico", Response(status_code=204)),
            ],
            redirect_slashes=False,
            default=Response(status_code=404),
        )
        super().__init__(Gate(router, host, token), host, port)

    @property
    def url(self) -> str:
        """What to open in a browser: it holds the token, so show it once and log it nowhere."""
        return address(self.host, self.port) + (f"?token={self._token}" if self._token else "")


def passed_on(address: str) -> Talk:
    """Passes what is said on to a server, and back. address: ws:// of it."""

    async def bridge(outside: WebSocket) -> None:
        async with connect(
            address,
            subprotocols=[Subprotocol(name) for name in outside.scope["subprotocols"][:1]] or None,
            compression=None,
            max_size=None,
            proxy=None,
            close_timeout=_CLOSES_WITHIN,
        ) as inside:
            await asyncio.gather(_inwards(outside, inside), _outwards(inside, outside))

    return bridge


async def _inwards(outside: WebSocket, inside: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in messages(outside):
            await inside.send(message)
    await inside.close()


async def _outwards(inside: ClientConnection, outside: WebSocket) -> None:
    with contextlib.suppress(ConnectionClosed, WebSocketDisconnect):
        async for message in inside:
            said = "text" if isinstance(message, str) else "bytes"
            await outside.send({"type": "websocket.send", said: message})
        await outside.close()


def _accepted(talk: Talk) -> Talk:
    async def serve(page: WebSocket) -> None:
        await page.accept(next(iter(page.scope["subprotocols"]), None))
        await talk(page)

    return serve


def _response(path: str, page: bytes) -> Response:
    policy = _OUTER if path == "/" else _INNER
    headers = {
        "Content-Encoding": "gzip",
        "Content-Security-Policy": policy.format(scripts=script_hashes(page)),
    }
    return HTMLResponse(gzip.compress(page), headers=headers)


def script_hashes(page: bytes) -> str:
    """Of the scripts in a page, as a Content-Security-Policy names them."""
    digests = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(page))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
