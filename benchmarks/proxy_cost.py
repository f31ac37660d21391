# SPDX-License-Identifier: Apache-2.0
"""What the console's door costs: a page, a message through it and back, and memory.

    ./expo-ft python benchmarks/proxy_cost.py [--rounds 300]

The door is in a process of its own, in front of a server that echoes; printed and written to
benchmarks/results/ are milliseconds of wall time and megabytes of that process.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.server import serve
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from expo_ft_ros.cli.bench_graph import results_folder  # noqa: E402
from expo_ft_ros.experiment.machine import git_revision, machine  # noqa: E402

TOKEN = "sixteen-letters_0"
SIZES = {"state, 1 kB": 1_000, "image, 100 kB": 100_000}
_CLIENTS = 20  # pages that stay open while memory is measured


def main() -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--door", action="store_true", help="be the process with the door")
    wanted = parser.parse_args()
    if wanted.door:
        return door()
    process = subprocess.Popen(
        [sys.executable, __file__, "--door"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        port = int(process.stdout.readline())
        result: dict[str, Any] = {"machine": machine(), "git": git_revision()}
        cookie = {"Cookie": f"expo_ft_console_{port}={TOKEN}"}
        for path in ("/", "/scene"):
            result[f"page {path}"] = spread(
                [page(port, path, cookie) for _ in range(wanted.rounds)]
            )
        for name, size in SIZES.items():
            result[name] = spread(echoes(port, cookie, size, wanted.rounds))
        held = [through(port, cookie) for _ in range(_CLIENTS)]
        process.stdin.write("\n")
        process.stdin.flush()
        result["memory [MB]"] = json.loads(process.stdout.readline())
        for socket in held:
            socket.close()
        process.stdin.close()
    for name, value in result.items():
        print(f"{name}: {value}")
    path = results_folder() / f"proxy_cost_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


def door() -> int:
    """Serves until standard input ends; tells its port, and at a line how much memory it has."""
    before = resident()
    from expo_ft_ros.monitor.auth_proxy import AuthProxy, passed_on
    from expo_ft_ros.monitor.controls_page import page as controls
    from expo_ft_ros.monitor.server import page as scene

    ports: list[int] = []

    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async def behind() -> None:
        async with serve(echo, "127.0.0.1", 0, compression=None, max_size=None) as server:
            ports.append(next(iter(server.sockets)).getsockname()[1])
            gate = AuthProxy(
                {"/": controls("a title", ["side"]), "/scene": scene()},
                {"/echo": passed_on(f"ws://127.0.0.1:{ports[0]}")},
                token=TOKEN,
            )
            opened = resident()
            print(gate.port, flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            said = {"imports and door": opened - before, "with pages open": resident() - before}
            print(json.dumps({name: round(size, 1) for name, size in said.items()}), flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            gate.close()

    asyncio.run(behind())
    return 0


def resident() -> float:
    """[MB] of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def page(port: int, path: str, headers: dict[str, str]) -> float:
    """How long a page takes [ms]."""
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    return 1e3 * (time.perf_counter() - begin)


def through(port: int, headers: dict[str, str]) -> Any:
    """A websocket to the server behind the door."""
    address = f"ws://127.0.0.1:{port}/echo"
    return connect(address, additional_headers=headers, proxy=None, compression=None, max_size=None)


def echoes(port: int, headers: dict[str, str], size: int, rounds: int) -> list[float]:
    """How long messages take there and back [ms]."""
    message, took = os.urandom(size), []
    with through(port, headers) as socket:
        for _ in range(rounds):
            begin = time.perf_counter()
            socket.send(message)
            assert len(socket.recv(timeout=10)) == size
            took.append(1e3 * (time.perf_counter() - begin))
    return took


def spread(values: list[float]) -> dict[str, float]:
    """[ms]"""
    return {f"p{share}": round(float(np.percentile(values, share)), 2) for share in (50, 95, 99)}


if __name__ == "__main__":
    sys.exit(main())
