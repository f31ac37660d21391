# SPDX-License-Identifier: Apache-2.0
"""What a dataset holds is checked cell by cell, before anything is learned from it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expo_ft_ros.recording.lerobot import DatasetError, DatasetWriter, check_dataset, read_dataset
from support.episodes import VIEWS, make_episode

HZ = 10.0
LENGTHS = (4, 6)


@pytest.fixture
def folder(tmp_path):
    """Two failed episodes of four and six rows."""
    with DatasetWriter(tmp_path / "dataset", HZ, "franka") as writer:
        for number, length in enumerate(LENGTHS, start=1):
            writer.add(make_episode(number, length, terminated=False))
        writer.close()
    return tmp_path / "dataset"


def data_file(folder):
    (path,) = (folder / "data").glob("*/*.parquet")
    return path


def replace_column(folder, name, values):
    """values: a column of Arrow, or what one can be made of."""
    table = pq.read_table(data_file(folder))
    column = values if isinstance(values, pa.Array) else pa.array(values)
    pq.write_table(
        table.set_column(table.column_names.index(name), name, column), data_file(folder)
    )


def edit_cell(folder, name, row, value):
    """One cell by another value, which may be longer than the column's others."""
    table = pq.read_table(data_file(folder))
    cells = table[name].to_pylist()
    kind = table.schema.field(name).type
    if pa.types.is_fixed_size_list(kind):
        kind = pa.list_(kind.value_type)
    elif isinstance(value, list):
        kind, cells = pa.list_(kind), [[cell] for cell in cells]
    cells[row] = value
    replace_column(folder, name, pa.array(cells, type=kind))


def edit_info(folder, change):
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))


def refused(folder, cause):
    """Both refuse it alike, in one line that names the dataset's folder."""
    with pytest.raises(DatasetError, match=cause) as checked:
        check_dataset(folder, HZ, VIEWS)
    with pytest.raises(DatasetError, match=cause) as read:
        list(read_dataset(folder, HZ, VIEWS))
    assert "\n" not in str(checked.value)
    assert str(folder) in str(checked.value)
    assert str(checked.value) == str(read.value)


@pytest.mark.parametrize(
    "column",
    ["next.success", "next.truncated", "complementary_info.is_intervention", "next.reward"],
)
def test_lists_of_length_one_are_what_is_in_them(folder, column):
    plain = list(read_dataset(folder, HZ, VIEWS))
    values = pq.read_table(data_file(folder))[column].to_pylist()
    replace_column(folder, column, [[value] for value in values])
    for before, after in zip(plain, read_dataset(folder, HZ, VIEWS), strict=True):
        assert after.outcome == before.outcome
        np.testing.assert_array_equal(after.source, before.source)
    assert not plain[0].outcome.success


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("next.success", ["false"] * 10),
        ("next.success", [0] * 10),
        ("next.truncated", [[[False]]] * 10),
        ("next.reward", ["0"] * 10),
        ("complementary_info.is_intervention", [0.0] * 10),
        ("task_index", ["0"] * 10),
        ("frame_index", [float(n) for n in (*range(4), *range(6))]),
        ("action", [[str(n) for n in range(7)]] * 10),
        ("observation.state", [0.0] * 10),
        ("observation.images.side", ["side.png"] * 10),
    ],
)
def test_a_column_of_another_type_is_refused(folder, column, values):
    replace_column(folder, column, values)
    refused(folder, f"file-000.parquet: column {column} is .*, needed is ")


def test_rows_are_ordered_by_their_frame_index(folder):
    plain = list(read_dataset(folder, HZ, VIEWS))
    table = pq.read_table(data_file(folder))
    order = [("episode_index", "ascending"), ("frame_index", "descending")]
    pq.write_table(table.sort_by(order), data_file(folder))
    for before, after in zip(plain, read_dataset(folder, HZ, VIEWS), strict=True):
        np.testing.assert_array_equal(after.executed, before.executed)
        np.testing.assert_array_equal(after.views["side"], before.views["side"])
        np.testing.assert_array_equal(after.reward, before.reward)


