# SPDX-License-Identifier: Apache-2.0
"""A topic has one sender at a time: what a second one says there counts for nothing.

A bag that is played into a running graph, a second graph in the same domain, a command typed by
hand: what they say may be right in every number. Only who says it tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


class PublisherGuard:
    """Knows a topic's sender by the identity that the middleware gives with each message.

    publishers: how many there are at the moment; identities: theirs, asked for seldom, none where
    the middleware doesn't tell them by the names that messages bear; reject_permanently: a
    publisher that was refused once is never believed, also when the sender is gone.
    """

    def __init__(
        self,
        publishers: Callable[[], int],
        identities: Callable[[], Iterable[bytes]],
        *,
        reject_permanently: bool = False,
    ) -> None:
        self._publishers, self._identities = publishers, identities
        self._reject_permanently = reject_permanently
        self._gid: bytes | None = None
        self._refused: set[bytes] = set()

    def refresh(self) -> None:
        """Accepts the publisher that is there alone, also before it has said anything; to be
        called now and then.

        The operator's device is silent for long, and of a command a zero is believed of anybody:
        when the first other word comes, somebody else may be there as well.
        """
        there = list(self._identities()) if self._publishers() == 1 else []
        if len(there) == 1 and there[0] not in self._refused:
            self._gid = there[0]

    def accepts(self, info: Mapping[str, Any]) -> bool:
        """Whether a message is the sender's, by what rclpy says of it (`MessageInfo`).

        The sender is the publisher that was seen or heard while it was alone, until it is gone; of
        two that were never alone neither is. With an rclpy that gives no identity (before 9) all
        pass.
        """
        gid = info.get("publisher_gid")
        if gid is None:
            return True
        said_by = bytes(gid["data"])
        if said_by == self._gid:
            return True
        if said_by in self._refused or not self._is_alone(said_by):
            if self._reject_permanently and self._gid is not None:
                self._refused.add(said_by)
            return False
        self._gid = said_by
        return True

    def _is_alone(self, gid: bytes) -> bool:
        """A message may come before its sender is counted: then those who are, are others."""
        return self._publishers() <= 1 and list(self._identities()) in ([], [gid])
