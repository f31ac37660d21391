# SPDX-License-Identifier: Apache-2.0
"""ROS domains, each for one test of this machine at a time."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST, COUNT = 101, 130
"""Those below are of runs with a domain of their own (EXPO_FT_ISOLATE)."""
_PLACES = itertools.count(os.getpid() * 11)


@contextmanager
def own_domain() -> Iterator[int]:
    """A domain that no other test has, in this process or another, until the block ends.

    Each is another than the last: what a node that was killed has left behind is not met again.
    """
    for place in itertools.islice(_PLACES, COUNT):
        number = FIRST + place % COUNT
        path = Path(tempfile.gettempdir()) / f"expo_ft_ros_test_domain_{number}.lock"
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise RuntimeError(f"none of {COUNT} ROS domains is free")