@pytest.mark.parametrize(
    ("frames", "cause"),
    [
        ((0, 1, 1, 3, *range(6)), "episode 0, row 2: frame_index 1 is there twice"),
        ((0, 1, 3, 4, *range(6)), "episode 0, row 2: frame_index 2 is missing"),
        ((*range(4), *range(1, 7)), "episode 1, row 4: frame_index 0 is missing"),
        ((*range(4), -1, *range(5)), "episode 1, row 4: frame_index is -1"),
    ],
)
def test_a_frame_that_is_missing_or_there_twice_is_named(folder, frames, cause):
    replace_column(folder, "frame_index", list(frames))
    refused(folder, cause)


def test_an_episode_in_two_places_is_named(folder):
    replace_column(folder, "episode_index", [0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    replace_column(folder, "frame_index", [0, 1, 0, 1, 2, 3, 4, 5, 2, 3])
    refused(folder, "episode 0, row 8: the episode was over.*sort")


@pytest.mark.parametrize(
    ("column", "row", "value", "cause"),
    [
        ("action", 5, None, "episode 1, row 5: action is null"),
        ("action", 5, [0.0] * 6, "episode 1, row 5: action has 6 numbers, needed are 7"),
        ("action", 5, [0.0] * 6 + [None], "episode 1, row 5: action holds a null"),
        ("action", 2, [0.0] * 6 + [1.5], r"episode 0, row 2: action 1\.5 is not within \[-1, 1\]"),
        ("observation.state", 3, None, "episode 0, row 3: observation.state is null"),
        ("observation.state", 9, [0.0] * 9, "episode 1, row 9: observation.state has 9 numbers"),
        ("observation.state", 9, [float("inf")] * 10, "row 9: observation.state inf is not finite"),
        ("next.success", 3, None, "episode 0, row 3: next.success is null"),
        ("next.success", 3, [False, False], "row 3: next.success has 2 values, needed is one"),
        ("next.reward", 3, None, "episode 0, row 3: next.reward is null"),
        ("next.reward", 3, float("nan"), "episode 0, row 3: next.reward nan is not finite"),
        ("task_index", 4, None, "episode 1, row 4: task_index is null"),
        ("task_index", 4, 7, "episode 1, row 4: task_index 7 is not in meta/tasks.parquet"),
        ("frame_index", 4, None, "row 4: frame_index is null"),
        ("episode_index", 4, None, "row 4: episode_index is null"),
        ("observation.images.side", 1, None, "episode 0, row 1: observation.images.side is null"),
        ("observation.images.side", 1, {"bytes": None, "path": "a.png"}, "row 1: .* has no bytes"),
        (
            "observation.images.side",
            1,
            {"bytes": b"GIF89a", "path": None},
            "row 1: .*does not deco",
        ),
    ],
)
def test_a_cell_that_cannot_be_learned_from_is_named(folder, column, row, value, cause):
    edit_cell(folder, column, row, value)
    refused(folder, f"file-000.parquet: .*{cause}")


def test_an_image_that_was_cut_off_is_named(folder):
    data = pq.read_table(data_file(folder))["observation.images.wrist"][7].as_py()["bytes"]
    edit_cell(folder, "observation.images.wrist", 7, {"bytes": data[:-20], "path": None})
    refused(folder, "episode 1, row 7: observation.images.wrist: the image does not decode")


def test_two_tasks_in_one_episode_are_refused(folder):
    tasks = folder / "meta" / "tasks.parquet"
    pq.write_table(pa.table({"task_index": [0, 1], "task": ["pick up", "put down"]}), tasks)
    edit_cell(folder, "task_index", 2, 1)
    refused(folder, "episode 0, row 2: task_index 1, the episode begins with 0")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda info: info.update(features=None), "features: None"),
        (lambda info: info.update(features={"action": 1}), "features.action: 1"),
        (lambda info: info.update(total_episodes=0), "total_episodes 0: it has no episodes"),
        (lambda info: info.update(total_episodes=None), "total_episodes: None"),
        (lambda info: info.update(total_episodes=True), "total_episodes: True"),
        (lambda info: info.update(total_frames=11), "10 frames, meta/info.json says 11"),
        (lambda info: info.update(fps=None), "fps: None"),
        (lambda info: info.pop("codebase_version"), "codebase_version: missing"),
    ],
)
def test_what_the_dataset_says_of_itself_is_checked(folder, change, cause):
    edit_info(folder, change)
    refused(folder, cause)


