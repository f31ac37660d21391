# SPDX-License-Identifier: Apache-2.0
"""What stands still in the scene."""

from unittest.mock import MagicMock

import numpy as np

from expo_ft_ros.monitor.scene3d import furnish
from expo_ft_ros.tasks import load_task

TASK = load_task("cube_pick")


def test_each_height_of_the_classifier_is_outlined_in_the_workspace_and_named():
    lines: dict[str, MagicMock] = {}
    scene = MagicMock()
    scene.add_line_segments.side_effect = lambda name, *_, **__: lines.setdefault(name, MagicMock())
    furnish(scene, TASK, {"lifted": 0.12, "grasped below": 0.05})
    named = {call.args[1]: call.kwargs["position"][2] for call in scene.add_label.call_args_list}
    assert named == {"lifted": 0.12, "grasped below": 0.05}
    for number, height in enumerate(named.values()):
        outline = lines[f"/heights/{number}"].points
        np.testing.assert_array_equal(outline[:, 1], np.roll(outline[:, 0], -1, axis=0))
        assert set(outline[..., 2].ravel()) == {height}
        for axis in range(2):
            ends = {TASK.workspace.low[axis], TASK.workspace.high[axis]}
            assert set(outline[..., axis].ravel()) == ends
