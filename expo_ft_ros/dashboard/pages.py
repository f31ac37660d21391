# SPDX-License-Identifier: Apache-2.0
"""The pages, as HTML: what is told is text and is escaped; who asks is somebody else's affair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from expo_ft_ros.experiment.run_overview import RunOverview
from expo_ft_ros.report import page
from expo_ft_ros.report.page import Html, element

COMMANDS = ("train", "collect", "eval", "sim")
"""That may be started."""

_FIRST = ("task", "operator", "steps", "demos", "eval_trials", "checkpoint", "seed")
"""Options that are asked for first; the others are folded."""

_STYLE = Html("""<style>
body { max-width: 1080px; padding-top: 1rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: 0 0 1.2rem; }
button, .button { display: inline-block; font: inherit; font-size: .92rem; padding: .4rem .9rem;
  border: 1px solid var(--accent); border-radius: 5px; background: #fff; color: var(--accent);
  text-decoration: none; cursor: pointer; min-height: 2.4rem; }
button.main { background: var(--accent); color: #fff; }
button.stop { border-color: #c0392b; color: #c0392b; }
form { display: inline; } form.whole { display: block; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: .8rem 0; }
label { display: grid; grid-template-columns: 11rem 1fr; gap: .1rem .8rem; margin: .55rem 0;
  align-items: center; }
label small { grid-column: 2; color: var(--soft); }
input[type=text], select { font: inherit; padding: .3rem .5rem; border: 1px solid var(--line);
  border-radius: 4px; width: 100%; min-height: 2.4rem; background: #fff; }
input[type=checkbox] { width: 1.2rem; height: 1.2rem; }
pre { background: var(--ground); border-radius: 6px; padding: .7rem .9rem; overflow: auto;
  max-height: 24rem; font-size: .8rem; line-height: 1.35; white-space: pre-wrap;
  overflow-wrap: anywhere; }
td { font-variant-numeric: tabular-nums; }
.state { font-weight: 600; } .running { color: #007a55; } .stopped { color: #a15c00; }
h1, .name { overflow-wrap: anywhere; }
@media (max-width: 36em) {
  body { padding: .8rem .8rem 3rem; }
  label { grid-template-columns: 1fr; } label small { grid-column: 1; }
  .cards-on-phone thead { display: none; }
  .cards-on-phone tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .cards-on-phone td { display: inline-block; border: 0; padding: .1rem .8rem .1rem 0; }
  .cards-on-phone td:empty { display: none; }
  .cards-on-phone td[data-name]::before { content: attr(data-name) " "; color: var(--soft); }
  .cards-on-phone td.name { display: block; font-size: 1rem; }
}
</style>""")

_FOLLOW = Html("""<script>
const lines = document.getElementById("lines"), status = document.getElementById("status");
let was;
function connect() {
  const socket = new WebSocket(
    location.origin.replace("http", "ws") + lines.dataset.socket);
  let fresh = true;
  socket.onmessage = (event) => {
    const told = JSON.parse(event.data);
    if ("status" in told) status.textContent = told.status;
    if ("running" in told) {
      if (was !== undefined && was !== told.running) location.reload();
      was = told.running;
    }
    const low = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 20;
    if (fresh) lines.textContent = "";
    fresh = false;
    if (told.lines.length) lines.append(told.lines.join("\\n") + "\\n");
    if (lines.textContent.length > 400000) lines.textContent = lines.textContent.slice(-200000);
    if (low) lines.scrollTop = lines.scrollHeight;
  };
  socket.onclose = () => setTimeout(connect, 2000);
}
connect();
</script>""")


def link(text: str, *path: str, **attributes: str) -> Html:
    """To a page; path: its parts, as they are."""
    return element("a", text, href=address(*path), **attributes)


def address(*path: str) -> str:
    """Of a page, from its parts."""
    return "/" + "/".join(quote(part, safe="") for part in path)


def button(text: str, *path: str, kind: str = "") -> Html:
    """Asks for what is at that address."""
    pressed = element("button", text, type="submit", class_=kind)
    return element("form", pressed, method="post", action=address(*path))


def document(title: str, *body: str, refresh: float | None = None) -> str:
    """A whole page. refresh: it is asked for again after so long [s]."""
    nav = element(
        "nav",
        link("Runs"),
        *(link(f"Start {command}", "start", command) for command in COMMANDS),
        link("Compare checkpoints", "comparisons"),
    )
    again = Html("" if refresh is None else f'<meta http-equiv="refresh" content="{refresh:g}">')
    return page.page(title, [again, _STYLE, nav, element("h1", title), *body])


def elsewhere(title: str, url: str) -> str:
    """Goes on to another port of this machine."""
    go = Html(element("meta", **{"http-equiv": "refresh"}, content=f"0;url={url}"))
    return document(title, go, element("p", element("a", "Open it", href=url)))


def notice(words: str) -> Html:
    """What must not be overlooked."""
    return element("p", words, class_="notice", role="status")


def runs_page(folder: str, runs: Sequence[tuple[RunOverview, int]]) -> str:
    """The list. runs: with what each takes on the disk [bytes]."""
    names = ("run", "started", "task", "command", "state", "stage", "steps", "success", "size")
    rows = [_cells(names, _row(run, size)) for run, size in runs]
    table = _table(names, rows) if rows else page.absent("There is no run yet: start one above.")
    lead = element("p", f"{len(runs)} in {folder}", class_="lead")
    return document("Runs", lead, table, refresh=5)


def _row(run: RunOverview, size: int) -> list[Html]:
    steps = "" if run.env_steps is None else str(run.env_steps)
    return [
        link(run.name, "runs", run.name),
        page.markup(_started(run)),
        page.markup(run.task),
        page.markup(run.command),
        _state(run),
        page.markup(run.stage if run.state != "finished" else ""),
        page.markup(steps),
        page.markup(run.success),
        page.markup(megabytes(size)),
    ]


def _started(run: RunOverview) -> str:
    return f"{run.started:%Y-%m-%d %H:%M}" if run.started.timestamp() else ""


def _state(run: RunOverview) -> Html:
    return element("span", run.state, class_=f"state {run.state}")


def megabytes(size: int) -> str:
    """In MB, of GB from 1000 of them on."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def run_page(run: RunOverview, size: int, log: str, logs: Sequence[str], told: str) -> str:
    """One run. log: of the logs, which is followed; told: the answer to what was asked last."""
    name = run.name
    does: list[Html] = []
    if run.state == "running":
        if run.console is not None:
            does.append(link("Live console", "runs", name, "live", class_="button"))
        does.append(button("Stop", "runs", name, "stop", kind="stop"))
    elif run.state == "stopped" and run.command in ("train", "collect"):
        does.append(button("Go on with it", "runs", name, "resume", kind="main"))
    does += [button("Report", "runs", name, "report"), button("Recordings", "runs", name, "browse")]
    does.append(
        element("a", "Compare checkpoints", href=f"/comparisons?run={quote(name)}", class_="button")
    )
    facts = {
        "command": run.command,
        "task": run.task,
        "algorithm": run.algorithm,
        "started": _started(run),
        "stage": run.stage,
        "online steps": "" if run.env_steps is None else str(run.env_steps),
        "success": run.success,
        "size": megabytes(size),
        "folder": str(run.path),
    }
    socket = f"{address('runs', name, 'follow')}?log={quote(log)}"
    tabs = [
        element("a", each, href=f"{address('runs', name)}?log={quote(each)}")
        if each != log
        else element("b", each)
        for each in logs
    ]
    parts = [
        element("p", _state(run), class_="lead"),
        notice(told) if told else Html(""),
        element("div", *does, class_="row"),
        element("p", "", id="status", class_="lead"),
        _facts(facts),
        page.section("What it says", element("div", *tabs, class_="row")),
        element("pre", "", id="lines", **{"data-socket": socket}),
        _FOLLOW,
    ]
    return document(name, *parts)


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
    """Some words, as they were said."""
    return document(title, element("pre", words), refresh=refresh)


def _cells(names: Sequence[str], cells: Sequence[Html]) -> Html:
    made = [
        element("td", cell, class_="name")
        if place == 0
        else element("td", cell, **{"data-name": name})
        for place, (name, cell) in enumerate(zip(names, cells, strict=True))
    ]
    return element("tr", *(Html(each.replace("\n", "")) for each in made))


def _table(names: Sequence[str], rows: Sequence[Html]) -> Html:
    head = element("thead", element("tr", *(element("th", name) for name in names)))
    return element("table", head, element("tbody", *rows), class_="cards-on-phone")


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """One whose rows are cards on a phone; the first cell is a card's title."""
    return _table(names, [_cells(names, [page.markup(cell) for cell in row]) for row in rows])
