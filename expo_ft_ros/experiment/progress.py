# SPDX-License-Identifier: Apache-2.0
"""What the operator sees of a run: a live panel in a terminal, plain lines elsewhere, a summary.

It knows the run folder only: `status.json` has the fields of msg/SessionStatus, `summary.json` is
written by the session at the end (see `format_summary`). So it shows a remote or a past run alike.
"""

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from expo_ft_ros.control.plan import SHADOW

STATUS_FILE = "status.json"
SUMMARY_FILE = "summary.json"

LINE_PERIOD = 5.0
"""Between two plain lines of one stage [s]."""

STAGES = {
    "": "starting the nodes",
    "collect": "collecting demonstrations",
    "imitation": "imitation of the demonstrations",
    "eval_before": "evaluation after imitation",
    "rl": "reinforcement learning online",
    "eval_after": "evaluation after RL",
    SHADOW: "a policy without motion",
    "done": "done",
}

_Z = 1.959963984540054


def read_status(run_dir: Path) -> dict[str, Any] | None:
    """The newest status of a run; None before there is one."""
    return _read(run_dir / STATUS_FILE)


def read_summary(run_dir: Path) -> dict[str, Any] | None:
    """The summary of a run; None before it has ended."""
    return _read(run_dir / SUMMARY_FILE)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95% Wilson score interval of a success rate.

    Raises:
        ValueError: when there is no trial, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials have no interval")
    rate = successes / trials
    spread = _Z * math.sqrt(rate * (1 - rate) / trials + _Z**2 / (4 * trials**2))
    scale = 1 + _Z**2 / trials
    middle = rate + _Z**2 / (2 * trials)
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def format_duration(seconds: float | None) -> str:
    """As "1:02:03" or "2:03"; "-" when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(int(max(0.0, seconds) + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_line(status: Mapping[str, Any]) -> str:
    """A status in one plain line."""
    parts = [_stage_words(status)]
    parts += [value if name == "note" else f"{name} {value}" for name, value in status_rows(status)]
    return ", ".join(parts)


def _stage_words(status: Mapping[str, Any]) -> str:
    stage = str(status.get("stage", ""))
    if stage == "rl" and status.get("learns") is False:
        return "the policy at work, nothing learns"
    return STAGES.get(stage, stage)


def evaluation_of(summary: Mapping[str, Any], stage: str) -> tuple[int, int] | None:
    """(successes, trials) that a summary tells of an evaluation; None where it tells none."""
    result = summary.get(stage)
    if not isinstance(result, Mapping):
        return None
    successes, trials = _count(result.get("successes")), _count(result.get("trials"))
    if successes is None or not trials or successes > trials:
        return None
    return successes, trials


def format_summary(summary: Mapping[str, Any]) -> str:
    """The summary of a run in a few lines.

    Of summary.json it takes `eval_before` and `eval_after` (each `successes` of `trials`),
    `demonstrations`, `env_steps`, `robot_seconds` and `wall_seconds` (what it was spent on ->
    seconds); what is missing is left out. `kind` tells an evaluation alone, or one with motion off,
    of which only the episodes are counted; `perturb` what its scenes were disturbed by.
    """
    lines = []
    if words := _shadowed(summary):
        lines.append(words)
    if summary.get("demonstrations"):
        lines.append(f"Demonstrations: {summary['demonstrations']}")
    if summary.get("perturb"):
        lines.append(f"Scenes disturbed by: {summary['perturb']}")
    after = "of the policy" if summary.get("kind") == "eval" else "after RL"
    for key, title in (("eval_before", "after imitation"), ("eval_after", after)):
        result = evaluation_of(summary, key)
        if result is None:
            continue
        successes, trials = result
        low, high = wilson(successes, trials)
        lines.append(
            f"Success {title}: {successes}/{trials} = {successes / trials:.0%} "
            f"(95% interval {low:.0%} to {high:.0%})"
        )
    robot = finite(summary.get("robot_seconds"))
    if robot:
        steps = summary.get("env_steps", "?")
        lines.append(f"Online: {steps} steps = {robot / 60:.1f} min of robot time")
    wall = summary.get("wall_seconds")
    if isinstance(wall, Mapping) and wall:
        split = ", ".join(f"{stage} {format_duration(finite(s))}" for stage, s in wall.items())
        total = sum(finite(seconds) or 0.0 for seconds in wall.values())
        lines.append(f"Wall clock: {format_duration(total)} ({split})")
    return "\n".join(lines)


def format_result(summary: Mapping[str, Any]) -> str:
    """What came of a run in one line, from the same fields."""
    parts = [words] if (words := _shadowed(summary)) else []
    for key, title in (("eval_after", "successes"), ("eval_before", "after imitation")):
        result = evaluation_of(summary, key)
        if result is not None:
            parts.append(f"{result[0]} of {result[1]} {title}")
    if not parts and summary.get("demonstrations"):
        parts.append(f"{summary['demonstrations']} demonstrations")
    return ", ".join(parts) or "the run is over"


def _shadowed(summary: Mapping[str, Any]) -> str:
    """What there is to say of a run with motion off; "" of any other."""
    if summary.get("kind") != SHADOW:
        return ""
    episodes = summary.get("episodes")
    count = _count(episodes.get(SHADOW)) if isinstance(episodes, Mapping) else None
    return f"Motion off: {count or 0} episodes, none of which counts"


class StatusLines:
    """When a status is worth a plain line: a stage or a note that is new, and every so often."""

    def __init__(self, period: float) -> None:
        """Nothing has been said yet.

        Args:
            period: Between two lines of one stage and note [s].
        """
        self._period = period
        self._said: tuple[str, str] | None = None
        self._said_at = -math.inf

    def line(self, status: Mapping[str, Any], now: float) -> str:
        """The status as a line where one is due, else "".

        Args:
            status: As in status.json.
            now: Of a clock that runs steadily [s].
        """
        # A note that counts is the same note.
        note = re.sub(r"[0-9.]+", "#", str(status.get("note", "")))
        said = (str(status.get("stage", "")), note)
        if said == self._said and now - self._said_at < self._period:
            return ""
        self._said, self._said_at = said, now
        return format_line(status)


class Display:
    """Shows a run while it goes on; use as a context manager and call `refresh` now and then."""

    def __init__(
        self,
        run_dir: Path,
        title: str,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A display of the run in `run_dir`; a live panel only where `console` is a terminal."""
        self._run_dir = run_dir
        self._title = title
        self._console = console or Console()
        self._clock = clock
        self._started = clock()
        self._live: Live | None = None
        self._lines = StatusLines(LINE_PERIOD)
        self._old = self._changed()

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            # No refresh thread: the runner's loop calls refresh.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self.refresh()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def refresh(self) -> None:
        """Shows the newest status."""
        status = self._status()
        if self._live is not None:
            self._live.update(self._panel(status), refresh=True)
            return
        now = self._clock()
        line = self._lines.line(status, now)
        if line:
            elapsed = format_duration(now - self._started)
            self._console.print(
                f"[{elapsed}] {line}", markup=False, highlight=False, soft_wrap=True
            )

    def _status(self) -> dict[str, Any]:
        """The newest status, but not that of an earlier start of a resumed run."""
        if self._changed() == self._old:
            return {}
        return read_status(self._run_dir) or {}

    def _changed(self) -> int | None:
        try:
            return (self._run_dir / STATUS_FILE).stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _panel(self, status: Mapping[str, Any]) -> Panel:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column()
        progress = finite(status.get("stage_progress")) or 0.0
        table.add_row("stage", Text(_stage_words(status), style="bold"))
        table.add_row("", ProgressBar(total=1.0, completed=min(1.0, progress), width=40))
        for name, value in status_rows(status):
            table.add_row(name, Text(value))
        table.add_row("elapsed", Text(format_duration(self._clock() - self._started)))
        table.add_row("run", Text(str(self._run_dir), overflow="fold"))
        return Panel(table, title=Text(self._title), expand=False)


