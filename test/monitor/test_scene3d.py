# SPDX-License-Identifier: Apache-2.0
"""What stands still in the scene, and what moves in it."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import MagicMock

import numpy as np
import pytest
import viser

from expo_ft_ros.monitor.arm import arm_frames
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.scene3d import Scene, furnish
from expo_ft_ros.tasks import load_task
from support.views import make_view

TASK = load_task("cube_pick")
MATRIX = np.array([[200.0, 0, 112], [0, 200.0, 112], [0, 0, 1]])
TURN = np.array([0.5, 0.5, 0.5, 0.5])


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


class Recorded:
    """A scene of viser that keeps what was put into it, by its names."""

    def __init__(self) -> None:
        self.there: dict[str, MagicMock] = {}
        self.made: list[str] = []
        self.scene = MagicMock()
        for kind in ("frame", "mesh_simple", "line_segments", "camera_frustum", "point_cloud"):
            getattr(self.scene, f"add_{kind}").side_effect = self._add

    def _add(self, name: str, *_: object, **fields: object) -> MagicMock:
        handle = MagicMock(**fields)
        handle.remove.side_effect = lambda: self.there.pop(name)
        self.there[name] = handle
        self.made.append(name)
        return handle


@pytest.fixture
def recorded() -> tuple[Recorded, Scene]:
    seen = Recorded()
    return seen, Scene(seen.scene, "/live")


def test_the_arm_is_sent_once_and_moved_to_where_its_joints_are(recorded):
    seen, scene = recorded
    scene.show(make_view(10))
    made, view = list(seen.made), make_view(60)
    scene.show(view)
    assert seen.made == made
    places, turns = arm_frames(view.joints)
    for number in range(8):
        link = seen.there[f"/live/arm/{number}"]
        assert link.visible
        np.testing.assert_allclose(link.position, places[number])
        np.testing.assert_allclose(np.roll(link.wxyz, -1), turns[number])
        assert f"/live/arm/{number}/white" in seen.there


@pytest.mark.parametrize("count", [0, 6, 8])
def test_of_an_arm_of_another_kind_only_the_hand_is_seen(recorded, count):
    seen, scene = recorded
    scene.show(make_view())
    scene.show(replace(make_view(), joints=np.zeros(count)))
    assert not any(seen.there[f"/live/arm/{number}"].visible for number in range(8))
    assert seen.there["/live/tool"].visible


def test_fingers_follow_the_opening(recorded):
    seen, scene = recorded
    for width in (0.08, 0.02):
        scene.show(replace(make_view(), gripper_width=width))
        sides = [seen.there[f"/live/tool/finger{n}"].position[1] for n in (0, 1)]
        np.testing.assert_allclose(sides, [width / 2, -width / 2])


def test_cameras_are_where_they_are_fixed_and_leave_when_they_are_no_longer_known(recorded):
    seen, scene = recorded
    place = np.array([1.0, 0.2, 0.3])
    fixed, moving = (Camera(on, place, TURN, MATRIX, (224, 224)) for on in (False, True))
    view = replace(make_view(), cameras={"side": fixed, "wrist": moving})
    scene.show(view)
    names = ["/live/camera_side", "/live/tool/camera_wrist"]
    for name in names:
        np.testing.assert_array_equal(seen.there[name].position, place)
    made = len(seen.made)
    scene.show(view)
    assert len(seen.made) == made
    other = replace(fixed, position=np.zeros(3))
    scene.show(replace(view, cameras={"side": other}))
    np.testing.assert_array_equal(seen.there[names[0]].position, 0)
    assert names[1] not in seen.there


def test_things_are_seen_while_the_simulation_tells_of_them(recorded):
    seen, scene = recorded
    things = seen.there["/live/objects"]
    scene.show(make_view())
    assert not things.visible
    scene.show(make_view(objects={"cube": np.array([0.5, 0.1, 0.02]), "bin": np.zeros(3)}))
    assert things.visible
    np.testing.assert_allclose(things.points, [[0.5, 0.1, 0.02], [0, 0, 0]])
    assert len(things.colors) == 2


def test_viser_takes_all_of_it():
    server = viser.ViserServer(port=0, verbose=False)
    try:
        furnish(server.scene, TASK, {"lifted": 0.12})
        scene = Scene(server.scene, "/live")
        camera = Camera(True, np.zeros(3), TURN, MATRIX, (224, 224))
        scene.show(make_view(cameras={"wrist": camera}, objects={"cube": np.zeros(3)}))
        scene.show(make_view(50))
    finally:
        server.stop()
