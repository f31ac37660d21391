# SPDX-License-Identifier: Apache-2.0
"""Whatever a run's folder holds, each command answers in a line or with a right result, and nothing
of what was recorded is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from expo_ft_ros.cli import main as cli
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.options import EvalOptions, TrainOptions
from expo_ft_ros.experiment.preflight import open_run, prepare_run
from expo_ft_ros.experiment.run_folder import RunFinished
from expo_ft_ros.experiment.stages import RUN_KINDS, Session, SessionConfig
from expo_ft_ros.recording.episode_store import load_episodes, relabel
from expo_ft_ros.report import drawing
from expo_ft_ros.rl.checkpoint import load_state, save_state
from support.fuzz import ALWAYS_THE_SAME, EXAMPLES, edited
from support.recordings import record
from support.runs import line

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True, scope="module")
def coarse() -> Iterator[None]:
    """Most of a report's time goes into drawing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "PNG_DPI", 30)
        yield


JSON = ("progress.json", "summary.json", "status.json", "episodes/000002.label.json")
FILES = (
    "config.yaml",
    *JSON,
    "metrics.jsonl",
    *(f"episodes/{number:06d}.mcap" for number in (1, 2, 3)),
    "checkpoints/0000000001_v00001.safetensors",
    "checkpoints/0000000002_v00002.safetensors",
)
INDEX = "metadata.yaml"
"""Written anew from the episodes."""
RECORDED = ("episodes", "checkpoints", "metrics.jsonl", "progress.json")

Mutation = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was stopped in its online stage: a demonstration, a trial, an episode."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPO_FT_ISOLATE", "1")
        patch.delenv("ROS_DOMAIN_ID", raising=False)
        words = ["steps:=30", "demos:=1", "eval_trials:=1", f"run_dir:={folder / 'run'}"]
        run = open_run("train", words, TrainOptions)
        run.close()
    lines = [line(1, "collect", human_steps=3, steps=3), line(2, "eval_before"), line(3, "rl")]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    for number, stage in ((1, "collect"), (2, "eval_before"), (3, "rl")):
        record(run.path / "episodes", number, [Source.HUMAN] * 3, stage=stage)
    relabel(run.path / "episodes" / "000002.mcap", False)
    for version in (1, 2):
        path = run.path / "checkpoints" / f"000000000{version}_v0000{version}.safetensors"
        save_state(path, {"x": torch.zeros(9)}, version)
    config = SessionConfig(
        stages=RUN_KINDS["train"].stages, demos=1, eval_trials=1, rl_steps=30, max_steps=120
    )
    session = Session(config).state_dict()
    session["episode"] = 4
    session["imitated"] = True
    for stage, steps in (("collect", 3), ("eval_before", 60), ("rl", 3)):
        counts = {"finished": 1, "successes": 1, "steps": steps, "human_steps": 3}
        session["stages"][stage] = {**counts, "recent": [[1, steps, 3]]}
    books = {"session": session, "wall": {"spent": {"robot": 1.0}, "stages": {"rl": 1.0}}}
    (run.path / "progress.json").write_text(json.dumps(books))
    status = {"stage": "rl", "stage_progress": 0.1, "note": "", "seconds_left": None}
    (run.path / "status.json").write_text(json.dumps(status))
    summary = {"eval_after": {"successes": 1, "trials": 1}, "wall_seconds": {"robot": 1.0}}
    (run.path / "summary.json").write_text(json.dumps(summary))
    assert all((run.path / name).is_file() for name in FILES)
    return run.path


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner)
    ),
    max_leaves=4,
)


@st.composite
def edited_value(draw: st.DrawFn) -> Mutation:
    name = draw(st.sampled_from([*JSON, "progress.json", "config.yaml", "metrics.jsonl"]))
    number, value, gone = draw(st.integers(0, 500)), draw(values), draw(st.booleans())
    whole_file = draw(st.integers(0, 9)) == 0

    def mutate(folder: Path) -> None:
        path = folder / name
        if name == "config.yaml":
            content = yaml.safe_load(path.read_text())
            content = value if whole_file else edited(content, number, value, gone=gone)
            path.write_text(yaml.safe_dump(content))
        elif name == "metrics.jsonl":
            lines = path.read_text().splitlines()
            place = number % len(lines)
            lines[place] = json.dumps(edited(json.loads(lines[place]), number, value, gone=gone))
            path.write_text("\n".join(lines) + "\n")
        else:
            content = json.loads(path.read_text())
            content = value if whole_file else edited(content, number, value, gone=gone)
            path.write_text(json.dumps(content))

    return mutate


