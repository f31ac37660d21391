# SPDX-License-Identifier: Apache-2.0
"""The page of the console's state and buttons, with the scene in a frame below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import NamedTuple

from expo_ft_ros.monitor import markup

SCENE = "/scene"
"""Path of the page that is shown in the frame."""

CAMERAS = "/cameras"
"""Path of the websocket of `camera_stream`, which a page asks for where it is narrow."""

SOCKET = "/controls"
"""Path of the websocket. To the page: {"state", "reply" or "alarm": HTML, "headline": the fields of
`headline.Headline`, "motion": that it is off, or "", "episode": its number, "idle": name of each
button that would do nothing now -> why, "over": whether the run is, "stopped": whether a stop
holds the arm, "beat": a number that grows
twice a second}. From it: {"button": name, "beat" and "episode": what it had last heard when the
button was pressed}."""


class Button(NamedTuple):
    """A button's words, and what it does: in full for a pointer that hovers, in brief below the
    label, since a finger doesn't hover."""

    label: str
    hint: str
    brief: str = ""


BUTTONS: Mapping[str, Button] = MappingProxyType(
    {
        "estop": Button("E-STOP", "Stops the arm at once and discards the episode"),
        "success": Button("Success", "Ends the episode as a success", "ends the episode"),
        "failure": Button("Failure", "Ends the episode as a failure", "ends the episode"),
        "reset": Button(
            "Reset", "Ends the episode; or says that what was asked is done", "ends it; or: done"
        ),
        "redo": Button(
            "Redo", "Discards the last demonstration, which comes again", "last demonstration"
        ),
        "pause": Button("Pause", "Holds the arm; the episode waits", "holds the arm"),
        "resume": Button("Resume", "Goes on after a pause", "after a pause"),
        "save_checkpoint": Button(
            "Save", "Writes a checkpoint: now, or when the episode is over", "a checkpoint"
        ),
        "acknowledge": Button(
            "Go on alone",
            "The device was lost while somebody drove: the policy may go on",
            "the device was lost",
        ),
        "recover": Button(
            "Recover", "The robot has stopped itself: asks it to recover", "the robot's own stop"
        ),
        "release": Button("Release", "Frees the arm after a stop", "after a stop"),
    }
)
"""By name, in the order in which they stand: what frees the arm farthest from what stops it."""

