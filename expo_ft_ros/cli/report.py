# SPDX-License-Identifier: Apache-2.0
"""`expo-ft report`: a run's summary in words, its page, and runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.cli.arguments import Parser, wants_help
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.progress import format_line, format_summary, read_status, read_summary
from expo_ft_ros.experiment.run_folder import find_run, is_running, read_config


def main(words: Sequence[str]) -> int:
    """Runs the command; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, a run that isn't there, or a page that can't be written.
    """
    if wants_help(words):
        print(_parser().format_help(), end="")
        return 0
    wanted = _parser().parse(words)
    if wanted.compare:
        return _compare([*wanted.runs], wanted.output)
    if len(wanted.runs) > 1:
        raise ConfigError(
            f"report takes one run, got {len(wanted.runs)} (compare:=true puts several together)"
        )
    if wanted.output is not None:
        raise ConfigError("report: output:= is of compare:=true; one run's page is in its folder")
    path = find_run(wanted.runs[0] if wanted.runs else "latest")
    _print_summary(path)
    # Seconds of imports, for who waits for the words.
    from expo_ft_ros.report.run_data import read_run
    from expo_ft_ros.report.single import write_report

    print(f"Report: {write_report(read_run(path))}")
    if wanted.wandb:
        from expo_ft_ros.report.wandb_sync import sync

        print(f"W&B: {sync(path, wanted.wandb)}")
    return 0


def _parser() -> Parser:
    made = Parser(
        prog="expo-ft report",
        description="Prints a run's summary and writes its page, report.html in its folder.",
    )
    made.add_argument("runs", nargs="*", metavar="run", help="a run's folder, or `latest`")
    made.add_argument(
        "--compare", action="store_true", help="one page of all the runs that are named"
    )
    made.add_argument(
        "--output",
        metavar="FILE",
        help="file of the page of compare:=true (default: comparison.html, here)",
    )
    made.add_argument(
        "--wandb",
        metavar="PROJECT",
        help="project of Weights & Biases that the run's scalars are sent to as well (needs the "
        "extra `wandb`)",
    )
    return made


def _compare(sources: list[str], output: str | None) -> int:
    from expo_ft_ros.report.comparison import PAGE, write_comparison
    from expo_ft_ros.report.run_data import read_run

    if len(sources) < 2:
        raise ConfigError(f"report compare:=true needs two runs at least, got {len(sources)}")
    runs = [read_run(find_run(source)) for source in sources]
    path = Path(output or PAGE).expanduser()
    write_comparison(runs, path)
    print(f"Comparison of {len(runs)} runs: {path}")
    return 0


def _print_summary(path: Path) -> None:
    summary, status = read_summary(path), read_status(path)
    print(f"Run: {path}")
    if summary is not None:
        print(format_summary(summary))
        return
    told = format_line(status) if status else "it has not got to its first episode (see its logs/)"
    if is_running(path):
        print(f"Running: {told}")
        return
    print(f"Stopped before its end: {told}")
    command = read_config(path).get("command")
    if command in ("train", "collect"):
        print(f"Go on with it: ./expo-ft {command} resume:={path}")