@st.composite
def edited_bytes(draw: st.DrawFn) -> Mutation:
    """A file cut off, damaged, gone, empty, another's content, or a folder in its place."""
    name, other = draw(st.sampled_from(FILES)), draw(st.sampled_from(FILES))
    how = draw(st.sampled_from(["cut", "damage", "damage", "gone", "empty", "other", "folder"]))
    share, byte = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))

    def mutate(folder: Path) -> None:
        path = folder / name
        data = bytearray(path.read_bytes())
        place = int(share * len(data))
        if how == "cut":
            path.write_bytes(data[:place])
        elif how == "damage" and data:
            data[place] ^= byte
            path.write_bytes(data)
        elif how == "empty":
            path.write_bytes(b"")
        elif how == "other":
            path.write_bytes((folder / other).read_bytes())
        else:
            path.unlink()
            if how == "folder":
                path.mkdir()

    return mutate


mutations = edited_value() | edited_value() | edited_bytes()
many = settings(
    max_examples=EXAMPLES,
    derandomize=ALWAYS_THE_SAME,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    # What fails here says itself what it was given.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def mutated(whole: Path, folder: Path, changes: list[Mutation]) -> Path:
    run = folder / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, run)
    for change in changes:
        try:
            change(run)
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError, yaml.YAMLError):
            continue  # An earlier change has left nothing to be changed.
    return run


def contents(run: Path) -> dict[bytes, str]:
    """What was recorded, by what it says."""
    found = {}
    for name in RECORDED:
        for path in [run / name, *(run / name).rglob("*")]:
            if path.is_file() and path.name != INDEX:
                found[path.read_bytes()] = path.name
    return found


def typed(words: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """A command as it is typed; whatever it answers, it is in a line."""
    code = cli.main(words)
    out, err = capsys.readouterr()
    assert code in (0, 1, 2)
    assert "Traceback" not in out + err
    assert err.count("\n") == (1 if code else 0), err
    return code


LOOKS = (["episodes", "list"], ["episodes", "show", "1"], ["export", "OUT"])
WORDS = (["episodes", "relabel", "3", "success"], ["episodes", "discard", "1"])


@many
@given(changes=st.lists(mutations, min_size=1, max_size=3), words=st.sampled_from(LOOKS + WORDS))
def test_any_run_is_looked_at(
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: list[Mutation],
    words: list[str],
) -> None:
    run = mutated(whole, tmp_path / "fuzz", changes)
    before = contents(run)
    out = str(run.parent / "out")
    typed([*(out if word == "OUT" else word for word in words), str(run)], capsys)
    if words in LOOKS:
        assert contents(run) == before
        return
    after = contents(run)
    lost = [name for data, name in before.items() if data not in after]
    assert [name for name in lost if not name.endswith(".label.json")] == []


STARTS = (
    ("train", ["resume:=RUN"], TrainOptions),
    ("train", ["resume:=RUN", "steps:=60"], TrainOptions),
    ("eval", ["checkpoint:=RUN"], EvalOptions),
    ("eval", [f"checkpoint:=RUN/{FILES[-1]}"], EvalOptions),
)


@many
@given(changes=st.lists(mutations, min_size=1, max_size=3), start=st.sampled_from(STARTS))
def test_any_run_goes_on_or_is_refused(
    whole: Path, tmp_path: Path, changes: list[Mutation], start: tuple[str, list[str], Any]
) -> None:
    run = mutated(whole, tmp_path / "fuzz", changes)
    before = contents(run)
    command, words, model = start
    said = ""
    try:
        prepared = prepare_run(command, [word.replace("RUN", str(run)) for word in words], model)
    except ConfigError as error:
        said = str(error)
    except RunFinished:
        pass
    else:
        if prepared.weights is not None:
            load_state(prepared.weights.path)
        if prepared.resumed:
            for episode in load_episodes(run / "episodes", 4, 8):
                assert np.isfinite(episode.state).all()
    assert "\n" not in said
    assert contents(run) == before


@settings(many, max_examples=EXAMPLES // 10)
@given(changes=st.lists(edited_value() | edited_bytes(), min_size=1, max_size=3))
def test_any_run_is_reported(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[Mutation]
) -> None:
    run = mutated(whole, tmp_path / "fuzz", changes)
    before = contents(run)
    typed(["report", str(run)], capsys)
    assert contents(run) == before
