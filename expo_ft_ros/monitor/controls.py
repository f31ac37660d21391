"""State and buttons of the console, in a page of their own: they answer at once, while the scene in
the frame below takes a browser without a GPU seconds to draw."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from html import escape

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from expo_ft_ros.control.episode import State
from expo_ft_ros.monitor import markup
from expo_ft_ros.monitor.view import View

Action = Callable[[], str]
"""Asks for something and gives the words of the answer. It may take a second; raises where it
failed."""

SCENE = "/scene"
"""Path of the page that is shown in the frame."""

SOCKET = "/controls"
"""Path of the websocket: names of `Actions` go out, {"state" or "reply": HTML} come back."""

_VERDICTS = ("success", "failure")
_TAKEN_IN = 1.0  # until a person has seen that an episode has begun [s]
_log = logging.getLogger(__name__)


class NotDone(Exception):
    """What a button asked for was not done; the words say why."""


@dataclass(frozen=True)
class Actions:
    """What the buttons do; each is called in a thread of the controls', one call of a kind at a
    time."""

    estop: Action
    release: Action
    success: Action
    failure: Action
    reset: Action
    pause: Action
    resume: Action
    save_checkpoint: Action
    acknowledge: Action


_LABELS = {"estop": "E-STOP", "save_checkpoint": "Save", "acknowledge": "Go on alone"}
_HINTS = {
    "estop": "Stops the arm at once and discards the episode",
    "release": "Frees the arm after a stop",
    "success": "Ends the episode as a success",
    "failure": "Ends the episode as a failure",
    "reset": "Ends the episode; or says that what was asked is done",
    "pause": "Holds the arm; the episode waits",
    "resume": "Goes on after a pause",
    "save_checkpoint": "Writes a checkpoint now",
    "acknowledge": "The device was lost while somebody drove: the policy may go on without it",
}
_STYLE = """
html, body { margin: 0; height: 100%; background: #141414; color: #e3e6ea;
  font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
body { display: flex; flex-direction: column; }
header { display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content; gap: 8px;
  padding: 8px; background: #242424; border-bottom: 1px solid #3a3a3a; min-height: 76px; }
iframe { flex: 1; border: 0; min-height: 0; }
button { border: 0; border-radius: 3px; padding: 0 .5em; min-width: 6.4em; height: 34px;
  background: #40464e; color: #fff; font: inherit; font-size: 14px; cursor: pointer; }
button:active { filter: brightness(1.3); }
button:disabled { background: #333; color: #777; cursor: default; }
#estop { background: #d62828; height: 76px; width: 190px; font-size: 21px; letter-spacing: .06em; }
#success { background: #24804e; } #failure { background: #a66300; }
#estop:disabled, #success:disabled, #failure:disabled { background: #333; }
#others { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; align-content: start; }
#lost { display: none; color: #ff5d55; padding: .4em .75em; }
.lost #lost { display: block; } .lost #state, .lost #reply { opacity: .35; }
.xf { margin: 0 .75em; } #reply { min-height: 1.3em; }
@media (max-width: 60em) {
  header { grid-template-columns: 1fr; }
  #estop { width: 100%; height: 56px; } #others { order: 1; gap: 6px; } #told { order: 2; }
  button { min-width: 0; }
}
"""
_SCRIPT = """
const buttons = [...document.querySelectorAll("button")];
const frame = document.querySelector("iframe");
function connect() {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "SOCKET");
  socket.onopen = () => {
    // Without the focus viser wouldn't find a monitor that was started again.
    if (frame.src) return location.reload();
    document.body.classList.remove("lost");
    for (const button of buttons) {
      button.disabled = false;
      button.onclick = () => socket.send(button.id);
    }
    // Once this has been drawn.
    requestAnimationFrame(() => setTimeout(() => (frame.src = "SCENE")));
  };
  socket.onmessage = (event) => {
    for (const [id, html] of Object.entries(JSON.parse(event.data)))
      document.getElementById(id).innerHTML = html;
  };
  socket.onclose = () => {
    document.body.classList.add("lost");
    for (const button of buttons) button.disabled = true;
    setTimeout(connect, 1000);
  };
}
connect();
""".replace("SOCKET", SOCKET).replace("SCENE", SCENE)


def page(title: str) -> bytes:
    """The page, HTML."""
    names = [field.name for field in fields(Actions)]
    estop, *others = (
        f'<button id="{name}" title="{_HINTS[name]}" disabled>{_label(name)}</button>'
        for name in names
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{markup.STYLE}<style>{_STYLE}</style></head>
<body>
<header>{estop}
<div id="told"><div id="state"></div><div id="reply"></div>
<div id="lost" role="alert">No connection: the buttons do nothing. Stop the robot by its own means.
</div></div>
<div id="others">{"".join(others)}</div></header>
<iframe name="scene" title="scene, cameras, curves"></iframe>
<script>{_SCRIPT}</script>
</body></html>
""".encode()


class Controls:
    """Tells every page that is open the same, and does what any of them asks for."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self._open: set[ServerConnection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(len(fields(Actions)), "console")
        self._told = {"state": markup.state_html(View()), "reply": ""}
        self._running, self._running_since = 0, 0.0

    @property
    def watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._open)

    def show(self, view: View) -> None:
        """How things stand. From any one thread; it waits for nobody."""
        running = view.episode.episode if view.episode.state == State.RUNNING else 0
        if running != self._running:
            self._running, self._running_since = running, time.monotonic()
        html = markup.state_html(view)
        if html != self._told["state"]:
            if self._loop is None:
                self._told["state"] = html
            else:
                self._loop.call_soon_threadsafe(self._tell, "state", html)

    def close(self) -> None:
        """Lets its threads go; after the connections."""
        self._loop = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def talk(self, connection: ServerConnection) -> None:
        """Serves one page until it goes."""
        self._loop = asyncio.get_running_loop()
        self._open.add(connection)
        try:
            with contextlib.suppress(ConnectionClosed):
                await connection.send(json.dumps(self._told))
                async for name in connection:
                    if name in _HINTS:
                        # Whoever waits for one answer may press another button.
                        task = asyncio.create_task(self._ask(str(name)))
                        self._tasks.add(task)
                        task.add_done_callback(self._tasks.discard)
        finally:
            self._open.discard(connection)

    async def _ask(self, name: str) -> None:
        """One call of a kind at a time: whoever presses again meanwhile has been heard."""
        if name in self._asking:
            return
        self._asking.add(name)
        label, failed = _label(name), True
        self._tell("reply", markup.reply_html(f"{label} ..."))
        try:
            if name in _VERDICTS:
                self._require_seen()
            action: Action = getattr(self._actions, name)
            words = await asyncio.get_running_loop().run_in_executor(self._threads, action)
            failed = False
        except NotDone as error:
            words = str(error)
        except Exception as error:  # noqa: BLE001 (told to whoever pressed the button)
            _log.exception("console: %s failed", name)
            words = f"failed: {error}"
        finally:
            self._asking.discard(name)
        at = time.strftime("%H:%M:%S")
        self._tell("reply", markup.reply_html(f"{at} {label}: {words}", failed=failed))

    def _require_seen(self) -> None:
        """Raises NotDone for a verdict that may have been meant for the episode before."""
        if self._running and time.monotonic() - self._running_since < _TAKEN_IN:
            raise NotDone(f"episode {self._running} has just begun: press again if you mean it")

    def _tell(self, what: str, html: str) -> None:
        self._told[what] = html
        broadcast(self._open, json.dumps({what: html}))


def _label(name: str) -> str:
    return _LABELS.get(name, name.capitalize())
