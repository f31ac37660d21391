# SPDX-License-Identifier: Apache-2.0
"""What README has a newcomer try first: `./expo-ft demo`, and `./expo-ft keyboard` beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.controls_page import SOCKET
from support.console_run import free_port, is_served
from support.keyboard_seat import Seat
from support.processes import is_alive, processes_naming

pytestmark = [pytest.mark.realtime, pytest.mark.slow]


@pytest.fixture
def seat(graph) -> Iterator[Seat]:
    """The second terminal."""
    made = Seat(graph, own=True)
    yield made
    made.end()


class Page:
    """What the console's page hears, until its connection ends."""

    def __init__(self, port: int) -> None:
        origin = Origin(f"http://127.0.0.1:{port}")
        self._connection = connect(f"ws://127.0.0.1:{port}{SOCKET}", origin=origin)
        self.told: list[dict[str, Any]] = [json.loads(self._connection.recv(60))]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in self._connection:
                self.told.append(json.loads(message))

    def last_headline(self) -> str:
        """Once it has ended."""
        self._thread.join(60)
        words = [each["headline"]["words"] for each in self.told if "headline" in each]
        return str(words[-1])


@pytest.mark.timeout(900)
def test_a_newcomer_watches_takes_over_gives_back_and_ends_it(graph, seat):
    probe, port, run = graph.probe, free_port(), graph.folder / "run"
    steps, states = probe.gather("step"), probe.gather("episode/state")
    commands = probe.gather("teleop/command")
    words = ["steps:=5000", f"console_port:={port}", f"run_dir:={run}"]
    log = graph.folder / "terminal.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "expo_ft_ros.cli", "demo", *words],
            env={**os.environ, "ROS_DOMAIN_ID": str(graph.domain)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}/"
        probe.until(lambda: is_served(url), "the console", timeout=240)
        said = log.read_text()
        assert f"Run: {run}\n" in said
        assert f"Console: {url}\n" in said
        assert "Take over: ./expo-ft keyboard, in a second terminal\n" in said
        assert "E-STOP" in httpx.get(url, timeout=60).text

        # Where the machine halts the policy for too long the arm stands, and the episode is void.
        def ended() -> set[int]:
            return {state.episode for state in states if state.state == "ended"}

        def drove() -> bool:
            return any(step.source == Source.POLICY for step in steps)

        probe.until(lambda: len(ended()) >= 2 and drove(), "two episodes", timeout=240)
        assert {step.source for step in steps} <= {Source.POLICY, Source.HOLD}

        seat.reads("any key takes over", last=True)
        seat.hold("w", lambda: steps[-1].source == Source.HUMAN)
        assert steps[-1].proposed[0] > 0

        def let_go() -> None:
            # A machine that halts the keyboard with a key down loses it until somebody knows.
            if not commands[-1].connected:
                probe.call("teleop/acknowledge")

        probe.repeat(let_go, lambda: steps[-1].source == Source.POLICY, "the policy", every=3.0)
        # Not left to see its peers go, where Fast DDS may wait for itself.
        seat.process.terminate()
        seat.process.wait(60)

        page = Page(port)
        first = page.told[0]
        assert "online steps" not in first["headline"]["more"], "nothing learns here"
        assert "rl ·" not in first["state"]
        assert first["idle"]["save_checkpoint"] == "nothing learns here"

        nodes = processes_naming(str(run))
        assert len(nodes) > 5
        demo.send_signal(signal.SIGINT)
        probe.until(lambda: demo.poll() is not None, "the end")
        assert demo.returncode == 130
        assert page.last_headline() == "ENDED"
        assert [command for pid, command in nodes.items() if is_alive(pid)] == []
        assert processes_naming(str(run)) == {}
        assert not is_served(url)
    except BaseException:
        print(log.read_text())
        raise
    finally:
        if demo.poll() is None:
            demo.terminate()
            demo.wait(60)
