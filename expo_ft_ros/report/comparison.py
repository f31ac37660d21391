# SPDX-License-Identifier: Apache-2.0
"""Runs side by side: curves over each other, final results, and in what the runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.progress import format_duration, wilson
from expo_ft_ros.report import page
from expo_ft_ros.report.curves import compared_curves
from expo_ft_ros.report.drawing import render
from expo_ft_ros.report.page import Html
from expo_ft_ros.report.run_data import EVALUATIONS, RunData
from expo_ft_ros.report.windows import WINDOW

PAGE = "comparison.html"
_UNKNOWN = "-"
_OF_THE_MOMENT = ("machine.time", "machine.load_before")  # of any two runs they differ
_HEAD = (
    "run",
    "state",
    "before RL",
    "95% interval",
    "after RL",
    "95% interval",
    "online steps",
    "robot minutes",
    "by a human",
    "wall clock",
)


def write_comparison(runs: Sequence[RunData], path: Path) -> None:
    """Writes the page, in place of an older one.

    Raises:
        ConfigError: when it can't be written.
    """
    names = titles(runs)
    body = [
        page.element("h1", f"{len(runs)} runs side by side"),
        page.section("Results", page.table(_HEAD, map(_result, runs, names))),
        page.section("Training", _curves(runs, names)),
        page.section("Differences", *_differences(runs, names)),
    ]
    try:
        path.write_text(page.page("Runs side by side", body), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be written: {error.strerror} (give another output:=)"
        ) from error


def titles(runs: Sequence[RunData]) -> list[str]:
    """A name of each run, no two alike: its folder's, with a number where it isn't the first of
    that name."""
    names: list[str] = []
    for run in runs:
        again = sum(other.name == run.name for other in runs[: len(names)])
        names.append(f"{run.name} ({again + 1})" if again else run.name)
    return names


def differences(runs: Sequence[RunData]) -> list[tuple[str, list[str]]]:
    """Name and each run's value of what is not the same in all of them: of their settings, and of
    the machines that they were on."""
    said = [
        run.settings | {f"machine.{name}": value for name, value in run.machine.items()}
        for run in runs
    ]
    names = dict.fromkeys(name for lines in said for name in lines if name not in _OF_THE_MOMENT)
    rows = [(name, [lines.get(name, _UNKNOWN) for lines in said]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _result(run: RunData, name: str) -> tuple[str, ...]:
    steps = run.online[-1].online_steps if run.online else 0
    driven = sum(line.steps for line in run.online)
    human = sum(line.human_steps for line in run.online)
    trials = [cell for stage in EVALUATIONS for cell in _trials(run, stage)]
    return (
        name,
        run.state,
        *trials,
        str(steps) if steps else _UNKNOWN,
        f"{steps / run.control_hz / 60:.1f}" if steps else _UNKNOWN,
        f"{human / driven:.0%}" if driven else _UNKNOWN,
        format_duration(sum(run.wall.values())) if run.wall else _UNKNOWN,
    )


def _trials(run: RunData, stage: str) -> tuple[str, str]:
    if stage not in run.evaluations:
        return _UNKNOWN, _UNKNOWN
    won, trials = run.evaluations[stage]
    low, high = wilson(won, trials)
    return page.element("b", f"{won}/{trials}"), f"{low:.0%} to {high:.0%}"


def _curves(runs: Sequence[RunData], names: Sequence[str]) -> Html:
    if not any(run.online or run.evaluations for run in runs):
        return page.absent("None of the runs has an online episode or a trial.")
    words = "success, share of steps by a human, and episode time of each run over robot time"
    picture = render(compared_curves(runs, names), "comparison", words)
    return page.figure(
        picture,
        f"Online episodes, means of the last {WINDOW}. Band of success: 95% Wilson interval; bands "
        "below: quartiles. Diamonds: evaluations before (left) and after RL, with their 95% Wilson "
        "intervals, moved aside so that none covers another. A success counts with help, too.",
    )


def _differences(runs: Sequence[RunData], names: Sequence[str]) -> list[Html]:
    rows = [(name, *values) for name, values in differences(runs)]
    if not rows:
        return [page.absent("Their configurations (config.yaml) are the same.")]
    return [page.table(("config.yaml", *names), rows)]
