# SPDX-License-Identifier: Apache-2.0
"""A real browser for tests and screenshots of the console."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP, PHONE = (1280, 800), (390, 844)

_ARGUMENTS = (
    "--no-sandbox",  # tests run as root in containers
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
)
# Of drawing without a GPU, and of three.js.
_BENIGN = (
    "GPU stall due to ReadPixels",
    "software WebGL",
    "Automatic fallback to software",
    "THREE.",
)
_PATIENCE = 120.0  # two cores that others use as well [s]


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; skips the test where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (requirements/dev.lock)"
    )
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=list(_ARGUMENTS), headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A console open in a page. `complaints` holds what the page's own console said.

    scene: False leaves the frame below the buttons empty, which a machine without a GPU draws at
    the cost of most of a core.
    """

    def __init__(
        self,
        browser: Any,
        url: str,
        size: tuple[int, int] = DESKTOP,
        *,
        scene: bool = True,
        before: str = "",
    ) -> None:
        width, height = size
        self._context = browser.new_context(viewport={"width": width, "height": height})
        self.page = self._context.new_page()
        self.page.set_default_timeout(1000 * _PATIENCE)
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if not scene:
            self.page.route("**/scene*", lambda route: route.fulfill(body=""))
        if before:
            self.page.add_init_script(before)
        self.page.goto(url, wait_until="domcontentloaded")
        stop = self.button("E-STOP")
        wait_until(lambda: self.page.wait_for_timeout(20) or stop.is_enabled(), "the buttons")

    def close(self) -> None:
        """Leaves the page."""
        self._context.close()

    def button(self, name: str) -> Any:
        """The button of that label."""
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def scene(self) -> Any:
        """The frame below the buttons, once it is there."""
        self.page.frame_locator("iframe").locator(".xf").first.wait_for(state="attached")
        return self.page.frame(name="scene")

    def open(self, title: str) -> None:
        """Opens a tab, or on a phone a section."""
        self.scene.get_by_text(title, exact=True).first.wait_for(state="visible")
        tab = self.scene.get_by_role("tab", name=title, exact=True)
        (tab if tab.count() else self.scene.get_by_text(title, exact=True)).first.click()

    def read(self, words: str) -> None:
        """Waits until the words are to be read, wherever."""
        wait_until(lambda: self.reads(words), repr(words))

    def reads(self, *words: str) -> bool:
        """Whether all the words are to be read now, wherever."""
        return all(self._reads(each) for each in words)

    def images(self) -> list[str]:
        """Addresses of the images that are seen: one that changes has another."""
        seen = (
            "[...document.images].filter((image) => image.offsetParent).map((image) => image.src)"
        )
        return list(self.scene.evaluate(seen))

    def on_screen(self, locator: Any) -> bool:
        """Whether all of it is seen without scrolling."""
        box, size = locator.bounding_box(), self.page.viewport_size
        inside = box is not None and box["x"] >= 0 and box["y"] >= 0
        return bool(
            inside
            and box["x"] + box["width"] <= size["width"]
            and box["y"] + box["height"] <= size["height"]
        )

    def picture(self, path: Path, *words: str) -> None:
        """Writes what is seen as soon as all the words are to be read, without the notice that
        there is no GPU."""
        self.close_notices()
        self.page.wait_for_timeout(500)
        wait_until(lambda: self.reads(*words), " and ".join(words))
        self.page.screenshot(path=str(path))

    def close_notices(self) -> None:
        """Closes what the page has put up in a corner."""
        for close in self.scene.locator(".mantine-Notification-closeButton").all():
            close.click()

    def _reads(self, words: str) -> bool:
        self.page.wait_for_timeout(20)
        found = (frame.get_by_text(words).first for frame in self.page.frames)
        return any(each.is_visible() for each in found)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(w in message.text for w in _BENIGN):
            self.complaints.append(f"{message.type}: {message.text}")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Waits for something outside of the page."""
    end = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < end, f"waited {_PATIENCE:g} s for: {what}"
        time.sleep(0.02)
