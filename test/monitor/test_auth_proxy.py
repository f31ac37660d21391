# SPDX-License-Identifier: Apache-2.0
"""Who gets in, and what goes through: against a server behind it that echoes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.monitor import asgi_server
from expo_ft_ros.monitor.asgi_server import MESSAGE_BYTES
from expo_ft_ros.monitor.auth_proxy import AuthProxy, passed_on
from expo_ft_ros.monitor.gate import address, checked_token, is_local
from support.console_run import free_port

PAGE, INNER = b"<!doctype html><title>console</title>", b"<!doctype html><title>scene</title>"
PAGES = {"/": PAGE, "/scene": INNER}
TOKEN = "sixteen-letters_0"


@pytest.fixture(scope="module")
def behind() -> Iterator[str]:
    """Address of a server that echoes."""
    opened, port, loop = threading.Event(), [], asyncio.new_event_loop()
    closing = asyncio.Event()

    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async def run():
        async with serve(echo, "127.0.0.1", 0) as server:
            port.append(next(iter(server.sockets)).getsockname()[1])
            opened.set()
            await closing.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    opened.wait()
    yield f"ws://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(closing.set)
    thread.join()
    loop.close()


@pytest.fixture
def local(behind) -> Iterator[AuthProxy]:
    gate = opened(behind)
    yield gate
    gate.close()


@pytest.fixture
def guarded(behind) -> Iterator[AuthProxy]:
    gate = opened(behind, token=TOKEN)
    yield gate
    gate.close()


def opened(behind: str, **options) -> AuthProxy:
    return AuthProxy(PAGES, {path: passed_on(behind) for path in PAGES}, **options)


def get(gate: AuthProxy, path: str = "/", **headers: str):
    """(status, headers, body) of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def reach(gate: AuthProxy, origin: str | None = None, path: str = "/", **headers: str) -> int:
    """The status that a websocket gets: 101 when it is through to the server behind."""
    address = f"ws://127.0.0.1:{gate.port}{path}"
    try:
        with connect(address, origin=origin, additional_headers=headers, proxy=None) as socket_:
            socket_.send(b"\x00stop")
            return 101 if socket_.recv(timeout=60) == b"\x00stop" else 0
    except InvalidStatus as refusal:
        return refusal.response.status_code


def cookie_of(gate: AuthProxy) -> str:
    status, headers, _ = get(gate, f"/?token={TOKEN}")
    assert (status, headers["Location"]) == (303, "/")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    return headers["Set-Cookie"].partition(";")[0]


def test_this_machine_gets_the_page_and_its_websocket(local):
    status, headers, body = get(local)
    assert (status, gzip.decompress(body)) == (200, PAGE)
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert local.url == f"http://127.0.0.1:{local.port}/"
    assert reach(local) == 101
    assert reach(local, origin=f"http://127.0.0.1:{local.port}") == 101
    assert get(local, "/anything.js")[0] == 404


def test_a_path_may_have_somebody_else_to_talk_to(behind):
    async def shout(page):
        async for message in page.iter_text():
            await page.send_text(message.upper())

    gate = AuthProxy(PAGES, {"/": passed_on(behind), "/controls": shout}, token=TOKEN)
    try:
        assert reach(gate, path="/controls") == 403
        cookie = cookie_of(gate)
        assert reach(gate, origin="http://evil.example", path="/controls", Cookie=cookie) == 403
        with connect(
            f"ws://127.0.0.1:{gate.port}/controls", additional_headers={"Cookie": cookie}
        ) as through:
            through.send("stop")
            assert through.recv(timeout=60) == "STOP"
        assert reach(gate, path="/nobody", Cookie=cookie) == 404
    finally:
        gate.close()


def test_only_the_page_itself_shows_the_other_in_a_frame(guarded):
    cookie = cookie_of(guarded)
    status, headers, body = get(guarded, "/scene", Cookie=cookie)
    assert (status, gzip.decompress(body)) == (200, INNER)
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert reach(guarded, path="/scene", Cookie=cookie) == 101


def test_another_page_gets_nothing_of_this_machine(local):
    assert reach(local, origin="http://evil.example") == 403
    assert reach(local, origin=f"http://127.0.0.1:{local.port + 1}") == 403
    assert reach(local, origin="null") == 403
    # A name of its own that resolves to this machine: Origin and Host agree.
    rebound = f"evil.example:{local.port}"
    assert get(local, Host=rebound)[0] == 403


def test_without_the_token_nothing_is_let_in(guarded):
    for path in ("/", "/scene", "/?token=", "/?token=wrong", f"/x?token={TOKEN}", "/index.html"):
        status, headers, body = get(guarded, path)
        assert status == 403, path
        assert TOKEN.encode() not in body
        assert "Set-Cookie" not in headers
    assert reach(guarded) == 403
    assert reach(guarded, Cookie=f"expo_ft_console_{guarded.port}=wrong") == 403


def test_the_token_opens_page_and_websocket(guarded):
    assert guarded.url == f"http://127.0.0.1:{guarded.port}/?token={TOKEN}"
    cookie = cookie_of(guarded)
    assert get(guarded, Cookie=f"other=[1]; {cookie}")[0] == 200
    assert reach(guarded, Cookie=cookie) == 101
    assert reach(guarded, origin="http://evil.example", Cookie=cookie) == 403


