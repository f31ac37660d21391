# SPDX-License-Identifier: Apache-2.0
"""A real server and a real client over a socket: what is answered, and what goes wrong."""

import asyncio
import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
from websockets.asyncio.server import serve as serve_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.server import ServerProtocol
from websockets.sync.client import connect

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.serving.client import BadReply, PolicyConnection, ServerLost
from expo_ft_ros.serving.packing import MAX_BYTES, pack, unpack
from expo_ft_ros.serving.server import BadObservation, PolicyServer
from support.console_run import free_port
from support.policy_servers import GENTLE, gentle, other_server, serving

SOON = 30.0  # a busy machine is no finding
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"


@contextlib.contextmanager
def connected(server, timeout=SOON):
    made = PolicyConnection(server.address, timeout)
    try:
        yield made
    finally:
        made.close()


def test_metadata_come_first_then_each_observation_is_answered():
    seen = []

    def infer(observation):
        seen.append(observation)
        return gentle(observation)

    with serving(infer, {"task": "cube_pick"}) as server, connected(server) as client:
        assert client.metadata == {"task": "cube_pick"}
        for number in range(2):
            answer = client.request({"x": np.arange(3), "prompt": "go"}, SOON)
            np.testing.assert_array_equal(answer["actions"], GENTLE)
            assert ("prev_total_ms" in answer["server_timing"]) is bool(number)
            assert answer["server_timing"]["infer_ms"] >= 0
    np.testing.assert_array_equal(seen[1]["x"], np.arange(3))


