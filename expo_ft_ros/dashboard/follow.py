# SPDX-License-Identifier: Apache-2.0
"""Tells a page what a run says, line by line, and how it stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from expo_ft_ros.dashboard.run_control import TERMINAL_LOG
from expo_ft_ros.experiment.progress import format_line, read_status
from expo_ft_ros.experiment.run_folder import is_running
from expo_ft_ros.monitor.asgi_server import messages

PERIOD = 0.5
"""Between two looks [s]."""

_MOST = 64 << 10  # [bytes] that are told of at a time, of a log that is longer its end


def logs_of(run: Path) -> list[str]:
    """Names of a run's logs, that of a terminal first."""
    names = sorted(path.stem for path in (run / "logs").glob("*.log"))
    return sorted(names, key=lambda name: name != Path(TERMINAL_LOG).stem)


async def follow(page: WebSocket, run: Path, log: str, stopping: Callable[[Path], bool]) -> None:
    """Serves one page until it goes: {"lines": [...], "status": in a line, "running": whether,
    "stopping": whether}, each as it changes.

    Args:
        page: The page's websocket, accepted.
        run: Folder of the run.
        log: Which is followed, of `logs_of`.
        stopping: Says whether a run was asked to stop.
    """
    telling = asyncio.ensure_future(_tell(page, run, run / "logs" / f"{log}.log", stopping))
    try:
        async for _ in messages(page):
            pass
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(page: WebSocket, run: Path, log: Path, stopping: Callable[[Path], bool]) -> None:
    place, told = -1, dict[str, Any]()
    while True:
        place, lines = await asyncio.to_thread(_read, log, place)
        status = read_status(run)
        now = {
            "status": format_line(status) if status else "",
            "running": is_running(run),
            "stopping": stopping(run),
        }
        news = {name: value for name, value in now.items() if told.get(name) != value}
        told = now
        try:
            if news or lines:
                await page.send_text(json.dumps({**news, "lines": lines}))
        except WebSocketDisconnect:
            return
        await asyncio.sleep(PERIOD)


def _read(log: Path, place: int) -> tuple[int, list[str]]:
    """What is new in a log, whole lines only, and where it ends. place: where it ended, -1 at
    first."""
    try:
        with log.open("rb") as stream:
            end = stream.seek(0, 2)
            start = place if 0 <= place <= end else 0
            cut = max(start, end - _MOST)
            stream.seek(cut)
            content = stream.read(end - cut)
    except OSError:
        return place, []
    whole, newline, rest = content.rpartition(b"\n")
    lines = whole.decode(errors="replace").splitlines() if newline else []
    return end - len(rest), lines[1:] if cut > start else lines
