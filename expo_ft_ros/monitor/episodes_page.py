# SPDX-License-Identifier: Apache-2.0
"""The page of the recorded episodes: a table to choose from, and the player of the chosen one."""

from __future__ import annotations

from expo_ft_ros.monitor.static_files import script, static, style

PAGE = "/episodes"
"""Path of the page, which is shown in a frame of a tab."""

SOCKET = "/episodes/socket"
"""Path of its websocket. To the page, any of: {"rows": as `episode_list.row`, "reading": how many
files are still to be read, "reply": HTML, "playing": whether, "episode": null or that which is
played {"file", "title", "summary", "words": names of what may be said of it, "note", "steps",
"period" [s], "timeline", "legend": HTML}, "frame": what there was at a step {"step", "driver",
"images": addresses, "q": HTML}}. From it: {"open": file, "" for none}, {"step": number}, {"play":
whether}, {"word": name, "file": of which}."""

_OURS = "expo_ft_ros.monitor"
_SCRIPTS = "connection.js", "episodes.js"
_HEIGHT = "calc(100vh - 6.5em)"  # what the tabs leave
FRAME = (
    f'<iframe name="episodes" src="{PAGE}" title="recorded episodes" '
    f'style="display:block;width:100%;height:{_HEIGHT};min-height:20em;border:0"></iframe>'
)
"""HTML that shows the page."""


def page() -> bytes:
    """HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>recorded episodes</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{style(_OURS, "markup.css", "episodes.css")}</head>
<body>{static(_OURS, "episodes.html")}
{script(_OURS, *_SCRIPTS, SOCKET=SOCKET, HEIGHT=_HEIGHT)}</body></html>
""".encode()
