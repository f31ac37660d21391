# SPDX-License-Identifier: Apache-2.0
"""A table of the files that a folder has, as they change."""

import os
import time

import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor import episode_list
from expo_ft_ros.monitor.episode_list import EpisodeList, row
from expo_ft_ros.recording.episode_store import DISCARDED, bring_back, relabel, set_aside
from support.recordings import record

P, H = Source.POLICY, Source.HUMAN


def settle(folder) -> None:
    """As if it had been written a while ago."""
    before = time.time() - 60
    for path in folder.iterdir():
        os.utime(path, (before, before))


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 3):
        record(tmp_path, number, [P, H, H, H])
    (tmp_path / "notes.mcap").write_bytes(b"")
    settle(tmp_path)
    return tmp_path


def files(listed: EpisodeList) -> list[str]:
    return [each.file for each in listed.episodes]


def test_the_newest_is_first_and_each_is_read_once(folder, monkeypatch):
    listed, read = EpisodeList(folder), []
    whole = episode_list.summarise
    monkeypatch.setattr(episode_list, "summarise", lambda path: read.append(path) or whole(path))
    assert listed.refresh(2) == (True, 1)
    assert files(listed) == ["000003", "000002"]
    assert listed.refresh(2) == (True, 0)
    assert listed.refresh(2) == (False, 0)
    assert files(listed) == ["000003", "000002", "000001"]
    assert len(read) == 3


def test_a_file_that_is_being_written_waits(folder):
    listed = EpisodeList(folder)
    listed.refresh(9)
    record(folder, 4, [P])
    assert listed.refresh(9) == (False, 0)
    settle(folder)
    assert listed.refresh(9) == (True, 0)
    assert files(listed)[0] == "000004"


def test_a_label_and_a_discard_are_seen(folder):
    listed = EpisodeList(folder)
    listed.refresh(9)
    relabel(folder / "000002.mcap", False)
    listed.refresh(9)
    assert [each.outcome for each in listed.episodes] == ["success", "failure", "success"]
    set_aside(folder / "000002.mcap", DISCARDED)
    listed.refresh(9)
    assert files(listed) == ["000003", "000002.discarded", "000001"]
    assert (listed.episodes[1].outcome, listed.episodes[1].relabelled) == ("discarded", True)
    assert listed.path("000002") is None
    bring_back(folder / "000002.mcap", DISCARDED)
    listed.refresh(9)
    assert listed.path("000002") == folder / "000002.mcap"


def test_a_folder_that_is_missing_has_none(tmp_path):
    listed = EpisodeList(tmp_path / "missing")
    assert listed.refresh(9) == (False, 0)
    assert listed.episodes == []


def test_a_row_says_how_long_and_how_much_by_a_human(folder):
    listed = EpisodeList(folder)
    listed.refresh(9)
    said = row(listed.episodes[0], 0.1)
    assert (said["number"], said["stage"], said["outcome"]) == (3, "rl", "success")
    assert (said["human"], said["seconds"]) == (0.75, 0.4)
