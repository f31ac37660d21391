# SPDX-License-Identifier: Apache-2.0
"""The recorded episodes of a run in a browser, without a graph: the console's tab, and a scene."""

from __future__ import annotations

from html import escape

from expo_ft_ros.monitor import controls_page, episodes_page
from expo_ft_ros.monitor.auth_proxy import AuthProxy, passed_on
from expo_ft_ros.monitor.console import dress
from expo_ft_ros.monitor.playback import Player, Recordings
from expo_ft_ros.monitor.server import HiddenServer, page
from expo_ft_ros.robots import RobotLimits
from expo_ft_ros.tasks import TaskConfig
from expo_ft_ros.tasks.reward import Classifier


class EpisodeBrowser:
    """Open once it is made; `url` says where."""

    def __init__(
        self,
        name: str,
        task: TaskConfig,
        limits: RobotLimits,
        recordings: Recordings,
        *,
        host: str = "127.0.0.1",
        port: int,
        token: str = "",
        classifier: Classifier,
    ) -> None:
        """name: of the run; limits: what an action of 1 meant in it; host, port, token: as of
        `auth_proxy.AuthProxy`; classifier: as of `Console`.

        Raises ConfigError as `AuthProxy`.
        """
        self._server = HiddenServer(name)
        gui = self._server.gui
        dress(self._server, task, classifier.heights)
        tabs = gui.add_tab_group()
        self._player = Player(self._server, tabs, task, limits, recordings, classifier)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(400)
        pages = {
            "/": _page(name),
            controls_page.SCENE: page(),
            episodes_page.PAGE: episodes_page.page(),
        }
        talks = {
            controls_page.SCENE: passed_on(self._server.url),
            episodes_page.SOCKET: self._player.talk,
        }
        try:
            self._gate = AuthProxy(pages, talks, host, port, token)
        except ValueError:
            self._player.close()
            self._server.stop()
            raise

    @property
    def url(self) -> str:
        """What to open in a browser: it holds the token."""
        return self._gate.url

    def close(self) -> None:
        """Ends every connection and its threads."""
        self._gate.close()
        self._player.close()
        self._server.stop()


def _page(title: str) -> bytes:
    # viser looks for its server only while it has the focus.
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>html, body, iframe {{ margin: 0; border: 0; width: 100%; height: 100%; display: block;
  background: #141414; }}</style></head>
<body><iframe name="scene" title="scene and recorded episodes" src="{controls_page.SCENE}"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => frame.contentWindow.focus();
</script></body></html>
""".encode()