JOINTS = [f"joint_{n}" for n in range(7)]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (JOINTS, "joint_0, .*, joint_6"),
        ({"motors": JOINTS}, "joint_0, .*, joint_6"),
        (None, "none"),
        (["vy", "vx", "vz", "wx", "wy", "wz", "gripper_velocity"], "vy, vx"),
    ],
)
def test_numbers_of_another_meaning_are_refused_by_their_names(folder, names, said):
    edit_info(folder, lambda info: info["features"]["action"].update(names=names))
    refused(folder, f"info.json: action is {said}.*, needed is vx, vy, vz, .*gripper_velocity")


def test_a_state_of_another_meaning_is_refused_by_its_names(folder):
    names = [*JOINTS, "tool_x", "tool_y", "tool_z"]
    edit_info(folder, lambda info: info["features"]["observation.state"].update(names=names))
    refused(folder, "info.json: observation.state is joint_0, .*, tool_z, needed is x, y, z, r11,")


def test_names_in_lerobots_other_form_are_read(folder):
    def in_a_mapping(info):
        feature = info["features"]["observation.state"]
        feature["names"] = {"axes": feature["names"]}

    edit_info(folder, in_a_mapping)
    assert check_dataset(folder, HZ, VIEWS).episodes == 2


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_files_that_were_cut_off_are_named(folder, share):
    for path in (data_file(folder), folder / "meta" / "tasks.parquet"):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        refused(folder, f"{path.name}: can't be read")
        path.write_bytes(whole)


def test_a_page_that_was_damaged_is_not_read(folder):
    """A disk's error changes a number and nothing else: the page's checksum shows it."""
    path = data_file(folder)
    group = pq.ParquetFile(path).metadata.row_group(0)
    (state,) = [
        column
        for column in map(group.column, range(group.num_columns))
        if column.path_in_schema.startswith("observation.state")
    ]
    data = bytearray(path.read_bytes())
    begin = state.dictionary_page_offset or state.data_page_offset
    data[begin + state.total_compressed_size - 3] ^= 0xFF
    path.write_bytes(data)
    refused(folder, r"file-000\.parquet: can't be read")


@pytest.mark.parametrize(
    ("table", "cause"),
    [
        ({"task_index": [0, 0], "task": ["a", "b"]}, "task_index 0 is there twice"),
        ({"task_index": [0, None], "task": ["a", "b"]}, "row 1: task_index is null"),
        ({"task_index": [0, 1], "task": ["a", None]}, "row 1: the task's text is null"),
        ({"task_index": ["0"], "task": ["a"]}, "column task_index is string"),
        ({"task_index": [0], "task": [3]}, "column task is int64"),
    ],
)
def test_tasks_are_checked(folder, table, cause):
    pq.write_table(pa.table(table), folder / "meta" / "tasks.parquet")
    refused(folder, f"tasks.parquet: .*{cause}")


def test_what_is_checked_is_what_is_read(folder):
    summary = check_dataset(folder, HZ, VIEWS)
    assert (summary.episodes, summary.frames) == (2, 10)
    assert [len(episode) for episode in read_dataset(folder, HZ, VIEWS)] == list(LENGTHS)
