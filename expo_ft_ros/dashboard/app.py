# SPDX-License-Identifier: Apache-2.0
"""The addresses of the dashboard, and what each does."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from expo_ft_ros.bringup.commands import GRAPH_COMMANDS
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.dashboard import comparison_pages, pages
from expo_ft_ros.dashboard.answers import Answers
from expo_ft_ros.dashboard.comparisons import Comparisons
from expo_ft_ros.dashboard.follow import follow, logs_of
from expo_ft_ros.dashboard.helpers import PAGES_NICE, REPORT_NICE, Helpers, lower_priority
from expo_ft_ros.dashboard.recordings import RecordingPages
from expo_ft_ros.dashboard.run_control import TERMINAL_LOG, RunControl
from expo_ft_ros.dashboard.run_list import RunList
from expo_ft_ros.experiment.arguments import describe
from expo_ft_ros.experiment.run_folder import runs_dir
from expo_ft_ros.experiment.run_overview import RunOverview
from expo_ft_ros.monitor.asgi_server import PATIENCE, AsgiServer
from expo_ft_ros.monitor.auth_proxy import script_hashes
from expo_ft_ros.monitor.gate import Gate, address, cookie, is_local

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_FORM_BYTES = 64 << 10
_REPORT = "report.html"
_REFUSED = 422

Fields = list[tuple[str, str]]


class Dashboard(AsgiServer):
    """Open once it is made."""

    def __init__(self, host: str, port: int, token: str) -> None:
        """Opens it. The threads that serve it have a low priority; the runs that it starts have
        that of the thread that makes it.

        Args:
            host: As of `Gate`.
            port: As of `AsgiServer`.
            token: As of `Gate`.

        Raises:
            ConfigError: as both.
        """
        self._token = token
        self._runs, self._helpers = RunList(), Helpers()
        self._control = RunControl(runs_dir() / ".dashboard")
        self._comparisons = Comparisons(self._helpers)
        self._recordings = RecordingPages(self._helpers, host)
        self._answers = Answers()
        run = "/runs/{run}"
        routes = [
            Route("/", self._list),
            Route("/start/{command}", self._start, methods=["GET", "POST"]),
            Route(run, self._run),
            Route(f"{run}/live", self._live),
            Route(f"{run}/stop", self._stop, methods=["POST"]),
            Route(f"{run}/hurry", self._hurry, methods=["POST"]),
            Route(f"{run}/resume", self._resume, methods=["POST"]),
            Route(f"{run}/report", self._report, methods=["GET", "POST"]),
            Route(f"{run}/{_REPORT}", self._report_page),
            Route(f"{run}/report/{{picture}}", self._picture),
            Route(f"{run}/browse", self._browse, methods=["POST"]),
            Route("/comparisons", self._compare, methods=["GET", "POST"]),
            Route("/comparisons/{name}", self._comparison),
            Route("/comparisons/{name}/{word}", self._say_to_comparison, methods=["POST"]),
            Route("/favicon.ico", Response(status_code=204)),
            WebSocketRoute(f"{run}/follow", self._follow),
        ]
        gate = Gate(Starlette(routes=routes), host, token)
        super().__init__(gate, host, port, whose="dashboard")
        lower_priority(self._thread, PAGES_NICE)

    @property
    def url(self) -> str:
        """What to open in a browser: it holds the token, so show it once and log it nowhere."""
        return address(self.host, self.port) + (f"?token={self._token}" if self._token else "")

    @property
    def running(self) -> list[Path]:
        """Folders of the runs that were started here and go on."""
        return self._control.running()

    def close(self) -> None:
        """Ends every connection and what works for the pages; runs go on."""
        super().close()
        self._helpers.close()
        self._control.close()

    # -- runs -----------------------------------------------------------------------------------
    def _list(self, request: Request) -> Response:
        self._control.running()
        return _html(
            pages.runs_page(str(runs_dir()), [self._shown(run) for run in self._runs.runs])
        )

    def _run(self, request: Request) -> Response:
        run = self._asked(request)
        if run is None:
            return _no_run(request)
        asked = request.query_params
        return self._run_page(run, asked.get("told", ""), asked.get("log"))

    def _refused(self, run: RunOverview, words: str) -> Response:
        return self._run_page(run, self._answers.keep(words), status=_REFUSED)

    def _run_page(
        self, run: RunOverview, key: str, log: str | None = None, status: int = 200
    ) -> Response:
        """key: of the answer that it shows."""
        logs = logs_of(run.path)
        preferred = [log, Path(TERMINAL_LOG).stem, "session", *logs]
        followed = next((name for name in preferred if name in logs), "")
        told = self._answers.get(key)
        asked = {"log": followed} | ({"told": key} if told else {})
        at = pages.address("runs", run.name, **asked)
        return _html(pages.run_page(self._shown(run), followed, logs, told, at), status)

    def _shown(self, run: RunOverview) -> pages.ShownRun:
        stopping = run.state == "running" and self._control.is_stopping(run.path)
        return pages.ShownRun(run, self._runs.size(run), stopping)

    def _live(self, request: Request) -> Response:
        run = self._asked(request)
        if run is None or run.state != "running" or run.console is None:
            return _no_run(request)
        host, port = run.console
        return self._elsewhere(request, "Live console", host, port)

    async def _start(self, request: Request) -> Response:
        command = request.path_params["command"]
        if command not in pages.COMMANDS:
            return _html(pages.words_page("Not found", f"{command!r} starts no graph"), 404)
        options = describe(GRAPH_COMMANDS[command].options)
        if request.method != "POST":
            return _html(pages.start_page(command, options, self._proposed()))
        given = {name: value.strip() for name, value in await _form(request) if value.strip()}
        words = [f"{name}:={value}" for name, value in given.items()]
        started = await run_in_threadpool(self._control.start, command, words)
        if started.path is None:
            return _html(pages.start_page(command, options, given, started.said), _REFUSED)
        if started.path.parent != runs_dir():
            said = f"{started.said}\n\nIts folder isn't in {runs_dir()}: it isn't in the list."
            return _html(pages.words_page("Started", said))
        return _go_to("runs", started.path.name)

    def _proposed(self) -> dict[str, str]:
        """With a live console where it is reached as this page is."""
        proposed = {"console": "true", "console_port": str(_free_port(self.host))}
        return proposed if is_local(self.host) else {**proposed, "console_host": self.host}

    async def _resume(self, request: Request) -> Response:
        run = self._asked(request)
        if run is None:
            return _no_run(request)
        words, said = [f"resume:={run.path}"], ""
        if run.console is not None and not _is_free(*run.console):
            # Which was free when it was started; nobody can type another one here.
            host, taken = run.console
            port = _free_port(host)
            words.append(f"console_port:={port}")
            said = f"its console is at port {port} from now on: {taken} is taken"
        started = await run_in_threadpool(self._control.start, run.command, words)
        if started.path is None:
            return self._refused(run, started.said)
        return self._say(run, said)

    def _stop(self, request: Request) -> Response:
        run = self._asked(request)
        return _no_run(request) if run is None else self._say(run, self._control.stop(run.path))

    def _hurry(self, request: Request) -> Response:
        run = self._asked(request)
        return _no_run(request) if run is None else self._say(run, self._control.hurry(run.path))

    def _say(self, run: RunOverview, words: str) -> Response:
        """On the run's page, in the browser that has asked."""
        told = {"told": self._answers.keep(words)} if words else {}
        return _go_to("runs", run.name, **told)

    async def _follow(self, page: WebSocket) -> None:
        run = self._runs.find(page.path_params["run"])
        if run is None:
            await page.close()
            return
        await page.accept()
        log, logs = page.query_params.get("log", ""), logs_of(run.path)
        stopping = self._control.is_stopping
        await follow(page, run.path, log if log in logs else "", stopping)

    # -- what came of them ----------------------------------------------------------------------
    def _report(self, request: Request) -> Response:
        run = self._asked(request)
        if run is None:
            return _no_run(request)
        name = f"report {run.name}"
        if request.method == "POST":
            self._helpers.start(name, "expo_ft_ros.cli", ["report", str(run.path)], REPORT_NICE)
            return _go_to("runs", run.name, "report")
        helper = self._helpers.get(name)
        if helper is not None and helper.running:
            title = f"The report of {run.name} is being made"
            return _html(pages.words_page(title, "\n".join(helper.lines), refresh=1))
        if helper is not None and helper.failed:
            return self._refused(run, "\n".join(helper.lines))
        return _go_to("runs", run.name, _REPORT)

    def _report_page(self, request: Request) -> Response:
        run = self._asked(request)
        if run is None or not (run.path / _REPORT).is_file():
            return _no_run(request)
        headers = {"Content-Security-Policy": _POLICY.format(scripts="'none'")}
        return FileResponse(run.path / _REPORT, headers=headers)

    def _picture(self, request: Request) -> Response:
        run, name = self._asked(request), request.path_params["picture"]
        known = {path.name: path for path in (run.path / "report").glob("*.png")} if run else {}
        return FileResponse(known[name]) if name in known else _no_run(request)

    def _browse(self, request: Request) -> Response:
        run = self._asked(request)
        if run is None:
            return _no_run(request)
        try:
            port = self._recordings.open(run.path)
        except ConfigError as error:
            return self._refused(run, str(error))
        return self._elsewhere(request, f"Recordings of {run.name}", self.host, port)

    # -- comparisons ----------------------------------------------------------------------------
    async def _compare(self, request: Request) -> Response:
        form: Fields = [] if request.method == "GET" else await _form(request)
        return await run_in_threadpool(self._choose_or_begin, request, form)

    def _choose_or_begin(self, request: Request, form: Fields) -> Response:
        asked = dict(form)
        files = [value for name, value in form if name == "checkpoint"]
        refused = ""
        if request.method == "POST":
            try:
                name = self._comparisons.begin(
                    files, asked.get("scenes", ""), asked.get("rule", "")
                )
                return _go_to("comparisons", name)
            except ConfigError as error:
                refused = str(error)
        chosen = [name for name in request.query_params.getlist("run") if name]
        chosen = chosen or list(dict.fromkeys(Path(file).parent.parent.name for file in files))
        runs = [run.name for run in self._runs.runs if self._comparisons.checkpoints(run.path)]
        found = [run for name in chosen[:2] if (run := self._runs.find(name)) is not None]
        checkpoints = [path for run in found for path in self._comparisons.checkpoints(run.path)]
        page = comparison_pages.choice_page(
            runs, chosen, checkpoints, self._comparisons.earlier, refused
        )
        return _html(page, _REFUSED if refused else 200)

    def _comparison(self, request: Request, refused: str = "") -> Response:
        name = request.path_params["name"]
        compared = self._comparisons.find(name)
        if compared is None:
            return _no_comparison(name)
        playing = self._comparisons.is_playing(name)
        said = refused or ("" if playing else self._comparisons.last_words(name))
        page = comparison_pages.comparison_page(name, compared, playing=playing, said=said)
        return _html(page, _REFUSED if refused else 200)

    def _say_to_comparison(self, request: Request) -> Response:
        name, word = request.path_params["name"], request.path_params["word"]
        does = {"stop": self._comparisons.stop, "resume": self._comparisons.go_on}
        if self._comparisons.find(name) is None or word not in does:
            return _no_comparison(name)
        try:
            does[word](name)
        except ConfigError as error:
            return self._comparison(request, str(error))
        return _go_to("comparisons", name)

    # -- what they share ------------------------------------------------------------------------
    def _asked(self, request: Request) -> RunOverview | None:
        return self._runs.find(request.path_params["run"])

    def _elsewhere(self, request: Request, title: str, host: str, port: int) -> Response:
        """Another port of this machine, which the browser is let in at, too."""
        reached = request.url.hostname or host
        at = reached if is_local(host) or host in ("0.0.0.0", "::") else host
        answer = _html(pages.elsewhere(title, address(at, port)))
        if self._token:
            answer.headers["Set-Cookie"] = cookie(port, self._token)
        return answer