_STYLE = """
html, body { margin: 0; height: 100%; background: #141414; color: #e3e6ea;
  font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
body { display: flex; flex-direction: column; }
#motion { flex: none; padding: 4px 12px; background: #7a3fb0; font-size: 19px; font-weight: 700;
  letter-spacing: .03em; }
#motion:empty { display: none; }
#headline { display: flex; align-items: baseline; gap: .8em; height: 44px; line-height: 44px;
  padding: 0 12px; overflow: hidden; white-space: nowrap; background: #30353c; flex: none; }
#headline b { font-size: 23px; letter-spacing: .03em; }
#headline span { font-size: 16px; flex: 1; overflow: hidden; text-overflow: ellipsis; }
#headline label { font-size: 13px; opacity: .8; cursor: pointer; }
#headline.good { background: #1f6b43; } #headline.busy { background: #28508f; }
#headline.turn { background: #f0b429; color: #111; animation: call 1s 6 alternate; }
#headline.human { background: #ff8c00; color: #111; }
#headline.held { background: #8a5a00; } #headline.paused { background: #6b4a8f; }
#headline.bad { background: #d62828; }
@keyframes call { to { background: #ffe08a; } }
header { display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content; gap: 8px;
  padding: 8px; background: #242424; border-bottom: 1px solid #3a3a3a; height: 98px; flex: none; }
#told { overflow: auto; }
#cameras { display: none; }
iframe { flex: 1; border: 0; min-height: 0; }
button { border: 0; border-radius: 3px; padding: 0 .4em; min-width: 6.4em; height: 45px;
  background: #40464e; color: #fff; font: inherit; font-size: 14px; cursor: pointer;
  touch-action: manipulation; }
#others button::after { content: attr(data-brief) / ""; display: block; font-size: 11px;
  opacity: .75; }
button:active { filter: brightness(1.3); }
#estop { background: #d62828; height: 98px; width: 190px; font-size: 21px; letter-spacing: .06em; }
#success { background: #24804e; } #failure { background: #a66300; }
button:disabled { background: #333 !important; color: #777; cursor: default; }
#estop.pressed { background: #7d1717; outline: 3px solid #ff8a80; outline-offset: -6px; }
button.next { outline: 3px solid #ffd34d; }
#others { display: grid; grid-template-columns: repeat(5, 1fr); gap: 8px; align-content: start; }
#lost { display: none; color: #ff5d55; padding: .4em .75em; }
.lost iframe { visibility: hidden; } .lost #lost { display: block; }
.over #lost { display: none; } .lost:not(.over) #cameras { visibility: hidden; }
.lost #state, .lost #reply, .lost:not(.over) #headline { opacity: .35; }
.xf { margin: 0 .75em; } #reply { min-height: 1.3em; }
@media (max-width: 60em) {
  #headline { flex-wrap: wrap; height: 76px; line-height: 1.25; align-content: center;
    row-gap: 2px; white-space: normal; }
  #headline span { flex-basis: 100%; order: 3; font-size: 15px; max-height: 2.5em; }
  #headline b { flex: 1; }
  header { display: contents; }
  #told { order: 2; padding: 4px 0; height: 7.6em; flex: none; background: #242424; }
  #cameras { display: flex; order: 1; flex: none; gap: 4px; background: #000; }
  #cameras figure { margin: 0; flex: 1; position: relative; min-width: 0; }
  #cameras img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; }
  #cameras figcaption { position: absolute; left: 6px; top: 2px; font-size: 12px; }
  iframe { order: 3; } #others { order: 4; gap: 6px; } #estop { order: 5; flex: none; }
  #others { grid-template-columns: repeat(3, 1fr); }
  #others, #estop { margin: 6px 8px; } #estop { width: auto; height: 60px; }
  button { min-width: 0; height: 44px; } #recover:disabled { display: none; }
  /* Beside E-STOP stands what holds the arm, too, and far from it what frees it. */
  #release { order: -1; } #pause { order: 1; } #save_checkpoint { order: 2; }
}
"""

