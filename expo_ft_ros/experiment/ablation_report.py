# SPDX-License-Identifier: Apache-2.0
"""What an ablation says: success and discounted return, and paired tests of them.

Trials of one scene are pairs, within a seed (McNemar's exact test): that compares two policies.
Between arms, which train anew for each seed, the seed is the unit: the mean difference over seeds
with its standard error, and on how many seeds one arm is above the other. By five seeds a two-sided
sign test can't tell more than p = 0.06.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from expo_ft_ros.experiment.ablation import Study, StudyRun, read_run, trials_of
from expo_ft_ros.experiment.paired_trials import Trials, compare

Tested = Mapping[tuple[str, int], Mapping[int, Trials]]
"""(Arm and selection rule, online steps) -> seed -> trials."""

_START = "start, vla"


def as_text(study: Study) -> str:
    """The tables of what there is by now."""
    parts = [_share(study, share) for share in study.options.shares]
    return "\n\n".join([*parts, *_warnings(study)])


def _share(study: Study, share: float) -> str:
    found = _tested(study, share)
    head = "nobody helps" if share == 0 else f"the operator helps in {share:.0%} of the episodes"
    seeds, gamma = study.options.seed_numbers, study.config("full").gamma
    lines = [
        f"{study.task.name}, {head}: successes of {len(study.scenes)} (discounted return)",
        "| arm, selection | steps | " + " | ".join(f"seed {n}" for n in seeds) + " | mean |",
        "|---" * (len(seeds) + 3) + "|",
    ]
    for (name, steps), of_seeds in found.items():
        cells = [_cell(of_seeds.get(seed), gamma) for seed in seeds]
        rate = np.mean([np.mean(trials.success) for trials in of_seeds.values()])
        gained = np.mean([np.mean(trials.returns(gamma)) for trials in of_seeds.values()])
        mean = f"{rate:.1%} ({gained:.3f}), {len(of_seeds)} seeds"
        lines.append(f"| {name} | {steps} | " + " | ".join([*cells, mean]) + " |")
    lines += [
        "",
        "First against second: scenes that only the first : only the second succeeded on (p; "
        "difference of return)",
    ]
    told = (_comparison(found, one, other, gamma) for one, other in _comparisons(study))
    return "\n".join([*lines, *filter(None, told)])


def _comparisons(study: Study) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """What is held against what, each (arm and selection rule, online steps)."""
    last = study.last
    for one, other in (
        ("full", "imitation"),
        ("choice", "imitation"),
        ("full", "choice"),
        ("full", "random"),
        ("random", "imitation"),
    ):
        yield (f"{one}, agent", last), (f"{other}, agent", last)
    yield ("full, agent", last), (_START, 0)
    for steps in study.tested_at(StudyRun("full", 0.0, 0)):
        for rule in ("vla", "choice", "random"):
            yield ("full, agent", steps), (f"full, {rule}", steps)


def _comparison(found: Tested, one: tuple[str, int], other: tuple[str, int], gamma: float) -> str:
    """A line; "" where no seed has both."""
    first, second = found.get(one, {}), found.get(other, {})
    pairs = {seed: compare(first[seed], second[seed], gamma) for seed in first if seed in second}
    if not pairs:
        return ""
    gains = np.array([pair.gain for pair in pairs.values()])
    error = f" +- {gains.std(ddof=1) / len(gains) ** 0.5:.3f}" if len(gains) > 1 else ""
    told = "; ".join(
        f"seed {seed} {pair.better}:{pair.worse} (p {pair.p:.2g}; {pair.gain:+.3f})"
        for seed, pair in pairs.items()
    )
    (name, steps), (against, before) = one, other
    at = f" at {steps}" if steps == before else f" at {steps} and {before}"
    return (
        f"{name} against {against}{at}: {told}; difference {gains.mean():+.3f}{error}, above on "
        f"{int((gains > 0).sum())} of {len(gains)} seeds"
    )


def _tested(study: Study, share: float) -> Tested:
    found: dict[tuple[str, int], dict[int, Trials]] = {}
    of_share = [run for run in study.runs if run.share == share]
    for run in [*study.starts, *of_share]:
        content = read_run(study, run)
        for rule in run.rules:
            for steps in study.tested_at(run):
                trials = trials_of(study, content, steps, rule)
                if trials is not None:
                    of = found.setdefault((f"{run.arm}, {rule}", steps), {})
                    of[run.seed] = trials
    return found


def _warnings(study: Study) -> Iterator[str]:
    """Runs that failed, and what makes runs of a seed or of the study unequal."""
    begun: dict[int, set[str]] = {}
    revisions: set[str] = set()
    for run in [*study.starts, *study.runs]:
        content = read_run(study, run)
        if "failed" in content:
            yield f"{run.name} failed and is in no mean: {content['failed']}"
        if "imitated" in content:
            begun.setdefault(run.seed, set()).add(content["imitated"])
        if "git" in content:
            revisions.add(content["git"])
    for seed, hashes in begun.items():
        if len(hashes) > 1:
            yield f"seed {seed}: its runs begin with {len(hashes)} different policies"
    if len(revisions) > 1:
        yield f"trained by different revisions: {', '.join(sorted(revisions))}"


def _cell(trials: Trials | None, gamma: float) -> str:
    if trials is None:
        return "-"
    good, truly = sum(trials.success), sum(trials.truth)
    truth = "" if good == truly else f", by ground truth {truly}"
    return f"{good}{truth} ({float(np.mean(trials.returns(gamma))):.3f})"
