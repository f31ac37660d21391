# SPDX-License-Identifier: Apache-2.0
"""Pages of runs: parsed, and in a real browser that has no network."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from expo_ft_ros.report.run_data import read_run
from expo_ft_ros.report.single import write_report


class Parsed(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(path: Path) -> tuple[str, Parsed]:
    page = write_report(read_run(path)).read_text()
    return page, Parsed(page)


def assert_alone(page: str, parsed: Parsed, folder: Path) -> None:
    """It needs no network and no other file, and says nothing of where it was made."""
    assert "script" not in parsed.tags
    assert str(folder) not in page
    assert not re.search(r"""(src|href|url\()\s*=?\s*["']?\s*(https?:)?//""", page)
    for name, value in parsed.attributes:
        assert not name.startswith("on")
        if name == "src":
            kind, _, content = value.partition(";base64,")
            assert kind in ("data:image/svg+xml", "data:image/png")
            drawn = base64.b64decode(content)
            assert not re.search(rb"""(href|src)\s*=\s*["'](?!#)|url\((?!#)|<script""", drawn)
        if name == "href":
            assert not value.startswith(("/", "http", "file"))


def require_whole(browser: Any, path: Path, pictures: int) -> str:
    """The words of a page that asks for nothing but itself, and whose pictures are all there.
    pictures: so many at least."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    blank = "[...document.images].filter((image) => !image.naturalWidth).length"
    assert page.evaluate(blank) == 0
    assert page.evaluate("document.images.length") >= pictures
    assert complaints == []
    words = page.inner_text("body")
    context.close()
    return str(words)
