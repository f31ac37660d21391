# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench graph`: how fast the graph is in lock-step, and how punctual in real time.

Short trainings with the real nodes, networks and camera images. What they measured is read from
the run folders, so that a run of one's own can be measured the same way (`measure_throughput`,
`measure_lateness`).
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import expo_ft_ros
from expo_ft_ros.bringup.commands import GRAPH_COMMANDS, run_graph
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.progress import read_summary
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task

_SMALL = 8  # px: images aren't looked at

PUNCTUAL = 0.005
"""A tick that starts at most so long after it was due is on time [s]."""

HISTOGRAMS: Mapping[str, Sequence[float]] = {
    "late": (0, 1, 2, 5, 10, 20, 50),
    "reaction": (2, 5, 10, 15, 20, 50),
    "chunk_late": (-300, -200, -150, -100, -50, 0, 50, 100),
    "written": (0.2, 0.5, 1, 2, 5, 10),
    "written_cpu": (0.1, 0.2, 0.5, 1, 2),
    "told": (0.5, 1, 2, 5, 10, 20),
}
"""Of a tick, what is shown as a histogram, and the edges of its bins [ms]."""

ASKED: Mapping[str, float] = {
    "reaction_ms": 15.0,
    "written_ms": 2.0,
    "written_cpu_ms": 2.0,
    "told_ms": 2.0,
}
"""What the 99th percentile of a real-time run stays under [ms]."""

REALTIME, ALONE = "realtime", "realtime_without_learning"

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    # Learner and policy in two processes, so that learning goes on while the robot moves. 500
    # steps are 50 s of moving in real time.
    "lockstep": ("steps:=500", "mode:=async", "demos:=3", "eval_trials:=1"),
    REALTIME: ("steps:=500", "realtime:=true", "mode:=async", "demos:=3", "eval_trials:=1"),
    # The same policy and robot, nothing learned online.
    ALONE: (
        *("steps:=500", "realtime:=true", "mode:=async", "demos:=3", "eval_trials:=1"),
        "algorithm:=sft",
    ),
}


def main(words: Sequence[str]) -> int:
    """Runs the parts named, or both; returns the exit code.

    Raises:
        ConfigError: for a part that doesn't exist.
    """
    unknown = [word for word in words if word not in ARGUMENTS]
    if unknown:
        raise ConfigError(f"bench graph has no part {unknown[0]!r} (known: {', '.join(ARGUMENTS)})")
    results: dict[str, Any] = {"machine": machine()}
    for part in words or ARGUMENTS:
        run, specs = GRAPH_COMMANDS["train"].open(ARGUMENTS[part])
        try:
            done = run_graph("train", run, specs)
        finally:
            run.close()  # The next part takes the same domain.
        if done.code != 0:
            print(f"{done.tail}\nexpo-ft: bench graph {part}: {done.cause}")
            return done.code
        measure = measure_throughput if part == "lockstep" else measure_lateness
        episodes = load_episodes(run.path / "episodes", image_size=_SMALL)
        scale = load_robot(run.options.robot).limits.scale()
        jumps = measure_jumps(episodes, scale / load_task(run.options.task).period)
        results[part] = {"arguments": list(ARGUMENTS[part]), **measure(run.path), **jumps}
        print(f"{part}:")
        for name, value in results[part].items():
            print(f"  {name}: {value}")
        for line in verdicts(results[part]):
            print(f"  {line}")
    if REALTIME in results and ALONE in results:
        for line in compared(results[REALTIME], results[ALONE]):
            print(line)
    print(f"written to {write(results)}")
    return 0