# Nothing is sent into a connection from which nothing is heard: it might be obeyed much later.
_SCRIPT = (
    """
const QUIET = 2500;
const buttons = [...document.querySelectorAll("button")];
const frame = document.querySelector("iframe");
const title = document.title, hints = {}, bar = document.getElementById("headline");
const call = document.getElementById("call");
let socket, silence, beat = 0, episode = 0, idle = {}, over = false, lost = true, next = "";
let turn = "", stopped = false;
for (const button of buttons) hints[button.id] = button.title;
// What a browser may refuse: without it the buttons are there all the same.
function attempt(what) {
  try { return what(); } catch { return null; }
}
const audio = attempt(() => new AudioContext());
call.checked = attempt(() => localStorage.getItem("call")) !== "off";
function allow() {
  attempt(() => audio.resume());
  if (call.checked)
    attempt(() => Notification.permission === "default" && Notification.requestPermission());
}
call.onchange = () => {
  attempt(() => localStorage.setItem("call", call.checked ? "on" : "off"));
  allow();
};
function show() {
  document.body.classList.toggle("lost", lost);
  document.body.classList.toggle("over", over);
  for (const button of buttons) {
    button.disabled = lost || button.id in idle;
    button.title = idle[button.id] ? `Off: ${idle[button.id]}` : hints[button.id];
    button.classList.toggle("next", button.id === next && !button.disabled);
  }
  document.getElementById("estop").classList.toggle("pressed", stopped && !lost);
}
// A browser lets a page sound once somebody has clicked in it.
function sound() {
  if (!audio || audio.state !== "running") return;
  const tone = audio.createOscillator(), loudness = audio.createGain();
  loudness.gain.value = 0.15;
  tone.frequency.value = 880;
  tone.connect(loudness).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.25);
}
function headline(told) {
  bar.className = told.tone;
  bar.querySelector("b").textContent = told.words;
  bar.querySelector("span").textContent = told.more;
  next = told.press;
  document.title = `${told.words} · ${title}`;
  const now = told.tone === "turn" ? told.more : "";
  if (now && now !== turn && call.checked) {
    attempt(sound);
    if (document.hidden) attempt(() => new Notification(`${told.words}: ${now}`));
  }
  turn = now;
}
document.onpointerdown = allow;
function press(button) {
  document.getElementById("reply").textContent = button.textContent + " ...";
  socket.send(JSON.stringify({button: button.id, beat, episode}));
}
for (const button of buttons) {
  // A finger that slides off has stopped the arm all the same.
  if (button.id === "estop") button.onpointerdown = () => lost || press(button);
  button.onclick = (event) => button.id === "estop" && event.detail ? 0 : press(button);
}
function heard(mine) {
  clearTimeout(silence);
  silence = setTimeout(() => drop(mine), QUIET);
}
function drop(mine) {
  if (mine !== socket) return;
  socket = null;
  lost = true;
  if (!over) document.title = `NO CONNECTION · ${title}`;
  show();
  mine.close();
  setTimeout(connect, 1000);
}
function connect() {
  const mine = socket = new WebSocket(location.origin.replace("http", "ws") + "SOCKET");
  heard(mine);
  mine.onmessage = (event) => {
    if (mine !== socket) return;
    heard(mine);
    const told = JSON.parse(event.data);
    for (const id of ["state", "reply", "alarm"])
      if (id in told) document.getElementById(id).innerHTML = told[id];
    ({beat = beat, episode = episode, idle = idle, over = over, stopped = stopped} = told);
    if ("motion" in told) document.getElementById("motion").textContent = told.motion;
    if (lost) {
      // Drawn before the scene is. viser looks for its server only while it has the focus.
      frame.onload = () => frame.contentWindow.focus();
      requestAnimationFrame(() => setTimeout(() => (frame.src = "SCENE")));
    }
    lost = false;
    if (told.headline) headline(told.headline);
    show();
    look();
  };
  mine.onclose = () => drop(mine);
}
// Where there is room the scene's own panel shows them.
const pictures = [...document.querySelectorAll("#cameras img")];
const narrow = matchMedia("(max-width: 60em)");
var cameras = null;
function look() {
  if (!narrow.matches) {
    if (cameras) cameras.close();
    return;
  }
  if (cameras || over) return;
  const mine = cameras = new WebSocket(location.origin.replace("http", "ws") + "CAMERAS");
  mine.binaryType = "arraybuffer";
  mine.onmessage = (event) => {
    const picture = pictures[new Uint8Array(event.data, 0, 1)[0]], old = picture.src;
    picture.src = URL.createObjectURL(new Blob([event.data.slice(1)], {type: "image/jpeg"}));
    if (old) URL.revokeObjectURL(old);
  };
  mine.onclose = () => { cameras = null; if (!over) setTimeout(look, 1000); };
}
narrow.onchange = look;
look();
connect();
""".replace("SOCKET", SOCKET)
    .replace("CAMERAS", CAMERAS)
    .replace("SCENE", SCENE)
)


def page(title: str, view_names: Sequence[str] = ()) -> bytes:
    """HTML. view_names: of the cameras, in the order of their numbers."""
    pictures = "".join(
        f'<figure><img alt="{escape(name)}"><figcaption>{escape(name)}</figcaption></figure>'
        for name in view_names
    )
    estop, *others = (
        f'<button id="{name}" title="{button.hint}" data-brief="{button.brief}" disabled>'
        f"{button.label}</button>"
        for name, button in BUTTONS.items()
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{markup.STYLE}<style>{_STYLE}</style></head>
<body class="lost">
<div id="motion" role="status"></div>
<div id="headline" role="status"><b>CONNECTING</b><span></span><label title="A sound, and a
notification where the page isn't seen, when the operator is waited for"><input id="call"
type="checkbox"> notify me</label></div>
<header>{estop}
<div id="told"><div id="alarm" role="alert"></div><div id="state"></div><div id="reply"></div>
<div id="lost" role="alert">No connection: the buttons do nothing. Where the run hasn't ended, stop
the robot by its own means.</div></div>
<div id="others">{"".join(others)}</div></header>
<div id="cameras">{pictures}</div>
<iframe name="scene" title="scene, cameras, curves"></iframe>
<script>{_SCRIPT}</script>
</body></html>
""".encode()
