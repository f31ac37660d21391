# SPDX-License-Identifier: Apache-2.0
"""Episodes of a run without ROS come back as they were written, older files among them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from expo_ft_ros.experiment.episode_arrays import read_episodes, write_episode
from support.episodes import make_episode


def test_an_episode_comes_back_whole(tmp_path):
    """Also one of which nobody knows how many steps were left, as of files from before it was kept,
    which lack the array."""
    left = np.arange(6, -1, -1, dtype=np.int32)
    known = replace(make_episode(1, 6, terminated=True), steps_left=left)
    unknown = make_episode(2, 6, terminated=False)
    for episode in (known, unknown):
        path = write_episode(tmp_path, episode)
    with np.load(path) as file:
        assert "steps_left" not in file.files
    for before, after in zip((known, unknown), read_episodes(tmp_path), strict=True):
        assert list(before.views) == list(after.views)
        for field in fields(before):
            value, read = getattr(before, field.name), getattr(after, field.name)
            if field.name != "views":
                np.testing.assert_array_equal(read, value, err_msg=field.name)
        for view, images in before.views.items():
            np.testing.assert_array_equal(after.views[view], images)
