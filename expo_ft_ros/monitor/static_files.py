# SPDX-License-Identifier: Apache-2.0
"""What pages are made of: style sheets, scripts and HTML of static/, put into the pages whole, so
that each page is one document."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def static(name: str) -> str:
    """The text of one of them.

    Args:
        name: Of the file, for instance "controls.css".
    """
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")


def style(*names: str) -> str:
    """A <style> of some of them, in that order."""
    return f"<style>\n{''.join(map(static, names))}</style>"


def script(*names: str, **constants: str) -> str:
    """A <script> of some of them, in that order.

    Args:
        names: Of the files.
        constants: Texts that they read, by name: they stand before them.
    """
    known = "".join(f'const {name} = "{text}";\n' for name, text in constants.items())
    return f"<script>\n{known}{''.join(map(static, names))}</script>"
