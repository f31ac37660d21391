# SPDX-License-Identifier: Apache-2.0
"""What is recorded is what was said: an episode of a file is the one that live messages give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from expo_ft_ros.cli import main as cli
from expo_ft_ros.recording.episode_store import (
    UNCOUNTED,
    load_episode,
    load_episodes,
    relabel,
    rescue_episode,
    set_aside,
)
from expo_ft_ros.recording.lerobot import read_dataset
from expo_ft_ros.recording.mcap_file import read_bag
from expo_ft_ros.rl.replay_buffer import ReplayBuffer
from expo_ft_ros.ros.message_definitions import message_definition
from support.episodes import VIEWS
from support.random_recordings import assert_same, messages, of_live, record


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 12), size=st.sampled_from([None, 16]))
def test_a_file_gives_what_live_messages_give(tmp_path_factory, seed, length, size):
    folder = tmp_path_factory.mktemp("episodes")
    said = list(messages(3, length, np.random.default_rng(seed)))
    record(folder, 3, said)
    assert_same(load_episode(folder / "000003.mcap", size), of_live(said, size))


def test_a_file_gives_the_windows_that_live_messages_give(tmp_path):
    said = list(messages(3, 9, np.random.default_rng(0)))
    record(tmp_path, 3, said)
    live, file = (ReplayBuffer(20, 8, ("side", "wrist"), 0.9) for _ in range(2))
    live.add(of_live(said))
    file.add(load_episode(tmp_path / "000003.mcap"))
    np.testing.assert_array_equal(live.images, file.images)
    np.testing.assert_array_equal(live.state, file.state)
    heard, read = (vars(replay.window(replay.starts(), 4, 6)) for replay in (live, file))
    assert len(heard["start"]) == 9
    for name, value in heard.items():
        np.testing.assert_array_equal(value, read[name], err_msg=name)


def test_a_file_holds_what_viewers_look_for(tmp_path):
    record(tmp_path, 3, messages(3, 4, np.random.default_rng(0)))
    path = tmp_path / "000003.mcap"
    topics = {recorded.topic for recorded in read_bag(path)}
    assert {"camera/side/image_raw", "camera/wrist/image_raw", "teleop/command"} <= topics
    with path.open("rb") as file:
        notes = {note.name: note.metadata for note in make_reader(file).iter_metadata()}
    assert notes == {"run": {"config.yaml": "task: cube_pick"}}


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_cut_gives_all_whole_steps_before_it(tmp_path_factory, share):
    folder = tmp_path_factory.mktemp("episodes")
    said = list(messages(3, 6, np.random.default_rng(1)))
    record(folder, 3, said)
    path = folder / "000003.mcap"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    live, rescued = of_live(said), rescue_episode(path)
    if rescued is not None and not rescued.outcome.discarded:
        # Only the index at the file's end is gone.
        assert_same(rescued, live)
        assert_same(load_episode(path), live)
        return
    with pytest.raises(ValueError, match=r"000003\.mcap: not a whole episode: .*cut off after"):
        load_episode(path)
    if rescued is None:
        return
    assert not rescued.outcome.terminated
    assert "000003.mcap: cut off after" in rescued.outcome.cause
    count = len(rescued)
    np.testing.assert_array_equal(rescued.executed, live.executed[:count])
    np.testing.assert_array_equal(rescued.views["side"], live.views["side"][: count + 1])


def test_a_whole_file_is_rescued_whole(tmp_path):
    said = list(messages(3, 6, np.random.default_rng(1)))
    record(tmp_path, 3, said)
    rescued = rescue_episode(tmp_path / "000003.mcap")
    assert rescued is not None
    assert_same(rescued, of_live(said))


def test_a_discarded_episode_is_kept_and_not_learned_from(tmp_path):
    said = list(messages(3, 6, np.random.default_rng(1)))
    said[-1][1].discarded = True
    record(tmp_path, 3, said)
    path = tmp_path / "000003.mcap"
    with pytest.raises(ValueError, match=r"000003\.mcap: not a whole episode: it is discarded"):
        load_episode(path)
    rescued = rescue_episode(path)
    assert rescued is not None
    assert rescued.outcome.discarded
    assert len(rescued) == 6


def test_the_operators_label_holds_over_the_classifier(tmp_path):
    said = list(messages(3, 6, np.random.default_rng(1)))
    record(tmp_path, 3, said)
    path = tmp_path / "000003.mcap"
    recorded = path.read_bytes()
    relabel(path, False)
    episode = load_episode(path)
    assert (episode.outcome.success, episode.outcome.terminated) == (False, True)
    assert not episode.reward.any()
    place = set_aside(path, UNCOUNTED)
    record(tmp_path, 3, said)
    assert load_episode(path).outcome.success, "its number's next bearer has no label"
    episode = rescue_episode(place)
    assert episode is not None
    assert not episode.outcome.success
    relabel(path, True)
    assert_same(replace(load_episode(path), outcome=of_live(said).outcome), of_live(said))
    assert place.read_bytes() == recorded


def test_a_broken_label_is_named(tmp_path):
    record(tmp_path, 3, messages(3, 2, np.random.default_rng(1)))
    (tmp_path / "000003.label.json").write_text("{}")
    with pytest.raises(ValueError, match=r"000003\.label\.json: not a label"):
        load_episode(tmp_path / "000003.mcap")


def test_the_operator_looks_through_a_run_and_labels_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    episodes = tmp_path / "a" / "episodes"
    episodes.mkdir(parents=True)
    (tmp_path / "a" / "config.yaml").write_text("command: train\noptions: {}\n")
    for number in (1, 2):
        record(episodes, number, messages(number, 4, np.random.default_rng(number)))
    assert cli.main(["episodes", "relabel", "1", "failure"]) == 2
    assert "hasn't counted it" in capsys.readouterr().err
    (tmp_path / "a" / "progress.json").write_text('{"session": {"episode": 3}}')
    assert cli.main(["episodes", "relabel", "1", "failure"]) == 0
    assert cli.main(["episodes", "discard", "2", "a"]) == 0
    capsys.readouterr()
    assert cli.main(["episodes", "list"]) == 0
    listed = capsys.readouterr().out
    assert "000001                  rl           failure     4 steps" in listed
    assert "000002.discarded" in listed
    assert cli.main(["episodes", "show", "1"]) == 0
    assert "labelled as failure" in capsys.readouterr().out
    for words, message in (
        (["show", "2"], "no such episode"),
        (["show", "x"], "not an episode's number"),
        (["relabel", "1", "maybe"], "no label (known: failure, success)"),
        (["lost"], "no such command"),
    ):
        assert cli.main(["episodes", *words]) == 2
        assert message in capsys.readouterr().err


def test_files_that_were_set_aside_are_kept_but_not_loaded(tmp_path):
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        record(tmp_path, number, messages(number, 2, rng))
    assert set_aside(tmp_path / "000003.mcap", UNCOUNTED).name == "000003.uncounted.mcap"
    record(tmp_path, 3, messages(3, 2, rng))
    assert set_aside(tmp_path / "000003.mcap", UNCOUNTED).name == "000003.uncounted1.mcap"
    assert [e.outcome.episode for e in load_episodes(tmp_path)] == [1, 2]
    assert [e.outcome.episode for e in load_episodes(tmp_path, before=2)] == [1]


def test_a_definition_has_every_message_in_it_once():
    text = message_definition("expo_ft_ros/Observation")
    blocks = text.split("=" * 80)
    names = [block.splitlines()[1] for block in blocks[1:]]
    assert len(names) == len(set(names))
    assert {
        "MSG: sensor_msgs/Image",
        "MSG: expo_ft_ros/Proprio",
        "MSG: geometry_msgs/Quaternion",
        "MSG: builtin_interfaces/Time",
    } <= set(names)


def test_a_run_is_exported(tmp_path, monkeypatch, capsys):
    """What the session counted, relabelled as the operator did; nothing of what can't be."""
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    run = tmp_path / "a"
    (run / "episodes").mkdir(parents=True)
    for number in (1, 2, 3):
        record(run / "episodes", number, messages(number, 4, np.random.default_rng(number)))
    (run / "progress.json").write_text('{"session": {"episode": 3}}')
    (run / "config.yaml").write_text("command: train\noptions: {}\n")
    assert cli.main(["export", str(tmp_path / "out")]) == 2
    assert "doesn't say the task's rate" in capsys.readouterr().err
    (run / "config.yaml").write_text("command: train\noptions: {}\ntask: {control_hz: 10.0}\n")
    relabel(run / "episodes" / "000002.mcap", False)
    assert cli.main(["export", str(tmp_path / "out")]) == 0
    assert [e.outcome.success for e in read_dataset(tmp_path / "out", 10, VIEWS)] == [True, False]
    assert cli.main(["export", "only:=successes", str(tmp_path / "won"), "a"]) == 0
    assert len(list(read_dataset(tmp_path / "won", 10, VIEWS))) == 1
    assert cli.main(["export", "only:=demonstrations", str(tmp_path / "none")]) == 2
    assert "no episode to export" in capsys.readouterr().err
    assert not list(tmp_path.glob("none*"))
    assert cli.main(["export", "format:=csv", str(tmp_path / "csv")]) == 2
