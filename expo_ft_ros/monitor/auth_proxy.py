# SPDX-License-Identifier: Apache-2.0
"""The only door to the console: pages and websockets, for those who may press its buttons."""

from __future__ import annotations

import asyncio
import base64
import errno
import gzip
import hashlib
import hmac
import ipaddress
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from expo_ft_ros.configuration import ConfigError

Talk = Callable[[ServerConnection], Awaitable[None]]
"""Serves one websocket, until it closes."""

_CLOSES_WITHIN = 1.0  # a peer that left without a word isn't waited for longer [s]
_log = logging.getLogger(__name__)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_SECURITY = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
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
_WORDS = "The console lets in who has its token: add ?token=... to the address.\n"


def checked_token(token: str) -> str:
    """The token itself; "" for none.

    Raises:
        ConfigError: for one that could be guessed, or that no address can hold.
    """
    if token and not _TOKEN.fullmatch(token):
        raise ConfigError(
            "console: token: not 16 to 128 of the letters A-Z a-z 0-9 - _ (secrets.token_urlsafe() "
            "of Python makes one)"
        )
    return token


def is_local(host: str) -> bool:
    """Whether an address or name is this machine's own, which nobody else can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def address(host: str, port: int) -> str:
    """Of what listens on a host and a port, for a browser; host: with or without brackets."""
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host.strip("[]")
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


class AuthProxy:
    """Serves pages, and websockets by way of `talks`, in a thread of its own.

    A request must come from one of the pages (Origin). Without a token it must also be addressed to
    this machine by a local name, or a page under a name of its own that resolves to this machine
    would pass for it. With one, /?token=... answers with a cookie that pages and websockets need.
    What goes over it isn't encrypted.
    """

    def __init__(
        self,
        pages: Mapping[str, bytes],
        talks: Mapping[str, Talk],
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
    ) -> None:
        """A gate that is open.

        pages: path -> HTML, "/" being the one that may show the others in a frame; talks: path ->
        who serves its websockets; port: 0 for any that is free; token: what opens it, "" for
        nothing.
        Raises ConfigError for a port that is taken, a host that can't be bound, one that others can
        reach without a token, and a token that is none.
        """
        self._talks = talks
        self._pages = {path: gzip.compress(page) for path, page in pages.items()}
        self._html = {path: _headers(path, page) for path, page in pages.items()}
        self.host, self.port, self._token = host.strip("[]"), port, checked_token(token)
        if not self._token and not is_local(host):
            raise ConfigError(
                f"console: host: {host} would let everybody on that network press the buttons "
                "(give it a token)"
            )
        self._opened = threading.Event()
        self._error: ConfigError | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="gate", daemon=True
        )
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise self._error

    @property
    def url(self) -> str:
        """What to open in a browser: it holds the token, so show it once and log it nowhere."""
        return address(self.host, self.port) + (f"?token={self._token}" if self._token else "")

    def close(self) -> None:
        """Ends every connection; nothing where it is closed already."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(timeout=5.0)

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        # Requests, which may hold the token, are in its debug log.
        quiet = logging.getLogger(f"{__name__}.requests")
        quiet.setLevel(logging.CRITICAL + 1)
        try:
            async with serve(
                self._serve_one,
                self.host,
                self.port,
                process_request=self._answer,
                select_subprotocol=lambda _, offered: next(iter(offered), None),
                compression=None,
                close_timeout=_CLOSES_WITHIN,
                logger=quiet,
            ) as server:
                self.port = next(iter(server.sockets)).getsockname()[1]
                self._opened.set()
                await self._closing.wait()
        except (OSError, UnicodeError) as error:
            self._error = self._unopened(error)
        finally:
            self._opened.set()

    def _unopened(self, error: OSError | UnicodeError) -> ConfigError:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return ConfigError(
                f"console: port: {self.host}:{self.port} is taken (end what has it, or take "
                "another port)"
            )
        why = getattr(error, "strerror", None) or str(error)
        return ConfigError(
            f"console: host: {self.host}:{self.port} can't be bound: {why} (take 127.0.0.1, or an "
            "address of this machine)"
        )

    # -- who may come in ------------------------------------------------------------------------
    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        """None lets a websocket in."""
        url = urlsplit(request.path)
        given = parse_qs(url.query).get("token", [""])[0]
        if request.headers.get("Upgrade", "").lower() == "websocket":
            allowed = self._may_enter(request) and self._from_the_page(request)
            if allowed and url.path not in self._talks:
                return _reply(HTTPStatus.NOT_FOUND)
            return None if allowed else _reply(HTTPStatus.FORBIDDEN, _WORDS.encode())
        if url.path == "/" and self._token and self._is_token(given):
            cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            return _reply(HTTPStatus.SEE_OTHER, Location="/", Set_Cookie=cookie)
        if not self._may_enter(request):
            return _reply(HTTPStatus.FORBIDDEN, _WORDS.encode())
        if url.path in self._pages:
            return _reply(HTTPStatus.OK, self._pages[url.path], **self._html[url.path])
        found_nothing = url.path != "/favicon.ico"
        return _reply(HTTPStatus.NOT_FOUND if found_nothing else HTTPStatus.NO_CONTENT)

    def _may_enter(self, request: Request) -> bool:
        if not self._token:
            return is_local(urlsplit(f"//{request.headers.get('Host', '')}").hostname or "")
        cookies = request.headers.get("Cookie", "").split(";")
        pairs = (cookie.strip().partition("=") for cookie in cookies)
        return any(name == self._cookie and self._is_token(value) for name, _, value in pairs)

    @staticmethod
    def _from_the_page(request: Request) -> bool:
        """A browser names the page that opens a websocket; a program, which may lie, needn't."""
        origin = request.headers.get("Origin")
        return origin is None or urlsplit(origin).netloc == request.headers.get("Host")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    @property
    def _cookie(self) -> str:
        """A browser sends one machine's cookies to all of its ports."""
        return f"expo_ft_console_{self.port}"

    # -- what goes through ----------------------------------------------------------------------
    async def _serve_one(self, outside: ServerConnection) -> None:
        path = urlsplit(outside.request.path if outside.request else "").path
        try:
            await self._talks[path](outside)
        except Exception:
            _log.exception("console: %s ended", path)
            raise


def passed_on(address: str) -> Talk:
    """Passes what is said on to a server, and back. address: ws:// of it."""

    async def bridge(outside: ServerConnection) -> None:
        spoken = [Subprotocol(outside.subprotocol)] if outside.subprotocol else None
        async with connect(
            address,
            subprotocols=spoken,
            compression=None,
            max_size=None,
            proxy=None,
            close_timeout=_CLOSES_WITHIN,
        ) as inside:
            await asyncio.gather(_pass(outside, inside), _pass(inside, outside))

    return bridge


def _headers(path: str, page: bytes) -> dict[str, str]:
    policy = _OUTER if path == "/" else _INNER
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Encoding": "gzip",
        "Content-Security-Policy": policy.format(scripts=_hashes(page)),
    }


def _hashes(page: bytes) -> str:
    """Of the scripts in a page, as a Content-Security-Policy names them."""
    digests = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(page))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


async def _pass(source: Connection, sink: Connection) -> None:
    try:
        async for message in source:
            await sink.send(message)
    except ConnectionClosed:
        pass
    await sink.close()


def _reply(status: HTTPStatus, body: bytes = b"", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    length = {"Content-Length": str(len(body))}
    return Response(status.value, status.phrase, Headers({**_SECURITY, **named, **length}), body)
