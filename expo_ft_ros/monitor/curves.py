# SPDX-License-Identifier: Apache-2.0
"""What the console's curves share."""

from __future__ import annotations

from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

NO_POINTS: Any = {"show": False}
"""Of a series that is only a line."""

NO_TICKS: Any = {"show": False}
"""Of an axis."""


def draw(handle: viser.GuiUplotHandle, rows: NDArray[np.floating[Any]]) -> None:
    """Shows rows in a plot, which is hidden where there are none.

    Args:
        handle: Of the plot.
        rows: (n, series), the first being x; NaN is left out.
    """
    if len(rows):
        handle.data = tuple(np.ascontiguousarray(column, np.float64) for column in rows.T)
    # Last: it isn't drawn with what was there before.
    handle.visible = len(rows) > 0
