# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a dataset, it is read or refused in one line: never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expo_ft_ros.recording.lerobot import DatasetError, DatasetWriter, check_dataset, read_dataset
from support.episodes import make_episode
from support.fuzz import ALWAYS_THE_SAME, EXAMPLES, edited

HZ = 10.0
VIEWS = ("side", "wrist")
INFO = Path("meta/info.json")
TASKS = Path("meta/tasks.parquet")
DATA = Path("data/chunk-000/file-000.parquet")

Mutation = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "dataset"
    with DatasetWriter(folder, HZ, "franka") as writer:
        for number, length in ((1, 2), (2, 3)):
            writer.add(make_episode(number, length, terminated=number == 1, size=4))
        writer.close()
    return folder


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
)
jsons = st.recursive(
    scalars.filter(lambda value: not isinstance(value, bytes)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
cells = (
    scalars | st.lists(scalars, max_size=11) | st.lists(st.floats(-1, 1), min_size=7, max_size=7)
)


@st.composite
def edited_info(draw: st.DrawFn) -> Mutation:
    """Another value somewhere in info.json, or one that is missing."""
    number, value, gone = draw(st.integers(0, 500)), draw(jsons), draw(st.booleans())

    def mutate(folder: Path) -> None:
        info = json.loads((folder / INFO).read_text())
        info = edited(info, number, value, gone=gone)
        (folder / INFO).write_text(json.dumps(info))

    return mutate


@st.composite
def edited_column(draw: st.DrawFn) -> Mutation:
    """A cell, or each of a column, by another value; as a column of Arrow that holds it."""
    number, value, everywhere = draw(st.integers(0, 50)), draw(cells), draw(st.booleans())
    file = draw(st.sampled_from([DATA, DATA, DATA, TASKS]))
    row = draw(st.integers(0, 4))

    def mutate(folder: Path) -> None:
        table = pq.read_table(folder / file)
        place = number % table.num_columns
        values = table.column(place).to_pylist()
        values = [value] * len(values) if everywhere else values
        if values:
            values[row % len(values)] = value
        try:
            column = pa.array(values)
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            return
        pq.write_table(table.set_column(place, table.column_names[place], column), folder / file)

    return mutate


@st.composite
def edited_rows(draw: st.DrawFn) -> Mutation:
    """Rows in another order, some of them gone or there twice."""
    file = draw(st.sampled_from([DATA, TASKS]))
    rows = draw(st.lists(st.integers(0, 4), max_size=7) | st.permutations(range(5)))

    def mutate(folder: Path) -> None:
        table = pq.read_table(folder / file)
        kept = [row for row in rows if row < table.num_rows]
        pq.write_table(table.take(pa.array(kept, type=pa.int64())), folder / file)

    return mutate


@st.composite
def edited_bytes(draw: st.DrawFn) -> Mutation:
    """A file cut off, damaged, emptied, gone, or a folder in its place."""
    file = draw(st.sampled_from([INFO, TASKS, DATA, DATA]))
    how = draw(st.sampled_from(["cut", "damage", "damage", "gone", "folder"]))
    share, byte = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))

    def mutate(folder: Path) -> None:
        path = folder / file
        data = bytearray(path.read_bytes())
        place = int(share * len(data))
        if how == "cut":
            path.write_bytes(data[:place])
        elif how == "damage" and data:
            data[place] ^= byte
            path.write_bytes(data)
        else:
            path.unlink()
            if how == "folder":
                path.mkdir()

    return mutate


mutations = edited_info() | edited_column() | edited_column() | edited_rows() | edited_bytes()


def outcome(read: Callable[[], Any], folder: Path) -> tuple[str, Any]:
    """What was read, or the line that refused it."""
    try:
        return "", read()
    except DatasetError as error:
        said = str(error)
        assert "\n" not in said
        assert str(folder) in said
        return said, None


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    derandomize=ALWAYS_THE_SAME,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=st.lists(mutations, min_size=1, max_size=3))
def test_any_dataset_is_read_or_refused_in_a_line(
    whole: Path, tmp_path: Path, changes: list[Mutation]
) -> None:
    folder = tmp_path / "dataset"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    for change in changes:
        try:
            change(folder)
        except (OSError, ValueError, LookupError, ArithmeticError, pa.ArrowException):
            continue  # An earlier change has left nothing to be changed.
    refused, size = outcome(lambda: check_dataset(folder, HZ, VIEWS), folder)
    again, episodes = outcome(lambda: list(read_dataset(folder, HZ, VIEWS)), folder)
    assert again == refused, "what is checked before is what is read"
    if refused:
        return
    assert (size.episodes, size.frames) == (len(episodes), sum(map(len, episodes)))
    for episode in episodes:
        length = len(episode)
        assert length == len(episode.executed) == len(episode.state) - 1
        assert np.isfinite(episode.state).all()
        assert (np.abs(episode.executed) <= 1).all()
        assert episode.reward.sum() == float(episode.outcome.success)
        assert all(len(images) == length + 1 for images in episode.views.values())