def status_rows(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what a status (fields of msg/SessionStatus) says, in order of display."""
    rows = []
    total = _count(status.get("stage_episodes_total")) or 0
    done = _count(status.get("stage_episodes")) or 0
    if status.get("stage") and (done or total):
        # Without those that are discarded, which have numbers too.
        rows.append(("episodes", f"{done}/{total}") if total else ("counted episodes", str(done)))
    practises = status.get("stage") == "rl" and status.get("learns") is False
    asked = _count(status.get("env_steps_total"))
    if asked and not practises and status.get("stage") in ("rl", "eval_after", "done"):
        # The episode in which they were reached is driven to its end.
        steps = _count(status.get("env_steps")) or 0
        rows.append(
            ("online steps", f"{steps} ({asked} asked)" if steps > asked else f"{steps}/{asked}")
        )
    for key, name in (
        ("success_rate", "success of last 20"),
        ("intervention_rate", "steps by a human"),
    ):
        value = finite(status.get(key))
        if value is not None and done:
            helped = key == "success_rate" and bool(finite(status.get("intervention_rate")))
            rows.append((name, f"{value:.0%}" + (" (with help)" if helped else "")))
    for key, name, form in (
        ("control_hz", "control", "{:.1f} Hz"),
        ("update_ratio", "updates a step", "{:.1f}"),
        ("stage_progress", "stage done", "{:.0%}"),
    ):
        value = finite(status.get(key))
        if value and not (practises and key == "stage_progress"):
            rows.append((name, form.format(value)))
    left = finite(status.get("seconds_left"))
    if left is not None and not practises:
        rows.append(("time left", format_duration(left)))
    if status.get("note"):
        rows.append(("note", str(status["note"])))
    return rows


def time_left(status: Mapping[str, Any]) -> str:
    """What a status says of the rest of the whole run, in words."""
    if status.get("stage") == "done":
        return "none, the run is done"
    if status.get("stage") == "rl" and status.get("learns") is False:
        return "nothing learns: it goes on until you end it"
    seconds = finite(status.get("seconds_left"))
    if seconds is None:
        return "not known yet"
    if seconds < 60:
        return "less than a minute"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min" if hours else f"about {minutes} min"


def finite(value: Any) -> float | None:
    """A finite number, else None: JSON may hold null or NaN where something is unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _count(value: Any) -> int | None:
    """A whole number from 0, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
