# SPDX-License-Identifier: Apache-2.0
"""The SpaceMouse's driver: the real library, against a daemon that speaks as spacenavd does."""

from __future__ import annotations

import ctypes
import math
import socket
import struct

import pytest

from expo_ft_ros.nodes.spacemouse import LIBRARY

MOTION, PRESS, RELEASE, DEVICE = range(4)
REMOVED = 1


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """A listening socket where libspnav looks for spacenavd."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pytest.skip(f"{LIBRARY} is not installed (apt-get install libspnav0)")
    path = tmp_path / "spnav.sock"
    monkeypatch.setenv("SPNAV_SOCKET", str(path))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(30)
        yield listening


def connect(daemon):
    """Its client, with which it has agreed on the protocol's first version."""
    client, _ = daemon.accept()
    wanted = struct.unpack("i", client.recv(4))[0]
    client.sendall(struct.pack("i", (wanted & ~0xFF) | 1))
    return client


def say(client, kind, *values):
    client.sendall(struct.pack("8i", kind, *values, *[0] * (7 - len(values))))


def test_it_says_what_spacenav_node_says(graph, daemon):
    probe = graph.probe
    twists, joys = probe.gather("spacenav/twist"), probe.gather("spacenav/joy")
    node = graph.start("spacemouse", full_scale=350.0)
    client = connect(daemon)
    probe.ready("spacemouse")
    say(client, MOTION, -35, 70, 350, 35, 70, 175)
    probe.until(lambda: twists, "the push")
    linear, angular = twists[-1].linear, twists[-1].angular
    assert (linear.x, linear.y, linear.z) == pytest.approx((1.0, 0.1, 0.2))
    assert (angular.x, angular.y, angular.z) == pytest.approx((0.5, -0.1, 0.2))
    say(client, PRESS, 2)
    say(client, RELEASE, 2)
    probe.until(lambda: len(joys) == 2, "the button")
    assert [list(joy.buttons) for joy in joys] == [[0, 0, 1], [0, 0, 0]]
    say(client, DEVICE, REMOVED)
    probe.until(lambda: math.isnan(twists[-1].linear.x), "the loss")
    client.close()
    assert node.wait() == 1
    assert "spacenavd is gone" in node.log.read_text()


def test_without_the_daemon_it_says_what_to_do(graph, tmp_path, monkeypatch):
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        pytest.skip(f"{LIBRARY} is not installed (apt-get install libspnav0)")
    monkeypatch.setenv("SPNAV_SOCKET", str(tmp_path / "nobody.sock"))
    node = graph.start("spacemouse")
    assert node.wait() == 1
    assert "spacenavd doesn't answer: apt-get install spacenavd" in node.log.read_text()
