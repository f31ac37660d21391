# SPDX-License-Identifier: Apache-2.0
"""The answers to buttons: the page that a browser is sent on to shows its own, and nobody else's
page does."""

from __future__ import annotations

import secrets
import threading

_MOST = 200


class Answers:
    """The newest of them, by a key that is part of the page's address. From any thread."""

    def __init__(self) -> None:
        """There is none yet."""
        self._kept: dict[str, str] = {}
        self._changing = threading.Lock()

    def keep(self, words: str) -> str:
        """Keeps the words of an answer; gives their key."""
        key = secrets.token_urlsafe(9)
        with self._changing:
            self._kept[key] = words
            if len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
        return key

    def get(self, key: str) -> str:
        """The words of a key; "" where it is none, or an old one."""
        return self._kept.get(key, "")
