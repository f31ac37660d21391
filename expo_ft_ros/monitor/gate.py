# SPDX-License-Identifier: Apache-2.0
"""Who may come in: for an application whose pages press buttons."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import socket

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from expo_ft_ros.configuration import ConfigError

_log = logging.getLogger(__name__)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_ASKING = ("GET", "HEAD")
_SECURITY = {
    "Cache-Control": "no-store",
    # One request a connection, so that one that is silent is known to have none.
    "Connection": "close",
    # Under no-referrer a browser would not name the page that sends a form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_WORDS = "This page opens for those who have its token: add ?token=... to the address.\n"


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


def cookie(port: int, token: str) -> str:
    """Lets a browser in at a port: it sends one machine's cookies to all of its ports."""
    return f"{_cookie_name(port)}={token}; HttpOnly; SameSite=Strict; Path=/"


class Gate:
    """Passes on to an application what may come in.

    What changes something, and a websocket, must come from one of the pages (Origin). Without a
    token a request must also be addressed to this machine by a local name, or a page under a name
    of its own that resolves to this machine would pass for it. With one, /?token=... answers with a
    cookie that all else needs.
    """

    def __init__(self, app: ASGIApp, host: str, token: str = "") -> None:
        """host: that is listened on; token: what opens it, "" for nothing.

        Raises ConfigError for a host that others can reach without a token, and a token that is
        none.
        """
        self._app, self._token = app, checked_token(token)
        if not self._token and not is_local(host):
            raise ConfigError(
                f"console: host: {host} would let everybody on that network press the buttons "
                "(give it a token)"
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request or a websocket."""

        async def secured(message: Message) -> None:
            if message["type"].endswith("response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._answer(HTTPConnection(scope)) or self._app
        try:
            await app(scope, receive, secured)
        except Exception:
            _log.exception("%s ended", scope["path"])
            raise

    def _answer(self, asked: HTTPConnection) -> Response | None:
        """None lets it in."""
        method, path, port = (
            asked.scope.get("method"),
            asked.scope["path"],
            asked.scope["server"][1],
        )
        given = asked.query_params.get("token", "")
        if method in _ASKING and path == "/" and self._token and self._is_token(given):
            return Response(
                status_code=303, headers={"Location": "/", "Set-Cookie": cookie(port, self._token)}
            )
        if self._may_enter(asked, port) and (method in _ASKING or _from_a_page(asked)):
            return None
        return PlainTextResponse(_WORDS, 403)

    def _may_enter(self, asked: HTTPConnection, port: int) -> bool:
        if self._token:
            return self._is_token(asked.cookies.get(_cookie_name(port), ""))
        return is_local(asked.url.hostname or "")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _from_a_page(asked: HTTPConnection) -> bool:
    """A browser names the page that asks; a program, which may lie, needn't."""
    host = asked.headers.get("Host")
    return asked.headers.get("Origin") in (None, f"http://{host}", f"https://{host}")


def _cookie_name(port: int) -> str:
    return f"expo_ft_console_{port}"
