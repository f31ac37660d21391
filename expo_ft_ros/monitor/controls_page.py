# SPDX-License-Identifier: Apache-2.0
"""The page of the console's state and buttons, with the scene in a frame below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import NamedTuple

from expo_ft_ros.monitor.static_files import script, style

SCENE = "/scene"
"""Path of the page that is shown in the frame."""

CAMERAS = "/cameras"
"""Path of the websocket of `camera_stream`, which a page asks for where it is narrow."""

SOCKET = "/controls"
"""Path of the websocket. To the page: {"state", "reply" or "alarm": HTML, "headline": the fields of
`headline.Headline`, "motion": that it is off, or "", "episode": its number, "idle": name of each
button that would do nothing now -> why, "over": whether the run is, "stopped": whether a stop
holds the arm, "beat": a number that grows
twice a second, "stop": how many stops there were}. From it: {"button": name, "beat", "episode" and
"stop": what it had last heard when the button was pressed}."""


_OURS = "expo_ft_ros.monitor"
_SCRIPTS = "connection.js", "controls.js"


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
            "Recover", "The robot has stopped itself: asks it to recover", "after its own stop"
        ),
        "release": Button("Release", "Frees the arm after a stop", "after a stop"),
    }
)
"""By name, in the order in which they stand: what frees the arm farthest from what stops it."""


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
{style(_OURS, "markup.css", "controls.css")}</head>
<body class="lost">
<div id="motion" role="status"></div>
<div id="headline" role="status"><b>CONNECTING</b><span></span><label title="A sound, and a
notification where the page isn't seen, while the operator is waited for"><input id="call"
type="checkbox"> <span id="how">call me</span></label></div>
<header>{estop}
<div id="told"><div id="alarm" role="alert"></div><div id="reply"></div><div id="state"></div>
<div id="lost" role="alert">Nothing is heard: no button but E-STOP is passed on, and that only while
it is lit; nobody knows whether it is obeyed.</div></div>
<div id="others">{"".join(others)}</div></header>
<div id="cameras">{pictures}</div>
<iframe name="scene" title="scene, cameras, curves"></iframe>
{script(_OURS, *_SCRIPTS, SCENE=SCENE, CAMERAS=CAMERAS, SOCKET=SOCKET)}
</body></html>
""".encode()
