# SPDX-License-Identifier: Apache-2.0
"""What is said to be written is on the disk: content first, then its name in its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.recording.episode_store import DISCARDED, set_aside
from expo_ft_ros.recording.mcap_file import BagWriter, TopicType
from expo_ft_ros.rl.checkpoint import load_state, save_state


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What the kernel was asked to bring to the disk, in order; of a file the name it had then."""
    found: list[Path] = []
    sync = os.fsync

    def follow(descriptor: int) -> None:
        found.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", follow)
    return found


def test_a_json_file_is_replaced_after_its_content_is_on_the_disk(
    tmp_path: Path, synced: list[Path]
) -> None:
    path = tmp_path / "progress.json"
    for number in (1, 2):
        write_atomically(path, {"number": number})
        assert json.loads(path.read_text()) == {"number": number}
    assert synced == [tmp_path / "progress.partial", tmp_path] * 2
    assert list(tmp_path.iterdir()) == [path]


def test_so_is_a_checkpoint(tmp_path: Path, synced: list[Path]) -> None:
    path = tmp_path / "newest.safetensors"
    save_state(path, {"weight": torch.ones(3)})
    assert synced == [tmp_path / "newest.partial", tmp_path]
    assert load_state(path)["weight"].tolist() == [1.0] * 3


def test_an_episode_s_file_has_its_end_and_its_name(tmp_path: Path, synced: list[Path]) -> None:
    path = tmp_path / "000001.mcap"
    writer = BagWriter(path, {"note": TopicType("std_msgs/String", "string data")})
    assert not synced, "the control loop's data waits for no disk"
    writer.close()
    assert synced == [path, tmp_path]
    set_aside(path, DISCARDED)
    assert synced[2:] == [tmp_path]
