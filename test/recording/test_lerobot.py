# SPDX-License-Identifier: Apache-2.0
"""LeRobot datasets: what is written is read again, and is what LeRobot says a dataset is.

That LeRobot itself loads one was tried by hand (docs/architecture.md): it wants an older torch.
"""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.recording.lerobot import (
    DatasetError,
    DatasetSize,
    DatasetWriter,
    check_dataset,
    read_dataset,
    writer,
)
from support.episodes import VIEW_NAMES, VIEWS, make_episode

HZ = 10.0


def written(folder, *episodes):
    with DatasetWriter(folder, HZ, "franka") as writer:
        for episode in episodes:
            writer.add(episode)
        assert writer.close() == len(episodes)
    return folder


def edit_info(folder, **changes):
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    for name, value in changes.items():
        info[name] = value
    path.write_text(json.dumps(info))


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=4),
    views=VIEW_NAMES,
    data=st.data(),
)
def test_what_is_written_is_read(tmp_path_factory, lengths, views, data):
    """Of one view to four, in the order of the robot that reads it."""
    episodes = [
        make_episode(number, length, terminated=success, views=views)
        for number, (length, success) in enumerate(lengths, start=1)
    ]
    folder = written(tmp_path_factory.mktemp("exchange") / "dataset", *episodes)
    frames = sum(len(episode) for episode in episodes)
    order = data.draw(st.permutations(views))
    told: list[tuple[int, int]] = []
    size = check_dataset(folder, HZ, order, told=lambda *counts: told.append(counts))
    assert size == DatasetSize(len(episodes), frames)
    assert told == [(done, len(episodes)) for done in range(1, len(episodes) + 1)]
    for before, after in zip(episodes, read_dataset(folder, HZ, order), strict=True):
        length = len(before)
        assert len(after) == length
        assert list(after.views) == order
        pairs = {name: (after.views[name], before.views[name]) for name in views}
        for name, (now, then) in {**pairs, "state": (after.state, before.state)}.items():
            np.testing.assert_array_equal(now[:length], then[:length], err_msg=name)
            np.testing.assert_array_equal(now[length], now[length - 1], err_msg=name)
        for name in ("executed", "source", "reward"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
        assert after.instruction == before.instruction
        assert after.outcome.success == before.outcome.success
        assert after.outcome.terminated == before.outcome.terminated
        assert after.outcome.truncated == before.outcome.truncated
        assert after.outcome.stage == "collect"


def test_images_can_be_read_smaller(tmp_path):
    folder = written(tmp_path / "dataset", make_episode(1, 3, terminated=True, size=32))
    (episode,) = read_dataset(folder, HZ, VIEWS, image_size=16)
    assert episode.views["side"].shape == (4, 16, 16, 3)


def test_it_is_what_lerobot_reads(tmp_path, monkeypatch):
    """Names and types of format v3.0; a new data file where one has grown large."""
    monkeypatch.setattr(writer, "_FILE_BYTES", 5000)
    episodes = [make_episode(n, 5, terminated=True) for n in (1, 2, 3)]
    folder = written(tmp_path / "dataset", *episodes)
    info = json.loads((folder / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["total_episodes"], info["total_frames"], info["fps"]) == (3, 15, 10)
    files = sorted((folder / "data").glob("*/*.parquet"))
    assert len(files) > 1
    frames = pa.concat_tables([pq.read_table(path) for path in files])
    assert frames["index"].to_pylist() == list(range(15))
    assert frames["frame_index"].to_pylist() == list(range(5)) * 3
    assert set(frames.column_names) == set(info["features"])
    image = frames.schema.field("observation.images.side").type
    assert image == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert frames.schema.field("action").type == pa.list_(pa.float32(), 7)
    rows = pq.read_table(folder / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for number, row in enumerate(rows):
        place = info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        assert number in pq.read_table(folder / place)["episode_index"].to_pylist()
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (5 * number, 5 * number + 5)
    tasks = pq.read_table(folder / "meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]
    stats = json.loads((folder / "meta/stats.json").read_text())
    actions = np.concatenate([episode.executed for episode in episodes])
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stats["action"]["q99"], np.quantile(actions, 0.99, axis=0), 1e-5)
    side = np.concatenate([e.views["side"][:5:10, ::8, ::8] for e in episodes]).reshape(-1, 3) / 255
    of_side = stats["observation.images.side"]
    assert np.shape(of_side["mean"]) == (3, 1, 1)
    for name, wanted in (("mean", side.mean(0)), ("std", side.std(0)), ("max", side.max(0))):
        np.testing.assert_allclose(np.ravel(of_side[name]), wanted, atol=1e-9)


def test_what_a_dataset_does_not_say_makes_a_demonstration(tmp_path):
    """One that other tools recorded: no rewards, nothing about who drove."""
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=False))
    (path,) = (folder / "data").glob("*/*.parquet")
    beyond = ["next.done", "next.success", "next.truncated", "complementary_info.is_intervention"]
    pq.write_table(pq.read_table(path).drop_columns(beyond), path)
    (failed,) = read_dataset(folder, HZ, VIEWS)
    assert not failed.outcome.success, "it has rewards, and none was given"
    assert failed.outcome.truncated
    pq.write_table(pq.read_table(path).drop_columns(["next.reward"]), path)
    (episode,) = read_dataset(folder, HZ, VIEWS)
    assert episode.outcome.success
    assert episode.outcome.terminated
    assert episode.human_steps == 4
    assert episode.reward.tolist() == [0, 0, 0, 1]
    pq.write_table(pq.read_table(path).drop_columns(["task_index"]), path)
    with pytest.raises(DatasetError, match="has no column task_index"):
        list(read_dataset(folder, HZ, VIEWS))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"codebase_version": "v2.1"}, r"format v2\.1, read is v3\.0"),
        ({"fps": 30}, "30 Hz, the task is controlled at 10 Hz"),
        ({"fps": "fast"}, "not what LeRobot writes"),
        ({"features": {}}, r"observation\.state has the shape \[\], needed is \[10\]"),
        ({"total_episodes": 2}, "1 episodes, meta/info.json says 2"),
    ],
)
def test_another_dataset_is_refused_by_its_cause(tmp_path, changes, cause):
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=True))
    edit_info(folder, **changes)
    with pytest.raises(DatasetError, match=cause):
        list(read_dataset(folder, HZ, VIEWS))


