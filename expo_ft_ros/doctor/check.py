# SPDX-License-Identifier: Apache-2.0
"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "fail"]


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: What was looked at.
        status: `fail` when a run needs it, `missing` when only some runs do.
        text: What was seen.
        remedy: What to do about it; empty when nothing is to be done.
    """

    name: str
    status: Status
    text: str
    remedy: str = ""


def format_check(check: Check, width: int) -> str:
    """One line, and a second one with the remedy where there is one.

    Args:
        check: What to print.
        width: Columns for the name.
    """
    line = f"{check.status:<7}  {check.name:<{width}}  {check.text}"
    return f"{line}\n{'':{9 + width}}  -> {check.remedy}" if check.remedy else line
