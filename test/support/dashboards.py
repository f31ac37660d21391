# SPDX-License-Identifier: Apache-2.0
"""A dashboard of a folder of runs, and who asks it as a browser does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx

from expo_ft_ros.dashboard.app import Dashboard

PATIENCE = 300.0  # cores that others use as well [s]


class Asking:
    """A browser at a page of the dashboard."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self.origin = f"http://127.0.0.1:{dashboard.port}"
        self.client = httpx.Client(base_url=self.origin, timeout=PATIENCE)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """Presses a button, and goes where that leads."""
        headers = {"Origin": self.origin}
        return self.client.post(path, data=fields, headers=headers, follow_redirects=True)

    def until(self, path: str, holds: Callable[[str], bool], what: str) -> str:
        """The page, once it is so."""
        end = time.monotonic() + PATIENCE
        while not holds(text := words_of(self.client.get(path, follow_redirects=True).text)):
            assert time.monotonic() < end, f"{what}: {text}"
            time.sleep(0.2)
        return text


@contextmanager
def dashboard(runs: Path, token: str = "") -> Iterator[Asking]:
    """runs: that EXPO_FT_RUNS names."""
    made = Dashboard("127.0.0.1", 0, token)
    asking = Asking(made)
    try:
        yield asking
    finally:
        asking.client.close()
        made.close()


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag, attrs):
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)


def words_of(page: str) -> str:
    """What a page says."""
    parsed = _Words()
    parsed.feed(page)
    return " ".join(" ".join(parsed.words).split())
