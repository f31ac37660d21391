# SPDX-License-Identifier: Apache-2.0
"""Where nothing more can be written, the last words name the file, the cause and the remedy.

A limit of a file's size stands for the full disk: the system refuses the write in the same place.
"""

from __future__ import annotations

import contextlib
import errno
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from expo_ft_ros.cli import main as cli
from expo_ft_ros.data.files import DiskError, explain, replacing, write_atomically
from expo_ft_ros.data.tensor_files import save_tensors
from expo_ft_ros.experiment import run_files
from expo_ft_ros.recording.lerobot import DatasetWriter
from expo_ft_ros.recording.mcap_file import BagWriter, TopicType
from expo_ft_ros.rl.checkpoint import load_state, save_state
from support.episodes import make_episode

LIMIT = 4096
LONG = "x" * 100_000


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def episode_file(path: Path) -> None:
    writer = BagWriter(path, {"note": TopicType("std_msgs/String", "string data")})
    try:
        writer.note("run", {"config.yaml": LONG})
    finally:
        with contextlib.suppress(OSError):
            writer.close()


def dataset(path: Path) -> None:
    with DatasetWriter(path, 10, "franka") as writer:
        writer.add(make_episode(1, 9, terminated=True, size=64))
        writer.close()


def tensors_file(path: Path) -> None:
    partial = path.with_suffix(".partial")
    with replacing(partial, path):
        save_tensors(partial, {"x": torch.zeros(10_000)})


WRITERS: dict[str, Callable[[Path], object]] = {
    "progress.json": lambda path: write_atomically(path, {"text": LONG}),
    "status.json": lambda path: write_atomically(path, {"text": LONG}, durable=False),
    "v1.safetensors": lambda path: save_state(path, {"x": torch.zeros(10_000)}, 1),
    "model.safetensors": tensors_file,
    "metrics.jsonl": lambda path: run_files.append_metrics(path.parent, {"text": LONG}),
    "000001.mcap": episode_file,
    "dataset": dataset,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_s_last_words_name_file_cause_and_remedy(tmp_path: Path, name: str) -> None:
    with full_disk(), pytest.raises(DiskError) as caught:
        WRITERS[name](tmp_path / name)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / name}")
    assert said.endswith(": File too large (raise the limit of a file's size: ulimit -f)")
    assert "\n" not in said
    assert not list(tmp_path.glob("*.partial")), "a part would fill the disk further"


def test_what_was_there_is_kept(tmp_path: Path) -> None:
    checkpoint, books = tmp_path / "v1.safetensors", tmp_path / "progress.json"
    save_state(checkpoint, {"x": torch.ones(3)}, 1)
    write_atomically(books, {"number": 1})
    before = books.read_bytes()
    with full_disk():
        for name in ("v1.safetensors", "progress.json"):
            with pytest.raises(DiskError):
                WRITERS[name](tmp_path / name)
    assert load_state(checkpoint)["x"].tolist() == [1, 1, 1]
    assert books.read_bytes() == before


def test_a_full_disk_says_what_to_do() -> None:
    full = DiskError(errno.ENOSPC, "No space left on device", "/run/metrics.jsonl")
    assert str(full) == (
        "/run/metrics.jsonl: No space left on device (free some room on that disk, then go on with "
        "the run by resume:=)"
    )
    assert explain(OSError("odd")) == "a file: odd"


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    with full_disk():
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (16, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        )
        assert cli.main(["sim"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "config.yaml: File too large (raise the limit" in err
