# SPDX-License-Identifier: Apache-2.0
"""Tables and curves of `expo-ft bench learn`.

    ./expo-ft python benchmarks/tables.py                (the tables of docs/experiments.md)
    ./expo-ft python benchmarks/tables.py curves.png [part of a name ...]  (needs matplotlib)

Each row is one seed of one result file in benchmarks/results/. "differs" names the fields that were
other than what the preset, the size and the task say today, whatever they said then; of results
from before CHANGED, other than what they said on the day before.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.tasks import load_task

RESULTS = Path(__file__).resolve().parent / "results"
WINDOW = 20
CHANGED = "2026-11-30"
SMALL_BEFORE = {
    "vla_encoder_every": "10",
    "vla_encoder_steps": "300",
    "vla_encoder_batch": "32",
    "vla_steps_per_update": "10",
    "replay_capacity": "16000",
}
RECOMMENDED_BEFORE = {
    "acting_candidates": "0",
    "critic_steps_per_update": "20",
    "edit.gripper_decisions": "0",
    "edits_after": "2000",
    "explore_share": "0",
    "explore_share_warmup": "0",
    "minimum_of": "10",
    "refresh_per_update": "64",
    "value.members": "10",
    "warmup_updates": "40",
}
"""What size and preset said before CHANGED."""
RENAMED = {"unmended": "exclude_pre_intervention", "gripper_lift": "cube_pick"}
"""Values of results -> what they are called today."""
HEAD = (
    "algorithm",
    "preset",
    "differs",
    "corrections",
    "seed",
    "before RL",
    "after RL",
    "95% interval",
    "by ground truth",
    "VLA alone",
    "steps of an episode",
    "online steps",
    "of a human",
    "minutes",
    "commit",
    "file",
)


def results() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every result file, by name."""
    for path in sorted(RESULTS.glob("learn_*.json")):
        yield path, json.loads(path.read_text())


def row(path: Path, result: dict[str, Any], run: dict[str, Any]) -> list[str]:
    """One seed."""
    options, before, after = result["options"], run["eval_before"], run["eval_after"]
    alone = run.get("eval_alone")
    return [
        options["algorithm"],
        options["preset"],
        differences(result),
        corrections(options),
        str(run["seed"]),
        f"{before['successes']}/{before['trials']}",
        f"**{after['successes']}/{after['trials']}**",
        f"{after['low']:.0%} to {after['high']:.0%}",
        str(after["by_truth"]),
        f"{alone['successes']}/{alone['trials']}" if alone else "",
        f"{after['steps']:g}",
        str(run["env_steps"]),
        f"{run['human_steps'] / max(1, run['env_steps']):.0%}",
        f"{sum(run['wall'].values()) / 60:.1f}",
        result["git"][:7] + "+" * result["git"].endswith("+"),
        path.name.removeprefix("learn_").removesuffix(".json"),
    ]


def differences(result: dict[str, Any]) -> str:
    """`field=value` of what was other than today; fields that were not there then are left out, and
    the edits' where there were none."""
    options = result["options"]
    ignored = ["threads="]
    if options["algorithm"] != "expo_ft" or not result["config"]["edits"]:
        ignored += ["edit.", "edits_after="]
    before: dict[str, str] = {}
    if result.get("machine", {}).get("time", "") < CHANGED and options["size"] == "small":
        before = dict(SMALL_BEFORE)
    if before and options["preset"] == "recommended":
        before |= RECOMMENDED_BEFORE
    today = load_preset(options["preset"], options["size"], before).model_dump()
    loaded = load_task(options["task"])
    task = loaded.model_dump(mode="json")
    # Results name the code of a task, also where it is the task's own.
    task["scene"], task["classifier"]["name"] = loaded.code("scene"), loaded.code("reward")
    found = differing(result["config"], today) + differing(result["task"], task, "task.")
    return ", ".join(part for part in found if not part.startswith(tuple(ignored)))


def differing(then: dict[str, Any], now: dict[str, Any], above: str = "") -> list[str]:
    """The leaves of `then` that `now` has otherwise."""
    parts = []
    for name, value in then.items():
        value = RENAMED.get(value, value) if isinstance(value, str) else value
        if isinstance(value, dict) and isinstance(now.get(name), dict):
            parts += differing(value, now[name], f"{above}{name}.")
        elif name in now and now[name] != value:
            parts.append(f"{above}{name}={value}")
    return parts


def corrections(options: dict[str, Any]) -> str:
    """Of how many episodes, and how readily."""
    rate, share = options["operator_rate"], options["operator_share"]
    return f"in {share:.0%}, rate {rate:g}" if rate and share else "none"


def tables() -> str:
    """A Markdown table a task."""
    rows: dict[str, list[list[str]]] = {}
    for path, result in results():
        for run in (run for run in result["runs"] if "failed" not in run):
            rows.setdefault(result["options"]["task"], []).append(row(path, result, run))
    parts = []
    for task, lines in rows.items():
        parts += [f"### {task}", "", line(HEAD), line(["---"] * len(HEAD))]
        parts += [line(cells) for cells in sorted(lines)] + [""]
    return "\n".join(parts)


def line(cells: Sequence[str]) -> str:
    """A row in Markdown."""
    return f"| {' | '.join(cells)} |"


def curves(target: Path, parts: Sequence[str]) -> None:
    """Success without help and share of human steps over training, as in the paper's figure 4, of
    the files whose names have one of the parts; of all of them where there is none."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(9, 7), layout="constrained")
    for path, result in results():
        if parts and not any(part in path.name for part in parts):
            continue
        for run in result["runs"]:
            online = [entry for entry in run["log"] if entry["stage"] == "rl"]
            steps = [entry["env_steps"] for entry in online]
            alone = [float(e["success"] and e["human_steps"] == 0) for e in online]
            human = [entry["human_steps"] / max(1, entry["steps"]) for entry in online]
            name = path.name.removeprefix("learn_").rsplit("_", 2)[0]
            above.plot(steps, smooth(alone), label=f"{name} seed {run['seed']}")
            below.plot(steps, smooth(human))
    above.set_ylabel(f"success without help, last {WINDOW}")
    below.set_ylabel(f"share of human steps, last {WINDOW}")
    below.set_xlabel("online environment steps")
    figure.legend(loc="outside lower center", fontsize=7, ncols=2)
    figure.savefig(target, dpi=110)


def smooth(values: Sequence[float]) -> list[float]:
    """Mean of the last `WINDOW` values at each place."""
    parts = [values[max(0, end - WINDOW) : end] for end in range(1, len(values) + 1)]
    return [sum(part) / len(part) for part in parts]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        curves(Path(sys.argv[1]), sys.argv[2:])
    else:
        print(tables())