def _html(text: str, status: int = 200) -> Response:
    policy = _POLICY.format(scripts=script_hashes(text.encode()) or "'none'")
    return HTMLResponse(text, status, headers={"Content-Security-Policy": policy})


def _go_to(*path: str, **asked: str) -> Response:
    return RedirectResponse(pages.address(*path, **asked), status_code=303)


def _no_run(request: Request) -> Response:
    words = f"{request.url.path}: there is none in {runs_dir()}"
    return _html(pages.words_page("Not found", words), 404)


def _no_comparison(name: str) -> Response:
    return _html(pages.words_page("Not found", f"no comparison {name}"), 404)


async def _form(request: Request) -> Fields:
    """Names and values of a form that was sent.

    Raises:
        HTTPException: for one that is too large, or takes too long.
    """
    content = b""
    try:
        async with asyncio.timeout(PATIENCE):
            async for piece in request.stream():
                content += piece
                if len(content) > _FORM_BYTES:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    return parse_qsl(content.decode(errors="replace"), max_num_fields=1000)


def _free_port(host: str) -> int:
    """For what listens on a host."""
    with socket.create_server((host if is_local(host) else "", 0)) as free:
        return int(free.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    try:
        with socket.create_server((host.strip("[]"), port)):
            return True
    except OSError as error:
        return error.errno != errno.EADDRINUSE
