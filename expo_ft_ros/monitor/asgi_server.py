# SPDX-License-Identifier: Apache-2.0
"""Serves an ASGI application over HTTP and websockets, in a thread of its own, by uvicorn."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol

from expo_ft_ros.configuration import ConfigError

PATIENCE = 10.0
"""For a request, from the connection on [s]."""

MESSAGE_BYTES = 2**20
"""Of what a page sends at most."""

_PORTS = 65535
_CLOSES_WITHIN = 1  # a peer that left without a word isn't waited for longer [s]


class AsgiServer:
    """Open once it is made. What goes over it isn't encrypted."""

    def __init__(
        self,
        app: ASGIApp,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        message_bytes: int = MESSAGE_BYTES,
        whose: str = "console",
    ) -> None:
        """host: with or without brackets; port: 0 for any that is free; message_bytes: of what a
        peer sends at most; whose: what errors begin with.

        Raises ConfigError for a port that is taken or none, and a host that can't be bound.
        """
        self.host = host.strip("[]")
        self._socket = _bound(self.host, port, whose)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=_PatientProtocol,
            ws="websockets-sansio",
            ws_max_size=message_bytes,
            ws_per_message_deflate=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            # Requests, which may hold the token, are in its log.
            access_log=False,
            log_config=None,
            log_level=logging.CRITICAL + 1,
            timeout_graceful_shutdown=_CLOSES_WITHIN,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve([self._socket])), name="gate", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Ends every connection; nothing where it is closed already."""
        self._server.should_exit = True
        self._thread.join(timeout=5.0)


class _PatientProtocol(H11Protocol):
    """Closes a connection that doesn't come to its request; uvicorn waits for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(PATIENCE, self._require_request)

    def _require_request(self) -> None:
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.abort()


async def messages(page: WebSocket) -> AsyncIterator[str | bytes]:
    """What a page says, until it goes."""
    while (message := await page.receive())["type"] == "websocket.receive":
        text = message.get("text")
        yield message["bytes"] if text is None else text


def _bound(host: str, port: int, whose: str) -> socket.socket:
    if not 0 <= port <= _PORTS:
        raise ConfigError(f"{whose}: port: {port} is none (give one from 1 to {_PORTS})")
    try:
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(found[0][4][:2], family=found[0][0])
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"{whose}: port: {host}:{port} is taken (end what has it, or take another port)"
            ) from None
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{whose}: host: {host}:{port} can't be bound: {why} (take 127.0.0.1, or an address of "
            "this machine)"
        ) from None
