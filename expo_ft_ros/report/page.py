# SPDX-License-Identifier: Apache-2.0
"""A page of HTML that needs nothing else: what isn't `Html` already is text, and is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from expo_ft_ros.report.drawing import Picture

_CSS = """
:root { --ink: #1d2126; --soft: #5c6570; --line: #dfe3e8; --ground: #f6f7f9; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.2rem 1.2rem 4rem; max-width: 880px; color: var(--ink);
  background: #fff; font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .7rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; }
a { color: var(--accent); }
.lead, .absent, figcaption { color: var(--soft); }
.absent { border-left: 3px solid var(--line); padding-left: .8rem; }
.notice { background: #fff6e5; border-left: 3px solid #e69f00; padding: .5rem .8rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .7rem;
  margin: 1.2rem 0; }
.card { background: var(--ground); border-radius: 6px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.45rem; line-height: 1.25; }
.card span { display: block; color: var(--soft); font-size: .82rem; }
figure { margin: .8rem 0 1.4rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption { font-size: .88rem; margin-top: .35rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { text-align: left; padding: .28rem .7rem .28rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; }
.wide { overflow-x: auto; }
summary { cursor: pointer; color: var(--accent); margin: .4rem 0; }
footer { margin-top: 3rem; color: var(--soft); font-size: .82rem; }
@media print { details > * { display: block; } figure, tr { break-inside: avoid; } }
"""


class Html(str):
    """Text that is markup already."""


def markup(text: str) -> Html:
    """A text as markup: escaped, unless it is markup already."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def element(tag: str, *content: str, **attributes: str) -> Html:
    """<tag attributes>content</tag>; `class_` is the attribute class."""
    words = "".join(
        f' {name.rstrip("_")}="{html.escape(value)}"' for name, value in attributes.items()
    )
    return Html(f"<{tag}{words}>{joined(content)}</{tag}>")


def joined(parts: Iterable[str]) -> Html:
    """Parts one after the other."""
    return Html("\n".join(markup(part) for part in parts))


def page(title: str, body: Iterable[str]) -> str:
    """A whole document."""
    head = f'<meta charset="utf-8">\n<title>{markup(title)}</title>\n<style>{_CSS}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n{view}\n</head>\n'
        f"<body>\n{joined(body)}\n</body>\n</html>\n"
    )


def section(title: str, *content: str) -> Html:
    """A part of the page with its headline."""
    return element("section", element("h2", title), *content)


def absent(why: str) -> Html:
    """What stands in the place of something that a run doesn't have."""
    return element("p", why, class_="absent")


def card(value: str, name: str, more: str = "") -> Html:
    """A number that matters."""
    return element(
        "div", element("b", value), element("span", name), element("span", more), class_="card"
    )


def figure(picture: Picture, caption: str, link: str = "") -> Html:
    """A picture within the page; link: relative path of its file."""
    image = Html(f'<img src="{picture.embedded}" alt="{html.escape(picture.words)}">')
    file = Html(f' <a href="{html.escape(link)}">PNG</a>') if link else Html("")
    return element("figure", image, element("figcaption", markup(caption), file))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table; rows have as many cells as the head."""
    above = element("tr", *(element("th", cell) for cell in head))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return element("div", element("table", element("thead", above), *body), class_="wide")


def folded(title: str, *content: str) -> Html:
    """What is shown when its title is clicked."""
    return element("details", element("summary", title), *content)
