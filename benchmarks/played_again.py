# SPDX-License-Identifier: Apache-2.0
"""What weights that `expo-ft bench ablation` has kept do where they act by another rule.

    ./expo-ft python benchmarks/played_again.py play:=acting_candidates=8 WORDS

`play:=` takes changes as `change:=` does; WORDS are those of the ablation that was run, as in
docs/experiments.md, with a `change:=` for each field of the preset that is another since. Nothing
is trained. Prints both on the same scenes, and writes benchmarks/results/played_again_*.json.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.ablation import Study, StudyRun, kept_weights, read_run, trials_of
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import AblationOptions
from expo_ft_ros.experiment.changes import parse_changes
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.paired_trials import compare
from expo_ft_ros.experiment.trials import play_trials

RESULTS = Path(__file__).parent / "results"
PLAY = "play:="


def played_again(study: Study, run: StudyRun, changes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of each of a run's weights: what they did then and now, pair by pair.

    Raises:
        ConfigError: for weights that are gone.
    """
    content, found = read_run(study, run), []
    for steps, weights in kept_weights(study, run, content).items():
        before = trials_of(study, content, steps, "agent")
        if steps not in study.tested_at(run) or before is None:
            continue
        source = study.source(run, weights)
        changed = replace(source, changes={**source.changes, **changes})
        now = play_trials(changed, study.scenes, "agent")
        pair = compare(now, before, study.config(run.arm).gamma)
        good, was = sum(now.success), sum(before.success)
        print(
            f"{run.name} at {steps} steps: {was} -> {good} of {len(study.scenes)}, {pair}",
            flush=True,
        )
        found.append(
            {"run": run.name, "steps": steps, "then": was, "now": good, **asdict(pair)}
            | {"trials": now.as_json()}
        )
    return found


def main(words: list[str]) -> int:
    """Plays what the words name; returns the exit code."""
    own = [word for word in words if word.startswith(PLAY)]
    if len(own) != 1:
        raise ConfigError(f"played_again: {PLAY} is missing or given twice (say how they act now)")
    others = [word for word in words if not word.startswith(PLAY)]
    changes = parse_changes(own[0].removeprefix(PLAY))
    study = Study(parse_arguments(others, AblationOptions), RESULTS)
    runs = [run for run in study.runs if run.arm != "start"]
    results = [each for run in runs for each in played_again(study, run, changes)]
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = RESULTS / f"played_again_{study.options.label}_{when}.json"
    about = {"words": words, "of": study.folder.name, "machine": machine()}
    path.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as error:
        sys.exit(f"played_again: {error}")
