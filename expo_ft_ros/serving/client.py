# SPDX-License-Identifier: Apache-2.0
"""One connection to a policy server, by openpi's websocket protocol.

The server first sends its metadata; then each request, an observation, is answered by a dict with
"actions" of shape (H, A), or by a text that says what went wrong.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from http import HTTPStatus
from typing import Any

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from expo_ft_ros.serving.packing import MAX_BYTES, PackingError, pack, unpack

_CLOSES_WITHIN = 0.2  # a server that hangs isn't waited for longer [s]
_SHOWN = 400  # characters of a server's error, its end


class PolicyServerError(RuntimeError):
    """A policy server gives no chunk; str() names the address, what happened, and a remedy."""


class ServerLost(PolicyServerError):
    """It can't be reached, has closed the connection, or doesn't answer in time: it may come
    back."""


class ServerGone(PolicyServerError):
    """It was lost for so long that nobody waits for it any more."""


class BadReply(PolicyServerError):
    """It answers, but not with what is asked for: trying again doesn't help."""


class PolicyConnection:
    """An open connection. An answer that comes too late is never taken for the next one's: after
    `ServerLost` the connection is closed.

    Attributes:
        address: ws://host:port.
        metadata: What the server said of itself.
    """

    def __init__(self, address: str, timeout: float) -> None:
        """Connects, and waits for the metadata; both within timeout [s], but for the look-up of a
        name, which is the system's.

        Raises:
            ServerLost: where nobody answers there, or only what stands before a server that isn't
                up.
            BadReply: where something else than a policy server does.
        """
        self.address = address
        until = time.monotonic() + timeout
        try:
            self._connection: ClientConnection = connect(
                address,
                open_timeout=timeout,
                close_timeout=_CLOSES_WITHIN,
                max_size=MAX_BYTES,
                compression=None,
                # A server may compile for a minute and answer no ping meanwhile: requests have
                # time-outs of their own.
                ping_interval=None,
                # The arm's way to its policy goes over no proxy that the environment names.
                proxy=None,
            )
        except TimeoutError as error:
            raise ServerLost(
                f"policy server {address}: no answer within {timeout:g} s (is its machine on, and "
                "the address right?)"
            ) from error
        except (InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            if _is_not_up(error):
                raise ServerLost(
                    f"policy server {address}: it isn't up: {_line(error)} (wait for it, or look "
                    "into its log)"
                ) from error
            raise BadReply(
                f"policy server {address}: something else answers there: {_line(error)} (give the "
                "address of a policy server)"
            ) from error
        except (OSError, EOFError) as error:
            raise ServerLost(
                f"policy server {address}: can't be reached: {_why(error)} (start it there, or "
                "correct the address)"
            ) from error
        try:
            left = max(0.0, until - time.monotonic())
            metadata = self._receive(left, "its metadata", of=timeout)
            if not isinstance(metadata, dict):
                raise BadReply(
                    f"policy server {address}: its metadata is {type(metadata).__name__}, not a "
                    "dict (is it a policy server of openpi's protocol?)"
                )
        except PolicyServerError:
            self.close()
            raise
        self.metadata: dict[Any, Any] = metadata

    def request(self, observation: dict[str, Any], timeout: float) -> dict[Any, Any]:
        """The answer to an observation.

        Args:
            observation: Key -> array, number or text, as the server wants it.
            timeout: For all of it [s].

        Raises:
            ServerLost: for a connection that is closed, or an answer that takes longer.
            BadReply: for an error of the server's, or what is no dict.
        """
        try:
            data = pack(observation)
        except PackingError as error:
            raise BadReply(f"policy server {self.address}: the observation: {error}") from error
        until = time.monotonic() + timeout
        try:
            _limit_sending(self._connection.socket, timeout)
            self._connection.send(data)
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from error
        answer = self._receive(max(0.0, until - time.monotonic()), "an answer", of=timeout)
        if not isinstance(answer, dict):
            raise BadReply(
                f"policy server {self.address}: its answer is {type(answer).__name__}, not a dict "
                "with actions"
            )
        return answer

    def require_open(self) -> None:
        """Looks, without waiting, whether the server has closed it since the last answer.

        Raises:
            ServerLost: where it has.
            BadReply: where it says something that it wasn't asked.
        """
        try:
            self._connection.recv(timeout=0)
        except TimeoutError:
            return
        except (ConnectionClosed, OSError) as error:
            raise self._lost(error) from error
        raise BadReply(
            f"policy server {self.address}: it speaks without being asked (is it a policy server "
            "of openpi's protocol?)"
        )

    def close(self) -> None:
        """Closes it; nothing where it is closed already."""
        with contextlib.suppress(OSError):
            self._connection.close()

    def _receive(self, timeout: float, what: str, *, of: float) -> Any:
        """What comes within timeout, what is left of `of` [s]."""
        try:
            data = self._connection.recv(timeout=timeout)
        except TimeoutError as error:
            self.close()
            raise ServerLost(
                f"policy server {self.address}: {what} didn't come within {of:g} s (a faster "
                "machine or fewer steps there, or a longer time-out in config/policy_servers)"
            ) from error
        except (ConnectionClosed, OSError) as error:
            if _was_too_large(error):
                raise BadReply(
                    f"policy server {self.address}: {what} is larger than {MAX_BYTES} bytes"
                ) from error
            raise self._lost(error) from error
        if isinstance(data, str):
            text = data.strip()
            raise BadReply(
                f"policy server {self.address}: it answers with an error: {text[-_SHOWN:]} (give "
                "it what it wants by keys:=, or look into its log)"
            )
        try:
            return unpack(data)
        except PackingError as error:
            raise BadReply(f"policy server {self.address}: {what}: {error}") from error

    def _lost(self, error: Exception) -> ServerLost:
        self.close()
        return ServerLost(
            f"policy server {self.address}: the connection is closed: {_why(error)} (start the "
            "server again; look into its log)"
        )


def _limit_sending(connection: socket.socket, timeout: float) -> None:
    """Bounds how long a send waits for a peer that reads no more; receiving is in another thread
    and isn't bounded by it."""
    seconds = max(timeout, 1e-3)
    bound = struct.pack("@ll", int(seconds), int(1e6 * (seconds % 1)))
    # Of one that is closed already the send says why.
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)


def _is_not_up(error: Exception) -> bool:
    """Whether it was cut off before it answered, or what stands before it says that it is away."""
    if isinstance(error, InvalidStatus):
        return error.response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, InvalidMessage | ConnectionClosed)


def _was_too_large(error: Exception) -> bool:
    """Whether the connection was closed from here, for what came."""
    return (
        isinstance(error, ConnectionClosed)
        and not error.rcvd_then_sent
        and error.sent is not None
        and error.sent.code == CloseCode.MESSAGE_TOO_BIG
    )


def _why(error: Exception) -> str:
    """In one line."""
    if isinstance(error, ConnectionClosed):
        frame = error.rcvd
        if frame is None:
            return "without a word, as when it is killed"
        return f"code {frame.code} {frame.reason}".rstrip()
    return getattr(error, "strerror", None) or _line(error)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