def test_a_host_that_others_reach_needs_a_token(behind):
    with pytest.raises(ConfigError, match=r"host: 0\.0\.0\.0 would let everybody .* token"):
        opened(behind, host="0.0.0.0")
    gate = opened(behind, host="0.0.0.0", token=TOKEN)
    try:
        assert get(gate)[0] == 403
        assert socket.gethostname() in gate.url
    finally:
        gate.close()


def test_a_port_that_is_taken_is_named(behind, local):
    with pytest.raises(ConfigError, match=f"port: 127.0.0.1:{local.port} is taken"):
        opened(behind, port=local.port)


def test_an_address_is_one_that_a_browser_opens():
    assert address("127.0.0.1", 8090) == "http://127.0.0.1:8090/"
    assert address("::1", 8090) == address("[::1]", 8090) == "http://[::1]:8090/"
    assert address("0.0.0.0", 80) == f"http://{socket.gethostname()}:80/"


def test_a_host_that_is_none_is_named(behind):
    with pytest.raises(ConfigError, match=r"host: 203\.0\.113\.7:0 can't be bound"):
        opened(behind, host="203.0.113.7", token=TOKEN)


@pytest.mark.parametrize("token", ["auto", "sixteen letters!!", "x" * 129, "with/slash/and/more"])
def test_a_token_that_is_none_is_refused(token):
    with pytest.raises(ConfigError, match="token"):
        checked_token(token)


def test_tokens():
    assert checked_token("") == ""
    assert checked_token(TOKEN) == TOKEN
    assert all(is_local(host) for host in ("127.0.0.1", "localhost", "::1", "[::1]", "127.9.8.7"))
    assert not any(
        is_local(host) for host in ("0.0.0.0", "", "192.168.1.2", "localhost.evil.example")
    )


def test_the_token_is_in_no_log(guarded, caplog):
    with caplog.at_level(logging.DEBUG):
        cookie = cookie_of(guarded)
        get(guarded, "/?token=wrong")
        assert reach(guarded, path=f"/?token={TOKEN}") == 403
        assert reach(guarded, path=f"/?token={TOKEN}", Cookie=cookie) == 101
    ours = [each for each in caplog.records if each.name != "websockets.client"]  # the test's own
    assert not any(TOKEN in each.getMessage() for each in ours)


def test_a_closed_gate_frees_its_port(behind):
    gate = opened(behind, port=free_port())
    gate.close()
    gate.close()
    again = opened(behind, port=gate.port)
    assert reach(again) == 101
    again.close()


def test_a_message_of_a_page_has_a_limit(local):
    with connect(f"ws://127.0.0.1:{local.port}/", max_size=None, proxy=None) as page:
        page.send(b"x" * MESSAGE_BYTES)
        assert len(page.recv(timeout=60)) == MESSAGE_BYTES

        def answer() -> str | bytes:
            """It may come while the message is still sent."""
            page.send(b"x" * (MESSAGE_BYTES + 1))
            return page.recv(timeout=60)

        with pytest.raises(ConnectionClosed) as closed:
            answer()
        assert closed.value.rcvd.code == 1009


def test_a_request_has_a_limit(local):
    endless = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 1_000_000
    with (
        socket.create_connection(("127.0.0.1", local.port), timeout=60) as page,
        contextlib.suppress(ConnectionError),
    ):
        page.sendall(endless)
        assert page.recv(100).startswith(b"HTTP/1.1 400") or not page.recv(100)


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_connection_that_comes_to_no_request_is_not_kept(behind, monkeypatch, begun):
    monkeypatch.setattr(asgi_server, "PATIENCE", 3.0)
    gate = opened(behind)
    try:
        with (
            connect(f"ws://127.0.0.1:{gate.port}/", proxy=None) as through,
            socket.create_connection(("127.0.0.1", gate.port), timeout=60) as slow,
        ):
            slow.sendall(begun)
            with contextlib.suppress(ConnectionError):
                assert slow.recv(100) == b""
            # What has come to one is.
            through.send("still there")
            assert through.recv(timeout=60) == "still there"
    finally:
        gate.close()


def test_a_page_that_does_not_read_fills_nobodys_memory():
    sent, waits = [], threading.Event()

    async def flood(page):
        with contextlib.suppress(WebSocketDisconnect):
            while len(sent) < 200:
                sending = asyncio.ensure_future(page.send_bytes(b"x" * MESSAGE_BYTES))
                done, _ = await asyncio.wait([sending], timeout=0.5)
                if not done:
                    waits.set()
                    await sending
                sent.append(1)

    gate = AuthProxy(PAGES, {"/": flood})
    try:
        with connect(f"ws://127.0.0.1:{gate.port}/", max_queue=1, max_size=None, proxy=None):
            assert waits.wait(60)
            assert len(sent) < 64
    finally:
        gate.close()


def test_a_server_behind_that_goes_takes_the_page_along():
    said = []

    async def hang_up(connection):
        said.append(await connection.recv())

    async def run(script):
        async with serve(hang_up, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await asyncio.to_thread(script, port)

    def script(port):
        gate = AuthProxy(PAGES, {"/": passed_on(f"ws://127.0.0.1:{port}")})
        try:
            with connect(f"ws://127.0.0.1:{gate.port}/", proxy=None) as page:
                page.send("bye")
                with pytest.raises(ConnectionClosed):
                    page.recv(timeout=60)
        finally:
            gate.close()

    asyncio.run(run(script))
    assert said == ["bye"]
