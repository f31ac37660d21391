"""A page in a real browser that has no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def require_whole(browser: Any, path: Path, pictures: int) -> str:
    """The words of a page that asks for nothing but itself, and whose pictures are all there.
    pictures: so many at least."""
    context = browser.new_context(offline=True)
    page = context.new_page()
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
