# SPDX-License-Identifier: Apache-2.0
"""Signs of life of a node whose callbacks may take long: a thread beats while they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class HeartbeatPublisher:
    """Beats once a period, as long as `kick` was called within `patience` [s].

    The executor touches it between its callbacks, so that a callback that computes is no sign of
    death, and one that hangs is. publish: called in a thread of the heart's own.
    """

    def __init__(self, publish: Callable[[], None], period: float, patience: float) -> None:
        self._publish, self._period, self._patience = publish, period, patience
        self._kicked = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def kick(self) -> None:
        """The thread that is watched is not stuck."""
        self._kicked = time.monotonic()

    def stop(self) -> None:
        """Returns once the last beat is over."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._period):
            if time.monotonic() - self._kicked < self._patience:
                self._publish()
