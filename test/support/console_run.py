# SPDX-License-Identifier: Apache-2.0
"""A simulated graph with its console, for a browser to look at."""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

_FIRST, _COUNT = 20_000, 10_000
"""Below those that the kernel gives to connections by itself."""
_PLACES = itertools.count(os.getpid() * 11)
_LOCKS: list[int] = []
"""Of the ports that this process was given, until its end."""


def free_port() -> int:
    """A port of this machine that nobody has, and that no other test is given meanwhile."""
    for place in itertools.islice(_PLACES, _COUNT):
        port = _FIRST + place % _COUNT
        path = Path(tempfile.gettempdir()) / f"expo_ft_ros_test_port_{port}.lock"
        lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _LOCKS.append(lock)
        return port
    raise RuntimeError(f"none of {_COUNT} ports from {_FIRST} on is free")


def is_served(url: str) -> bool:
    """Whether somebody listens at an address of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port or 80)) == 0


@contextmanager
def graph_with_console(folder: Path, words: list[str], **environment: str) -> Iterator[str]:
    """Runs `expo-ft WORDS` with a console until the block ends; gives the console's address. The
    run's folder is `run`, its output `log`, in the folder."""
    port = free_port()
    command = [sys.executable, "-m", "expo_ft_ros.cli", *words]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "console:=true", f"console_port:={port}", f"run_dir:={folder / 'run'}"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    except BaseException:
        print((folder / "log").read_text())
        raise
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
