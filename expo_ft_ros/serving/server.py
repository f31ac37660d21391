# SPDX-License-Identifier: Apache-2.0
"""Serves a policy by openpi's websocket protocol: what openpi's client speaks to.

Each connection is told the policy's metadata, then each observation on it is answered by a dict
with "actions", or by a text that says what is wrong with it; the connection stays open then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.frames import CloseCode

from expo_ft_ros.monitor.asgi_server import AsgiServer, messages
from expo_ft_ros.serving.packing import MAX_BYTES, PackingError, pack, unpack

CLIENTS = 16
"""Connections at a time, each of which may hold a message of `packing.MAX_BYTES`."""

_log = logging.getLogger(__name__)


class BadObservation(ValueError):
    """An observation that the policy can't act on; str() names key, value and remedy."""


Infer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class PolicyServer:
    """Open once it is made; one observation is answered at a time, whichever connection it is of,
    and `CLIENTS` are connected at most.

    GET /healthz answers OK. What goes over it isn't encrypted, and any program that reaches it may
    ask; pages of a browser may not.

    Attributes:
        address: ws://host:port.
    """

    def __init__(
        self,
        infer: Infer,
        metadata: Mapping[str, Any],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Listens.

        Args:
            infer: From an observation to the answer, "actions" (H, A) among it; raises
                BadObservation. Called in threads, never twice at a time.
            metadata: What is told first.
            host: With or without brackets.
            port: 0 for any that is free.

        Raises:
            ConfigError: for a port that is taken, and a host that can't be bound.
        """
        self._infer, self._metadata = infer, pack(dict(metadata))
        self._lock = threading.Lock()
        self._clients = 0
        routes = [Route("/healthz", _healthz), WebSocketRoute("/", self._talk)]
        app = Starlette(routes=routes)
        self._server = AsgiServer(app, host, port, message_bytes=MAX_BYTES, whose="serve")
        name = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        self.address = f"ws://{name}:{self._server.port}"

    def close(self) -> None:
        """Ends every connection."""
        self._server.close()

    async def _talk(self, client: WebSocket) -> None:
        if "origin" in client.headers:
            # Any page that a browser shows could ask a server of its own machine.
            await client.close(CloseCode.POLICY_VIOLATION)
            return
        await client.accept()
        if self._clients >= CLIENTS:
            reason = f"{CLIENTS} clients are connected already"
            await client.close(CloseCode.TRY_AGAIN_LATER, reason)
            return
        self._clients += 1
        try:
            await self._serve(client)
        finally:
            self._clients -= 1

    async def _serve(self, client: WebSocket) -> None:
        total: float | None = None
        try:
            await client.send_bytes(self._metadata)
            async for message in messages(client):
                began = time.monotonic()
                try:
                    answer = await asyncio.to_thread(self._answer, message, total)
                except Exception as error:  # noqa: BLE001 (told to client and log; others go on)
                    _log.exception("the policy has failed on an observation")
                    await client.send_text(f"the policy has failed: {error!r} (see the log)")
                    await client.close(CloseCode.INTERNAL_ERROR)
                    return
                if isinstance(answer, str):
                    await client.send_text(answer)
                else:
                    await client.send_bytes(answer)
                total = time.monotonic() - began
        except WebSocketDisconnect:
            return

    def _answer(self, message: str | bytes, total: float | None) -> bytes | str:
        """The answer's bytes, or what is wrong. total: that the last one took [s]."""
        if isinstance(message, str):
            return "the observation is a text (send it packed by msgpack, as a binary message)"
        try:
            observation = unpack(message)
            if not isinstance(observation, dict):
                raise BadObservation(
                    f"the observation is {type(observation).__name__}, not a dict of key -> value"
                )
            with self._lock:
                began = time.monotonic()
                answer = dict(self._infer(observation))
                timing = {"infer_ms": 1e3 * (time.monotonic() - began)}
            if total is not None:
                timing["prev_total_ms"] = 1e3 * total
            return pack({**answer, "server_timing": timing})
        except PackingError as error:
            return f"the observation: {error}"
        except BadObservation as error:
            return str(error)


async def _healthz(request: Request) -> PlainTextResponse:
    return PlainTextResponse("OK\n")