def test_videos_are_refused(tmp_path):
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=True))
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    features["observation.images.side"]["dtype"] = "video"
    edit_info(folder, features=features)
    with pytest.raises(DatasetError, match="is video, needed is image"):
        check_dataset(folder, HZ, VIEWS)


@pytest.mark.parametrize(
    ("column", "value", "cause"),
    [
        ("action", 1.5, r"action 1\.5 is not within \[-1, 1\]"),
        ("action", float("nan"), r"action nan is not within \[-1, 1\]"),
        ("observation.state", float("inf"), "observation.state inf is not finite"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, column, value, cause):
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=True))
    (path,) = (folder / "data").glob("*/*.parquet")
    table = pq.read_table(path)
    width = len(table[column][0])
    bad = pa.array([[value] * width] * 4, type=pa.list_(pa.float32(), width))
    pq.write_table(table.set_column(table.column_names.index(column), column, bad), path)
    with pytest.raises(DatasetError, match=cause):
        list(read_dataset(folder, HZ, VIEWS))


def test_a_broken_file_is_named(tmp_path):
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=True))
    (path,) = (folder / "data").glob("*/*.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"file-000\.parquet: can't be read"):
        list(read_dataset(folder, HZ, VIEWS))
    with pytest.raises(DatasetError, match="no LeRobot dataset"):
        check_dataset(tmp_path, HZ, VIEWS)


def test_nothing_is_overwritten_and_sizes_do_not_mix(tmp_path):
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=True))
    with pytest.raises(DatasetError, match="there is something already"):
        DatasetWriter(folder, HZ, "franka")
    with pytest.raises(DatasetError, match=r"whole number of frames a second, not 12\.5"):
        DatasetWriter(tmp_path / "other", 12.5, "franka")
    with DatasetWriter(tmp_path / "other", HZ, "franka") as writer:
        with pytest.raises(DatasetError, match="no episode to export"):
            writer.close()
        writer.add(make_episode(1, 4, terminated=True))
        with pytest.raises(DatasetError, match=r"is 16x16, the episodes before it 8x8"):
            writer.add(make_episode(2, 4, terminated=True, size=16))
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"], "nothing is left of it"


@pytest.mark.parametrize("wanted", [("side",), ("side", "front"), ("wrist", "side", "front")])
def test_other_views_than_the_robots_are_refused_with_both_lists(tmp_path, wanted):
    folder = written(tmp_path / "dataset", make_episode(1, 4, terminated=True))
    cause = f"info.json: its views are side, wrist, the robot's are {', '.join(wanted)} "
    with pytest.raises(DatasetError, match=cause):
        check_dataset(folder, HZ, wanted)
    with pytest.raises(DatasetError, match=cause):
        list(read_dataset(folder, HZ, wanted))


def test_an_episode_of_other_views_goes_into_a_dataset_of_its_own(tmp_path):
    with DatasetWriter(tmp_path / "dataset", HZ, "franka") as made:
        made.add(make_episode(1, 4, terminated=True))
        with pytest.raises(DatasetError, match=r"episode 2: its images are .*\.side, those"):
            made.add(make_episode(2, 4, terminated=True, views=("side",)))


def test_what_an_action_means_goes_with_it(tmp_path):
    """A demonstration at 0.1 m/s would be imitated at 0.25 m/s, without a word."""
    slow = {"linear_velocity": 0.1, "gripper_velocity": 0.12}
    with DatasetWriter(tmp_path / "slow", HZ, "franka", slow) as writer:
        writer.add(make_episode(1, 3, terminated=True))
        writer.close()
    assert check_dataset(tmp_path / "slow", HZ, VIEWS, slow).episodes == 1
    fast = {**slow, "linear_velocity": 0.25}
    with pytest.raises(DatasetError, match=r"action_limits .*0\.1.* limits .*0\.25"):
        check_dataset(tmp_path / "slow", HZ, VIEWS, fast)
    with DatasetWriter(tmp_path / "unsaid", HZ, "franka") as writer:
        writer.add(make_episode(1, 3, terminated=True))
        writer.close()
    assert check_dataset(tmp_path / "unsaid", HZ, VIEWS, fast).episodes == 1
