# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench ablation`: what of the algorithm does the work.

A folder of one JSON file a run under benchmarks/results/. The same command goes on after a stop,
where trainings and tests that are done stay, and prints the tables of what there is.
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.experiment import ablation_report
from expo_ft_ros.experiment.ablation import Study, StudyRun, do_run
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import AblationOptions


def main(words: Sequence[str]) -> int:
    """Does what is left of it; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, before anything is run; as `do_run`.
    """
    study = Study(parse_arguments(words, AblationOptions), results_folder())
    try:
        # What a seed begins with is imitated once, not by each of its arms.
        for runs in (study.starts, study.runs):
            _do(study, runs)
    except BrokenProcessPool as error:
        print(f"expo-ft: bench ablation: {error} (the same command goes on)")
        return 1
    print(ablation_report.as_text(study))
    print(f"in {study.folder}")
    return 0


def _do(study: Study, runs: Sequence[StudyRun]) -> None:
    if study.options.jobs == 1:
        for run in runs:
            print(do_run(study, run), flush=True)
        return
    # Spawned: torch's and OpenGL's threads don't survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(study.options.jobs, context, max_tasks_per_child=1) as pool:
        try:
            for done in as_completed(
                [pool.submit(_work, study.options, study.folder.parent, run) for run in runs]
            ):
                print(done.result(), flush=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _work(options: AblationOptions, results: Path, run: StudyRun) -> str:
    """In a process of its own: a task's configuration, whose class is made at run time, can't be
    sent to it, so the study is made there."""
    return do_run(Study(options, results), run)
