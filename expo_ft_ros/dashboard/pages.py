# SPDX-License-Identifier: Apache-2.0
"""The pages, as HTML: what is told is text and is escaped; who asks is somebody else's affair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from expo_ft_ros.experiment.run_overview import RunOverview
from expo_ft_ros.monitor.static_files import script, style
from expo_ft_ros.report import page
from expo_ft_ros.report.page import Html, element

COMMANDS = ("train", "collect", "eval", "sim")
"""That may be started."""

_EVERY = 5.0
"""How often the page of what goes on is asked for again [s]."""

_FIRST = ("task", "operator", "steps", "demos", "eval_trials", "checkpoint", "seed")
"""Options that are asked for first; the others are folded."""

_LOST = {
    "train": "what it has learned since its last checkpoint, and the episode that goes on",
    "sim": "nothing that is kept",
}
"""By a run whose processes are killed; by those of other commands the episode that goes on."""

_STYLE = Html(style("expo_ft_ros.dashboard", "dashboard.css"))
_REFRESH, _FOLLOW = (
    Html(script("expo_ft_ros.dashboard", name)) for name in ("refresh.js", "follow.js")
)


@dataclass(frozen=True)
class ShownRun:
    """A run as the pages show it.

    Attributes:
        run: What is known of it.
        size: That it takes on the disk [bytes].
        stopping: Whether it goes on, and was asked to end.
    """

    run: RunOverview
    size: int
    stopping: bool = False

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return "stopping" if self.stopping else self.run.state


def link(text: str, *path: str, **attributes: str) -> Html:
    """To a page; path: its parts, as they are."""
    return element("a", text, href=address(*path), **attributes)


def address(*path: str, **asked: str) -> str:
    """Of a page, from its parts and what follows the question mark."""
    query = f"?{urlencode(asked)}" if asked else ""
    return "/" + "/".join(quote(part, safe="") for part in path) + query


def button(text: str, *path: str, kind: str = "") -> Html:
    """Asks for what is at that address."""
    pressed = element("button", text, type="submit", class_=kind)
    made = {"method": "post", "action": address(*path), "id": f"do-{path[-1]}"}
    return element("form", pressed, **made)


def document(
    title: str,
    *body: str,
    refresh: float | None = None,
    at: str = "",
    scripts: Sequence[Html] = (),
) -> str:
    """A whole page.

    Args:
        title: Its title and headline.
        body: What follows them.
        refresh: After so long [s] the page is asked for again, again and again, and what has
            changed is changed in place.
        at: Where it is asked for; "" for the address that the browser shows.
        scripts: Of the page.
    """
    nav = element(
        "nav",
        link("Runs"),
        *(link(f"Start {command}", "start", command) for command in COMMANDS),
        link("Compare checkpoints", "comparisons"),
    )
    told = {} if refresh is None else {"data-refresh": f"{refresh:g}"}
    told |= {"data-page": at} if at else {}
    main = element("main", element("h1", title, id="title"), *body, **told)
    scripts = scripts or ([] if refresh is None else [_REFRESH])
    # Outside of what is changed in place.
    lost = element("p", id="lost", role="status")
    return page.page(title, [_STYLE, nav, lost, main, *scripts])


def elsewhere(title: str, url: str) -> str:
    """Goes on to another port of this machine."""
    go = Html(element("meta", **{"http-equiv": "refresh"}, content=f"0;url={url}"))
    return document(title, go, element("p", element("a", "Open it", href=url)))


def notice(words: str) -> Html:
    """What must not be overlooked."""
    return element("p", words, class_="notice", role="status", id="notice")


def runs_page(folder: str, runs: Sequence[ShownRun]) -> str:
    """The list of the runs of a folder."""
    names = ("run", "started", "task", "command", "state", "stage", "steps", "success", "size")
    rows = [_cells(names, _row(each), f"run-{each.run.name}") for each in runs]
    table = _table(names, rows) if rows else page.absent("There is no run yet: start one above.")
    lead = element("p", f"{len(runs)} in {folder}", class_="lead")
    return document("Runs", lead, table, refresh=_EVERY)


def _row(shown: ShownRun) -> list[Html]:
    run = shown.run
    steps = "" if run.env_steps is None else str(run.env_steps)
    return [
        link(run.name, "runs", run.name),
        page.markup(_started(run)),
        page.markup(run.task),
        page.markup(run.command),
        _state(shown),
        page.markup(run.stage if run.state != "finished" else ""),
        page.markup(steps),
        page.markup(run.success),
        page.markup(megabytes(shown.size)),
    ]


def _started(run: RunOverview) -> str:
    return f"{run.started:%Y-%m-%d %H:%M}" if run.started.timestamp() else ""


def _state(shown: ShownRun) -> Html:
    return element("span", shown.state, class_=f"state {shown.state}")


def megabytes(size: int) -> str:
    """In MB, of GB from 1000 of them on."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def run_page(shown: ShownRun, log: str, logs: Sequence[str], told: str, at: str) -> str:
    """The page of one run.

    Args:
        shown: The run.
        log: Which of the logs is followed.
        logs: Names of its logs.
        told: The answer to what was asked last; "" for none.
        at: The address of the page with that answer.
    """
    run = shown.run
    name = run.name
    does: list[Html] = []
    if run.state == "running":
        if run.console is not None:
            does.append(link("Live console", "runs", name, "live", class_="button", id="live"))
        if not shown.stopping:
            does.append(button("Stop", "runs", name, "stop", kind="stop"))
    elif run.state == "stopped" and run.command in ("train", "collect"):
        does.append(button("Go on with it", "runs", name, "resume", kind="main"))
    compare = address("comparisons", run=name)
    does += [
        button("Report", "runs", name, "report"),
        button("Recordings", "runs", name, "browse"),
        element("a", "Compare checkpoints", href=compare, class_="button", id="compare"),
    ]
    facts = {
        "command": run.command,
        "task": run.task,
        "algorithm": run.algorithm,
        "started": _started(run),
        "stage": run.stage,
        "online steps": "" if run.env_steps is None else str(run.env_steps),
        "success": run.success,
        "size": megabytes(shown.size),
        "folder": str(run.path),
    }
    tabs = [
        element("a", each, href=address("runs", name, log=each))
        if each != log
        else element("b", each)
        for each in logs
    ]
    lines = {
        "id": "lines",
        "data-keep": "",
        "data-socket": address("runs", name, "follow", log=log),
    }
    parts = [
        element("p", _state(shown), class_="lead", id="state"),
        notice(told) if told else Html(""),
        element("div", *does, class_="row", id="actions"),
        _hurry(run) if shown.stopping else Html(""),
        element("p", "", class_="lead", id="status", **{"data-keep": ""}),
        _facts(facts),
        page.section("What it says", element("div", *tabs, class_="row", id="logs")),
        element("pre", "", **lines),
    ]
    refresh = _EVERY if run.state == "running" else None
    return document(name, *parts, refresh=refresh, at=at, scripts=(_REFRESH, _FOLLOW))