def measure_throughput(run: Path) -> dict[str, float]:
    """Environment steps a second of wall time of a finished lock-step run.

    `overall` counts everything (imitation, updates, resets, waiting), `rl` the online stage with
    its updates, `stepping` only while episodes run, with both cameras, policy, reward and recorder.

    Raises:
        ConfigError: when the run has not finished.
    """
    summary = read_summary(run)
    if summary is None:
        raise ConfigError(f"{run}: has no summary.json (only a finished run can be measured)")
    steps = sum(int(line["steps"]) for line in _lines(run / "metrics.jsonl"))
    wall = summary["wall_seconds"]
    rates = {
        "overall": steps / sum(wall.values()),
        "rl": summary["env_steps"] / summary["stage_seconds"]["rl"],
        "stepping": steps / wall["robot"],
    }
    return {
        **{f"env_steps_per_second_{name}": round(rate, 2) for name, rate in rates.items()},
        "env_steps": steps,
        "wall_seconds": round(sum(wall.values()), 1),
        "critic_updates": int(summary.get("critic_updates", 0)),
    }


def measure_lateness(run: Path) -> dict[str, Any]:
    """How punctual a real-time run's online stage was.

    late_ms: start of each tick, after it was due; reaction_ms: from a reading of the operator's
    device being sent to the command that follows it, without the wait for the tick; chunk_late_ms:
    of each chunk, against the tick at which it was needed (negative: in time); chunks_lost:
    requests that were never answered, but for those after the last answer; written_ms: what handing
    the step to the recorder costs the control loop, after the command; written_cpu_ms: the part of
    it that it computes itself, the rest being others on its core; told_ms: written_ms with the
    observation, whose images reward and policy get by the same word; ages_ms: of each input, by its
    stamp, when the tick used it; update_ratio: critic updates an online step, as realised in the
    end; late_chunks: those that came after the tick at which they were needed.

    Raises:
        ConfigError: when the run has no ticks of that stage.
    """
    stages = list(_lines(run / "metrics.jsonl"))
    online = [line for line in stages if line["stage"] == "rl"]
    if not online:
        raise ConfigError(f"{run}: no episode of the stage rl in metrics.jsonl (run it longer)")
    begin = float(online[0]["time"]) - float(online[0]["seconds"])
    end = float(online[-1]["time"])
    ticks = [tick for tick in _lines(run / "ticks.jsonl") if begin <= tick["time"] <= end]
    if not ticks:
        raise ConfigError(
            f"{run}: no ticks of the stage rl in ticks.jsonl (was it a real-time run?)"
        )
    late = np.array([tick["late"] for tick in ticks])
    return {
        "ticks": len(ticks),
        "share_within_5_ms": round(float(np.mean(np.abs(late) <= PUNCTUAL)), 4),
        **{f"{what}_ms": _distribution(ticks, what) for what in HISTOGRAMS},
        "ages_ms": _ages(ticks),
        "chunks_lost": sum(tick.get("chunks_lost", 0) for tick in ticks),
        "seconds": round(end - begin, 1),
        "critic_updates": int(online[-1]["critic_updates"]) - int(online[0]["critic_updates"]),
        "update_ratio": float(online[-1].get("update_ratio") or 0.0),
        "late_chunks": sum((tick.get("chunk_late") or 0.0) > 0 for tick in ticks),
    }


def measure_jumps(episodes: Iterable[Episode], scale: NDArray[np.float64]) -> dict[str, Any]:
    """How much the policy's velocity changes from one tick to the next where a new chunk begins
    and within one, as an acceleration along the worst axis [m/s^2]: what was asked for, against
    what had been executed, and what was executed, which the safety filter bounds.

    scale: (7,) acceleration at a change of the action by 1 [m/s^2, rad/s^2, m/s^2].
    """
    found: dict[str, list[NDArray[np.floating[Any]]]] = {}
    for episode in episodes:
        before, after = episode.executed[:-1, :3], episode.executed[1:, :3]
        asked = episode.proposed[1:, :3]
        policy = episode.source == Source.POLICY
        driven = policy[1:] & policy[:-1]
        new = episode.chunk[1:] != episode.chunk[:-1]
        for where, at in (("new_chunk", driven & new), ("within_chunk", driven & ~new)):
            for what, change in (("asked", asked - before), ("executed", after - before)):
                jumps = (np.abs(change[at]) * scale[:3]).max(axis=1, initial=0.0)
                found.setdefault(f"jump_{where}_{what}_mps2", []).append(jumps)
    limit = SafetyConfig.load().linear_acceleration
    return {
        **{name: _percentiles(np.concatenate(values)) for name, values in found.items()},
        "jump_limit_mps2": limit,
    }


