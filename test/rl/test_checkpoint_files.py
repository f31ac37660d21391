# SPDX-License-Identifier: Apache-2.0
"""Which checkpoint of a folder is the newest is written in it, not in the file system's clock."""

import os
import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from expo_ft_ros.rl.checkpoint import load_state, save_state
from expo_ft_ros.rl.checkpoint_files import (
    checkpoint_path,
    list_checkpoints,
    newest_whole,
    remove_older,
)


def written(folder, version, name=None):
    path = folder / name if name else checkpoint_path(folder, version)
    save_state(path, {"x": torch.zeros(100), "version": version}, version)
    return path


def cut(path, length=200):
    path.write_bytes(path.read_bytes()[:length])
    return path


def versions(folder):
    return [found.version for found in list_checkpoints(folder)]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations([1, 2, 9, 10, 100_000]), touched=st.permutations(range(5)))
def test_the_order_is_that_of_the_versions(tmp_path_factory, order, touched):
    """As after `cp -r` or `touch`, whatever the files' times are."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for version, time in zip(order, touched, strict=True):
        os.utime(written(folder, version), (time, time))
    assert versions(folder) == [1, 2, 9, 10, 100_000]
    weights, skipped = newest_whole(folder)
    assert load_state(weights.path)["version"] == 100_000
    assert skipped == ()


def test_a_renamed_checkpoint_keeps_its_place(tmp_path):
    written(tmp_path, 3, "best.safetensors")
    written(tmp_path, 2, "zz.safetensors")
    written(tmp_path, 10)
    assert versions(tmp_path) == [2, 3, 10]


def test_one_that_was_cut_off_is_placed_by_its_name_and_skipped(tmp_path):
    written(tmp_path, 1)
    older = written(tmp_path, 2)
    broken = [cut(written(tmp_path, 3)), cut(written(tmp_path, 4), 0)]
    weights, skipped = newest_whole(tmp_path)
    assert weights.path == older
    assert skipped == tuple(reversed(broken))


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1, -300])
def test_whatever_is_cut_off_is_not_whole(tmp_path, length):
    path = written(tmp_path, 1)
    cut(path, length)
    (found,) = list_checkpoints(tmp_path)
    assert not found.whole
    assert newest_whole(tmp_path) == (None, (path,))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=200), seed=st.integers(0, 2**16))
def test_any_file_is_whole_or_not_but_never_an_error(tmp_path_factory, data, seed):
    folder = tmp_path_factory.mktemp("checkpoints")
    (folder / "random.safetensors").write_bytes(data)
    path = written(folder, 1)
    mutated = bytearray(path.read_bytes())
    place = random.Random(seed)
    for _ in range(3):
        mutated[place.randrange(len(mutated))] = place.randrange(256)
    path.write_bytes(mutated)
    assert len(list_checkpoints(folder)) == 2


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), byte=st.integers(1, 255))
def test_a_damaged_byte_is_seen(tmp_path_factory, share, byte):
    """Wherever it is; a tensor's number would else be another one without a word."""
    folder = tmp_path_factory.mktemp("checkpoints")
    path = written(folder, 1)
    data = bytearray(path.read_bytes())
    place = int(share * len(data))
    data[place] ^= byte
    path.write_bytes(data)
    weights, skipped = newest_whole(folder)
    if weights is None:
        assert skipped == (path,)
    else:
        assert torch.equal(load_state(path)["x"], torch.zeros(100))


def test_a_checkpoint_of_before_there_was_a_checksum_is_read(tmp_path):
    save_file({"x": torch.ones(2)}, tmp_path / "old_v00001.safetensors", {"skeleton": "{}"})
    weights, _ = newest_whole(tmp_path)
    assert (weights.version, weights.whole) == (1, True)


def test_no_folder_has_no_checkpoint(tmp_path):
    assert newest_whole(tmp_path / "none") == (None, ())


def test_the_oldest_versions_are_removed_whatever_their_times(tmp_path):
    paths = [written(tmp_path, version) for version in (1, 2, 3, 4)]
    os.utime(paths[0], (2**31, 2**31))
    remove_older(tmp_path, keep=2)
    assert versions(tmp_path) == [3, 4]


def test_a_broken_one_does_not_count_as_kept_and_whole_ones_are_not_lost_for_it(tmp_path):
    for version in (1, 2, 3, 4):
        written(tmp_path, version)
    for version in (5, 6):
        cut(written(tmp_path, version))
    remove_older(tmp_path, keep=2)
    assert versions(tmp_path) == [3, 4, 5, 6]
    cut(checkpoint_path(tmp_path, 3))
    assert newest_whole(tmp_path)[0].version == 4


def test_a_damaged_one_does_not_push_out_one_to_begin_with(tmp_path):
    for version in (1, 2, 3):
        written(tmp_path, version)
    for version in (4, 5):
        path = written(tmp_path, version)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    remove_older(tmp_path, keep=2)
    assert versions(tmp_path) == [2, 3, 4, 5]


def test_where_none_is_good_all_are_left_to_be_looked_at(tmp_path):
    for version in (1, 2):
        cut(written(tmp_path, version))
    remove_older(tmp_path, keep=1)
    assert len(list(tmp_path.iterdir())) == 2
