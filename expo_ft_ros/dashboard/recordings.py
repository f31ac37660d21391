# SPDX-License-Identifier: Apache-2.0
"""Pages of recorded episodes, a process and a port for each run that is looked at."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.dashboard.helpers import BROWSER_NICE, Helpers

MOST = 2
"""Are open at a time; another one ends the one that was opened first."""

_PREFIX = "browse "
_OPEN = "(Ctrl-C ends it)"
_PORT = re.compile(r":(\d+)/")
_OPENS_WITHIN = 120.0  # [s]


class RecordingPages:
    """Those that are open. From any thread."""

    def __init__(self, helpers: Helpers, host: str) -> None:
        """None is open yet.

        Args:
            helpers: That serve them.
            host: That they listen on.
        """
        self._helpers, self._host = helpers, host
        self._opening = threading.Lock()

    def open(self, run: Path) -> int:
        """The port of a run's page, once it is open: the one that is open already, where there is
        one.

        Raises:
            ConfigError: where it can't be opened, in the words of `episodes browse`.
        """
        name = _PREFIX + run.name
        # Asked for twice it is opened once: the second waits for what the first has begun.
        with self._opening:
            open_now = self._helpers.named(_PREFIX)
            if name not in open_now:
                for oldest in open_now[: 1 - MOST]:
                    self._helpers.end(oldest)
            # Any port that is free: it says which.
            words = ["episodes", "browse", str(run), "port:=0", f"host:={self._host}"]
            helper = self._helpers.start(name, "expo_ft_ros.cli", words, BROWSER_NICE)
        found = _PORT.findall(helper.wait_for(_OPEN, _OPENS_WITHIN))
        if not found:
            helper.end()
            raise ConfigError("\n".join(helper.lines) or f"{run}: its recordings don't open")
        return int(found[-1])
