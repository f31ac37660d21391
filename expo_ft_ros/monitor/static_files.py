# SPDX-License-Identifier: Apache-2.0
"""What pages are made of: style sheets, scripts and HTML of the folders static/ of packages, put
into the pages whole, so that each page is one document."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files


@cache
def static(package: str, name: str) -> str:
    """The text of one of them.

    Args:
        package: Whose folder static/ it is in.
        name: Of the file, for instance "controls.css".
    """
    return files(package).joinpath("static", name).read_text(encoding="utf-8")


def style(package: str, *names: str) -> str:
    """A <style> of some of a package's, in that order."""
    return f"<style>\n{_all(package, names)}</style>"


def script(package: str, *names: str, **constants: str) -> str:
    """A <script> of some of them, in that order.

    Args:
        package: Whose they are.
        names: Of the files.
        constants: Texts that they read, by name: they stand before them.
    """
    known = "".join(f'const {name} = "{text}";\n' for name, text in constants.items())
    return f"<script>\n{known}{_all(package, names)}</script>"


def _all(package: str, names: Iterable[str]) -> str:
    return "".join(static(package, name) for name in names)