def _hurry(run: RunOverview) -> Html:
    """What a run does that was asked to stop, and, where it has to be unfolded first and nobody
    presses it by a second click on Stop, the button that has it hurry."""
    lost = _LOST.get(run.command, "the episode that goes on")
    words = "It ends by itself: the arm first, then the nodes, a learner after its checkpoint."
    folded = page.folded(
        "It takes too long?",
        element("p", f"Hurry kills what doesn't end within a second. Lost is then {lost}."),
        button(f"Hurry (loses {lost})", "runs", run.name, "hurry", kind="stop"),
    )
    return element("div", element("p", words), folded, id="stopping")


def _facts(facts: Mapping[str, str]) -> Html:
    rows = [(name, element("span", value, class_="name")) for name, value in facts.items() if value]
    return page.table(("", ""), rows)


def start_page(
    command: str,
    options: Iterable[tuple[str, str, str]],
    given: Mapping[str, str],
    refused: str = "",
) -> str:
    """The options of a command, each (name, default, description). given: name -> what was typed,
    or is proposed; refused: why the command did not begin."""
    first: list[Html] = []
    others: list[Html] = []
    for name, default, text in options:
        field = element(
            "label",
            name,
            element(
                "input", type="text", name=name, value=given.get(name, ""), placeholder=default
            ),
            element("small", text),
        )
        (first if name in _FIRST or name in given else others).append(field)
    form = element(
        "form",
        *first,
        page.folded("All other options", *others),
        element("div", element("button", f"Start {command}", class_="main"), class_="row"),
        method="post",
        action=address("start", command),
        class_="whole",
    )
    lead = f"As ./expo-ft {command} name:=value ...; what is left empty has its default."
    told = notice(refused) if refused else Html("")
    return document(f"Start {command}", element("p", lead, class_="lead"), told, form)


def words_page(title: str, words: str, *, refresh: float | None = None) -> str:
    """Some words, as they were said. refresh: as of `document`."""
    return document(title, element("pre", words), refresh=refresh)


def _cells(names: Sequence[str], cells: Sequence[Html], row: str = "") -> Html:
    made = [
        element("td", cell, class_="name")
        if place == 0
        else element("td", cell, **{"data-name": name})
        for place, (name, cell) in enumerate(zip(names, cells, strict=True))
    ]
    told = {"id": row} if row else {}
    return element("tr", *(Html(each.replace("\n", "")) for each in made), **told)


def _table(names: Sequence[str], rows: Sequence[Html]) -> Html:
    head = element("thead", element("tr", *(element("th", name) for name in names)))
    return element("table", head, element("tbody", *rows), class_="cards-on-phone")


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """One whose rows are cards on a phone; the first cell is a card's title."""
    return _table(names, [_cells(names, [page.markup(cell) for cell in row]) for row in rows])