def verdicts(measured: Mapping[str, Any]) -> list[str]:
    """A line for each figure of a real-time run that something is asked of."""
    lines = []
    for name, limit in ASKED.items():
        found = measured.get(name, {})
        if "p99" in found:
            verdict = "held" if found["p99"] < limit else "MISSED"
            lines.append(
                f"{verdict}: {name} {found['p99']:g} at the 99th percentile of {found['count']} "
                f"(asked: under {limit:g})"
            )
    for name in ("jump_new_chunk_executed_mps2", "jump_within_chunk_executed_mps2"):
        found, limit = measured.get(name, {}), measured.get("jump_limit_mps2", np.inf)
        if "max" in found:
            verdict = "held" if found["max"] <= limit + 0.005 else "MISSED"
            lines.append(f"{verdict}: {name} {found['max']:g} at most (limit: {limit:g})")
    return lines


def compared(learning: Mapping[str, Any], alone: Mapping[str, Any]) -> list[str]:
    """What learning beside it costs a robot in real time, in lines."""
    late, before = learning["late_ms"], alone["late_ms"]
    chunks = learning["chunk_late_ms"]["count"], alone["chunk_late_ms"]["count"]
    return [
        f"late chunks: {learning['late_chunks']} of {chunks[0]}, without learning "
        f"{alone['late_chunks']} of {chunks[1]}",
        f"lateness of a tick at the 99th percentile: {late['p99']:g} ms, without learning "
        f"{before['p99']:g} (median {late['p50']:g}, {before['p50']:g}; greatest {late['max']:g}, "
        f"{before['max']:g})",
        f"critic updates an online step, as realised: {learning['update_ratio']:.2f}",
    ]


def _percentiles(values: NDArray[np.floating[Any]]) -> dict[str, float]:
    if not values.size:
        return {}
    shares = {f"p{share}": float(np.percentile(values, share)) for share in (50, 95, 99)}
    return {name: round(v, 2) for name, v in {**shares, "max": float(values.max())}.items()}


def _ages(ticks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    for tick in ticks:
        for name, age in tick.get("ages", {}).items():
            found.setdefault(name, []).append(1e3 * age)
    return {name: _percentiles(np.array(ages)) for name, ages in found.items()}


def _distribution(ticks: Sequence[Mapping[str, Any]], what: str) -> dict[str, Any]:
    """Percentiles [ms] and a histogram, "from to" -> ticks, of what ticks say of themselves."""
    values = np.array([1e3 * tick[what] for tick in ticks if tick.get(what) is not None])
    if not values.size:
        return {"count": 0}
    counts, edges = np.histogram(values, [-np.inf, *HISTOGRAMS[what], np.inf])
    return {
        "count": int(values.size),
        **_percentiles(values),
        "histogram": {
            f"{low:g} to {high:g}": int(count)
            for low, high, count in zip(edges, edges[1:], counts, strict=False)
            if count
        },
    }


def write(results: Mapping[str, Any]) -> Path:
    """Writes results to a file of its own."""
    path = results_folder() / f"graph_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    return path


def results_folder() -> Path:
    """benchmarks/results/ of the checkout, else of the working directory."""
    root = Path(expo_ft_ros.__file__).resolve().parents[1]
    folder = (root if (root / "benchmarks").is_dir() else Path.cwd()) / "benchmarks" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        raise ConfigError(f"{path}: not there (only a run that was stopped cleanly has it)")
    with path.open() as stream:
        for line in stream:
            yield json.loads(line)
