# SPDX-License-Identifier: Apache-2.0
"""The server behind the gate: hard to find, and without a way out."""

import socket
import time

import msgspec
import pytest
import viser
from websockets.sync.client import connect

from expo_ft_ros.monitor.server import HiddenServer, page


@pytest.fixture
def server():
    server = HiddenServer("a title")
    yield server
    server.stop()


def test_it_is_where_no_page_finds_it(server, capsys):
    assert server.address.startswith("127.")
    with pytest.raises(ConnectionRefusedError), socket.socket() as tried:
        tried.connect(("127.0.0.1", server.get_port()))
    assert capsys.readouterr().out == ""


def test_no_browser_opens_a_public_tunnel(server, monkeypatch):
    opened = []
    monkeypatch.setattr("viser._viser.ViserTunnel", lambda *_: opened.append(1))
    spoken = [f"viser-v{viser.__version__}"]
    with connect(server.url, subprotocols=spoken, proxy=None) as client:
        client.send(msgspec.msgpack.encode({"type": "ShareUrlRequest"}))
        time.sleep(1.0)  # a tunnel is opened within milliseconds of the request
    assert opened == []
    assert server.request_share_url() is None


def test_the_page_is_in_one_piece():
    assert page().lstrip().lower().startswith(b"<!doctype html>")
    assert b"<script src=" not in page()