def test_several_connections_are_served_one_observation_at_a_time():
    inside, another = threading.Semaphore(1), threading.Event()

    def infer(observation):
        if not inside.acquire(blocking=False):
            another.set()
            return {"actions": observation["x"]}
        # Long enough for the others, who ask all the time.
        another.wait(0.05)
        inside.release()
        return {"actions": observation["x"]}

    def ask(number, answers):
        with connected(server) as client:
            for _ in range(5):
                answers.append(client.request({"x": np.full((1, 7), number)}, SOON)["actions"])

    with serving(infer) as server:
        all_answers = [[] for _ in range(3)]
        threads = [threading.Thread(target=ask, args=(n, all_answers[n])) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not another.is_set()
    for number, answers in enumerate(all_answers):
        assert [answer[0, 0] for answer in answers] == [number] * 5


def test_healthz_answers_as_that_of_openpi():
    with serving() as server:
        url = server.address.replace("ws://", "http://") + "/healthz"
        with urllib.request.urlopen(url, timeout=SOON) as answer:
            assert (answer.status, answer.read()) == (200, b"OK\n")


def test_what_is_wrong_with_an_observation_is_said_and_the_connection_stays():
    def infer(observation):
        if "x" not in observation:
            raise BadObservation("key 'x' is missing")
        return gentle(observation)

    with serving(infer) as server, connect(server.address) as raw:
        raw.recv(timeout=SOON)
        for sent, words in [
            (pack({"y": 1}), "key 'x' is missing"),
            (pack([1]), "is list, not a dict"),
            (b"\xc1garbage", "no msgpack message"),
            ("a text", "is a text"),
        ]:
            raw.send(sent)
            answer = raw.recv(timeout=SOON)
            assert isinstance(answer, str)
            assert words in answer
        raw.send(pack({"x": 1}))
        assert "actions" in unpack(raw.recv(timeout=SOON))


def test_a_client_names_what_the_server_finds_wrong():
    def infer(observation):
        raise BadObservation("key 'x' is missing")

    with (
        serving(infer) as server,
        connected(server) as client,
        pytest.raises(BadReply, match=rf"{server.address}: .* key 'x' is missing .*keys:="),
    ):
        client.request({}, SOON)


def test_a_policy_that_fails_is_told_and_others_are_served_on(caplog):
    def infer(observation):
        if "bad" in observation:
            raise RuntimeError("out of memory")
        return gentle(observation)

    with serving(infer) as server, connected(server) as other:
        with connected(server) as client, pytest.raises(BadReply, match="out of memory"):
            client.request({"bad": 1}, SOON)
        assert "actions" in other.request({}, SOON)
    assert "out of memory" in caplog.text


def test_a_message_that_is_too_large_is_refused_and_the_server_lives():
    with serving() as server:
        with connect(server.address, max_size=None) as raw:
            raw.recv(timeout=SOON)
            with contextlib.suppress(ConnectionClosed):
                raw.send(bytes(MAX_BYTES + 1))
            with pytest.raises(ConnectionClosed, match=r"1009|no close frame"):
                raw.recv(timeout=SOON)
        with connected(server) as client:
            assert "actions" in client.request({}, SOON)


def test_an_answer_that_is_too_large_is_none():
    def handle(connection):
        connection.send(pack({}))
        connection.recv()
        connection.send(bytes(MAX_BYTES + 1))

    with (
        other_server(handle) as address,
        contextlib.closing(PolicyConnection(address, SOON)) as client,
        pytest.raises(BadReply, match=f"an answer is larger than {MAX_BYTES} bytes"),
    ):
        client.request({}, SOON)


def test_an_observation_that_is_too_large_is_not_sent():
    with (
        serving() as server,
        connected(server) as client,
        pytest.raises(BadReply, match="smaller images"),
    ):
        client.request({"x": np.zeros(MAX_BYTES, np.uint8)}, SOON)


@pytest.mark.process
def test_a_server_that_is_killed_is_lost_with_its_address_and_a_remedy():
    program = [sys.executable, "-m", "support.policy_servers"]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().strip()
            with contextlib.closing(PolicyConnection(address, SOON)) as client:
                assert "actions" in client.request({}, SOON)
                process.kill()
                process.wait()
                with pytest.raises(ServerLost, match=f"{address}: .*closed.*start the server"):
                    client.request({}, SOON)
        finally:
            process.kill()


def test_a_closed_server_is_lost_with_its_code():
    with serving() as server, connected(server) as client:
        server.close()
        with pytest.raises(ServerLost, match="closed: code 1012"):
            client.request({}, SOON)


def test_who_speaks_without_being_asked_is_no_policy_server():
    done = threading.Event()

    def handle(connection):
        connection.send(pack({}))
        connection.send(pack({"actions": GENTLE}))
        done.wait(SOON)

    def look(client):
        until = time.monotonic() + SOON
        while time.monotonic() < until:
            client.require_open()

    with (
        other_server(handle) as address,
        contextlib.closing(PolicyConnection(address, SOON)) as client,
    ):
        with pytest.raises(BadReply, match="without being asked"):
            look(client)
        done.set()


def test_an_answer_that_takes_too_long_is_never_taken_for_the_next():
    goes_on = threading.Event()

    def infer(observation):
        goes_on.wait(SOON)
        return gentle(observation)

    with serving(infer) as server, connected(server) as client:
        try:
            with pytest.raises(ServerLost, match=rf"{server.address}: .*within 0.2 s .*time-out"):
                client.request({}, 0.2)
            with pytest.raises(ServerLost, match="closed"):
                client.request({}, SOON)
        finally:
            goes_on.set()


def test_a_server_that_is_busy_for_long_is_not_taken_for_dead(monkeypatch):
    """openpi's compiles within its event loop, which answers no ping meanwhile."""
    for name in ("ping_interval", "ping_timeout"):
        monkeypatch.setitem(connect.__kwdefaults__, name, 0.05)

    async def handle(connection):
        await connection.send(pack({}))
        async for _ in connection:
            time.sleep(1.0)
            await connection.send(pack({"actions": GENTLE}))

    async def run():
        async with serve_async(handle, "127.0.0.1", 0) as server:
            addresses.put(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            await asyncio.to_thread(over.wait, 4 * SOON)

    addresses, over = queue.Queue(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        with contextlib.closing(PolicyConnection(addresses.get(timeout=SOON), SOON)) as client:
            assert "actions" in client.request({}, SOON)
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def raw_server(answer):
    """Somebody who takes connections; answer: called with each one's socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        answer(connection)

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_server_that_reads_no_more_holds_nobody_up():
    done = threading.Event()

    def shake_hands_and_stop(connection):
        protocol = ServerProtocol()
        while not (requests := protocol.events_received()):
            protocol.receive_data(connection.recv(4096))
        protocol.send_response(protocol.accept(requests[0]))
        protocol.send_binary(pack({}))
        connection.sendall(b"".join(protocol.data_to_send()))
        done.wait(4 * SOON)

    with raw_server(shake_hands_and_stop) as address:
        try:
            with contextlib.closing(PolicyConnection(address, SOON)) as client:
                began = time.monotonic()
                with pytest.raises(ServerLost, match=address):
                    client.request({"x": np.zeros(12_000_000, np.uint8)}, 0.3)
                assert time.monotonic() - began < SOON
        finally:
            done.set()


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: connection.recv(4096),
        lambda connection: connection.recv(4096) and connection.sendall(BAD_GATEWAY),
        # With something unread, which resets the connection.
        lambda connection: connection.sendall(BAD_GATEWAY),
    ],
    ids=["cut off", "502", "502 and reset"],
)
def test_a_server_that_is_being_started_is_lost_and_no_other(answer):
    with (
        raw_server(answer) as address,
        pytest.raises(ServerLost, match=rf"{address}: (it isn't up|can't be reached)"),
    ):
        PolicyConnection(address, SOON)


def test_only_so_many_clients_are_served_and_one_that_goes_makes_room(monkeypatch):
    monkeypatch.setattr("expo_ft_ros.serving.server.CLIENTS", 2)
    full = "code 1013 2 clients are connected already"
    with serving() as server, connected(server):
        with connected(server), pytest.raises(ServerLost, match=full):
            PolicyConnection(server.address, SOON)
        until = time.monotonic() + SOON
        while True:
            with contextlib.suppress(ServerLost), connected(server) as client:
                assert "actions" in client.request({}, SOON)
                break
            assert time.monotonic() < until, "there is room again"


def test_a_page_of_a_browser_is_not_served():
    with serving() as server, pytest.raises(InvalidStatus):
        connect(server.address, origin="http://elsewhere.example")


def test_nobody_there_is_said_with_the_address():
    address = f"ws://127.0.0.1:{free_port()}"
    with pytest.raises(ServerLost, match=f"{address}: can't be reached: Connection refused"):
        PolicyConnection(address, SOON)


def test_who_accepts_and_says_nothing_is_lost():
    done = threading.Event()
    with other_server(lambda connection: done.wait(SOON)) as address:
        with pytest.raises(ServerLost, match="its metadata didn't come within"):
            PolicyConnection(address, 2.0)
        done.set()


def test_who_is_no_policy_server_is_told_apart():
    with serving() as server, pytest.raises(BadReply, match="something else answers there"):
        PolicyConnection(f"{server.address}/healthz", SOON)
    with (
        other_server(lambda connection: connection.send(pack([1]))) as address,
        pytest.raises(BadReply, match="its metadata is list"),
    ):
        PolicyConnection(address, SOON)
    with (
        other_server(lambda connection: connection.send(b"\xc1")) as address,
        pytest.raises(BadReply, match=r"its metadata: .*no msgpack message"),
    ):
        PolicyConnection(address, SOON)


def test_an_environment_s_proxy_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with serving() as server, connected(server) as client:
        assert "actions" in client.request({}, SOON)


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_that_is_none_is_named(port):
    with pytest.raises(ConfigError, match=f"serve: port: {port} is none"):
        PolicyServer(gentle, {}, port=port)


def test_a_port_that_is_taken_is_named():
    with serving() as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"serve: port: 127.0.0.1:{port} is taken"):
            PolicyServer(gentle, {}, port=port)
