# SPDX-License-Identifier: Apache-2.0
"""A long run of the whole graph in lock-step: is memory flat, and is every step there once?

    ./expo-ft python benchmarks/soak.py --steps 100000 --folder /var/tmp/soak

Every node but the learning is at work: SFT acts, the scripted operator corrects, every episode is
recorded and taken into replay. Called again with the same folder it goes on. It prints a verdict
and writes benchmarks/results/soak_<date>.json: memory of each process once replay is full and
at the end, episodes and steps of bags against the session's books, and replay rebuilt from the
bags against the learner's own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from expo_ft_ros.bringup.runner import Runner
from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.control.plan import LEARNED_STAGES
from expo_ft_ros.experiment.environment import claim_domain, require_ros, ros_environment
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.experiment.run_folder import first_uncounted
from expo_ft_ros.graph.specs import train_graph
from expo_ft_ros.recording.episode_store import load_episode, whole_files
from expo_ft_ros.recording.mcap_file import read_bag
from expo_ft_ros.rl.checkpoint import load_state
from expo_ft_ros.rl.checkpoint_files import newest_whole
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.replay_buffer import ReplayBuffer
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.sim.render import choose_gl

EVERY = 10.0  # seconds between two samples of memory
FLAT = 1.05


def main() -> int:
    """Runs and checks; 0 where everything held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True)
    wanted = parser.parse_args()
    folder = wanted.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    require_ros()
    choose_gl()
    with claim_domain() or contextlib.nullcontext():
        code = run(folder, wanted.steps)
    if code != 0:
        print(f"stopped with {code}; call it again to go on")
        return code
    checks = {"memory": memory(folder), "steps": steps(folder), "replay": agreement(folder)}
    held = all(check["holds"] for check in checks.values())
    result = {"machine": machine(), "steps_asked": wanted.steps, "holds": held, **checks}
    path = results_folder() / f"soak_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{json.dumps(result, indent=2)}\nwritten to {path}")
    return 0 if held else 1


def run(folder: Path, steps_wanted: int) -> int:
    """The graph, with a line of memory every ten seconds in soak.jsonl."""
    options = TrainOptions(
        demos=3, steps=steps_wanted, eval_trials=1, algorithm="sft", short=True, mode="async"
    )
    # Nobody learns, so nobody needs to wait: without the learner's lower priority.
    specs = [replace(spec, nice=0) for spec in train_graph(options, folder)]
    last = 0.0

    def sample() -> None:
        nonlocal last
        status = folder / "status.json"
        if time.monotonic() - last < EVERY or not status.is_file():
            return
        last = time.monotonic()
        done = json.loads(status.read_text()).get("env_steps", 0)
        with (folder / "soak.jsonl").open("a") as file:
            file.write(json.dumps({"steps": done, "memory": dict(_private(folder))}) + "\n")

    return Runner(specs, folder, env=ros_environment(folder), on_refresh=sample).run().code


def _private(folder: Path) -> Iterator[tuple[str, float]]:
    """(process, memory that is its own [MB]) of the nodes of this run."""
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().decode().split("\0")
            parameters = next((w for w in words if w.startswith(str(folder / "params"))), "")
            if parameters:
                text = (place / "smaps_rollup").read_text()
                own = sum(int(x.split()[1]) for x in text.splitlines() if x.startswith("Private_"))
                yield Path(parameters).stem, own / 1024
        except (OSError, ValueError):
            # It ended meanwhile, or is no process.
            continue


def memory(folder: Path) -> dict[str, Any]:
    """Of each process the most over a tenth of the samples [MB]: once replay is full, and at the
    end. The most, since the simulation's rises and falls by a tenth with what it draws."""
    full = load_preset().replay_capacity
    lines = [json.loads(line) for line in (folder / "soak.jsonl").read_text().splitlines()]
    settled = [line["memory"] for line in lines if line["steps"] > full]
    if not settled:
        return {"holds": False, "of": {}, "why": f"replay is full after {full} steps only"}
    edge = max(1, len(settled) // 10)
    grown: dict[str, Any] = {}
    for name in sorted(settled[-1]):
        first, end = (
            max(sample[name] for sample in part if name in sample)
            for part in (settled[:edge], settled[-edge:])
        )
        grown[name] = {"first": round(first, 1), "end": round(end, 1), "ratio": end / first}
    holds = all(g["ratio"] < FLAT for g in grown.values())
    return {"holds": holds, "from_step": full, "samples": len(settled), "of": grown}


def steps(folder: Path) -> dict[str, Any]:
    """Numbers of the steps in the bags against the session's books: in each episode as many as it
    had, one after the other. Said again: repeated where somebody was slow to answer; one counts."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    booked = {line["episode"]: line["steps"] for line in lines}
    counts: dict[int, int] = {}
    gaps: list[int] = []
    said = 0
    for path in whole_files(folder / "episodes"):
        told = [m.message.observation for m in read_bag(path, ("step",))]
        numbers = sorted(set(told))
        episode = int(path.stem)
        counts[episode] = len(numbers)
        said += len(told)
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            gaps.append(episode)
    wrong = {e: (n, counts.get(e)) for e, n in booked.items() if counts.get(e) != n}
    return {
        "holds": not wrong and not gaps,
        "episodes": len(booked),
        "steps": sum(counts.values()),
        "said_again": said - sum(counts.values()),
        "gaps": gaps,
        "unlike_the_books": wrong,
    }


def agreement(folder: Path) -> dict[str, Any]:
    """Replay rebuilt from the bags against what the learner had at its last checkpoint."""
    config = load_preset()
    replay = ReplayBuffer(
        config.replay_capacity,
        config.image_size,
        load_robot(DEFAULT_ROBOT).view_names,
        config.gamma,
    )
    began = time.monotonic()
    taken = 0
    for path in whole_files(folder / "episodes"):
        if int(path.stem) < first_uncounted(folder):
            episode = load_episode(path, config.image_size)
            if episode.outcome.stage in LEARNED_STAGES:
                replay.add(episode)
                taken += len(episode)
    seconds = time.monotonic() - began
    newest, _ = newest_whole(folder / "checkpoints")
    if newest is None:
        raise SystemExit(f"{folder}: has no whole checkpoint")
    kept = load_state(newest.path)["memory"]
    slots, states = kept["slots"].numpy(), kept["states"].numpy()
    same = np.array_equal(slots, replay.slots) and np.array_equal(states, replay.state[slots])
    return {
        "holds": bool(same),
        "slots": len(slots),
        "steps_read": taken,
        "seconds_of_reading": round(seconds, 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
