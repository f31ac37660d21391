# SPDX-License-Identifier: Apache-2.0
"""What is drawn of the policy's intent, and where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.monitor import intent
from expo_ft_ros.monitor.intent import draw_intent
from expo_ft_ros.monitor.paths import GripperChange, q_colours
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.view import View

SIZE = 224
FOCAL = 200.0
DOWN = np.array([1.0, 0.0, 0.0, 0.0])
# Over the table, looking down: x of the base to the right of the image, y up.
ABOVE = Camera(
    False, np.array([0.5, 0.0, 1.0]), DOWN,
    np.array([[FOCAL, 0, 111.5], [0, FOCAL, 111.5], [0, 0, 1]]), (SIZE, SIZE),
)  # fmt: skip
WHITE = (255, 255, 255)


def view(**changes: object) -> View:
    """Two candidates from above the middle: one to +x, which is executed, one to +y."""
    start, way = np.array([0.5, 0.0, 0.2]), np.linspace(0, 0.3, 9)[:, None]
    paths = np.stack([start + way * [1, 0, 0], start + way * [0, 1, 0]])
    fields: dict[str, object] = {
        "position": start,
        "quaternion": DOWN,
        "paths": paths,
        "q": np.array([0.9, 0.1], np.float32),
        "kind": np.zeros(2, np.uint8),
        "chosen": 0,
    }
    return View(**{**fields, **changes})  # type: ignore[arg-type]


def drawn(seen: View, camera: Camera = ABOVE, scale: int = 2) -> np.ndarray:
    image = np.full((scale * SIZE, scale * SIZE, 3), 90, np.uint8)
    draw_intent(image, seen, camera)
    return image


def at(image: np.ndarray, place: np.ndarray) -> tuple[int, ...]:
    """The colour where a point of the base frame is."""
    away = (place - ABOVE.position) * [1, -1, -1]
    scale = len(image) / SIZE
    x, y = (FOCAL * away[:2] / away[2] + 111.5 + 0.5) * scale - 0.5
    return tuple(image[round(y), round(x)].tolist())


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_each_candidate_lies_where_it_goes_in_its_colour(scale):
    seen = view()
    image = drawn(seen, scale=scale)
    colours = [tuple(colour) for colour in q_colours(seen.q).tolist()]
    for along in (0.11, 0.2):
        assert at(image, np.array([0.5 + along, 0.0, 0.2])) == colours[0]
        assert np.abs(np.subtract(at(image, np.array([0.5, along, 0.2])), colours[1])).max() < 60
        assert at(image, np.array([0.5 - along, 0.0, 0.2])) == (90, 90, 90)


def test_the_executed_one_is_thick():
    image = drawn(view(q=np.array([0.5, 0.5], np.float32))) != 90
    middle = SIZE
    across = image[middle - 30 : middle + 30, middle + 55].any(axis=-1).sum()
    other = image[middle - 55, middle - 30 : middle + 30].any(axis=-1).sum()
    assert across >= 2 * other


@pytest.mark.parametrize(("opens", "word"), [(True, intent.OPENS), (False, intent.CLOSES)])
def test_the_word_stands_where_the_gripper_changes(monkeypatch, opens, word):
    said = []
    monkeypatch.setattr(intent, "write_words", lambda _, *told: said.append(told))
    drawn(view())
    assert said == []
    seen = view(gripper=(GripperChange(4, opens),))
    image = drawn(seen)
    ((words, (left, low), _),) = said
    assert words == word
    x, y = (FOCAL * 0.15 / 0.8 + 112) * 2, 2 * 112
    assert 0 < left - x < 30
    assert abs(low - y) < 15
    assert WHITE in {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}


def test_a_word_at_the_border_stays_in_the_picture(monkeypatch):
    said = []
    monkeypatch.setattr(intent, "write_words", lambda _, *told: said.append(told))
    seen = view()
    drawn(
        replace(seen, paths=seen.paths + np.array([0.13, 0, 0]), gripper=(GripperChange(8, True),))
    )
    ((_, (left, _), _),) = said
    assert left < 2 * (FOCAL * 0.43 / 0.8 + 112) - 30


def test_of_two_changes_in_one_place_the_first_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(intent, "write_words", lambda _, words, *__: said.append(words))
    seen = view()
    both = (GripperChange(2, False), GripperChange(6, True))
    drawn(replace(seen, gripper=both))
    assert said == [intent.CLOSES, intent.OPENS]
    said.clear()
    still = np.repeat(seen.paths[:, :1], 9, axis=1)
    drawn(replace(seen, paths=still, gripper=both))
    assert said == [intent.CLOSES]


def test_without_a_critic_the_executed_one_is_white():
    image = drawn(view(q=np.full(2, np.nan, np.float32)))
    assert at(image, np.array([0.61, 0.0, 0.2])) == WHITE


def test_a_camera_on_the_tool_sees_the_path_where_the_tool_is():
    """The same picture from a camera that is fixed to the tool where the other one stands still."""
    seen = view()
    up = np.array([0.0, 0.0, -0.8])  # in the tool's axes, whose z is down
    upright = np.array([0.0, 0.0, 0.0, 1.0])
    on_tool = Camera(True, up, upright, ABOVE.matrix, ABOVE.size)
    np.testing.assert_array_equal(drawn(seen, on_tool), drawn(seen))
    moved = replace(seen, position=np.array([0.6, 0.0, 0.2]))
    np.testing.assert_array_equal(drawn(moved), drawn(seen))
    assert (drawn(moved, on_tool) != drawn(seen)).any()


def test_nothing_is_drawn_of_nothing_or_out_of_sight():
    for seen in (view(position=None), View(), View(position=np.zeros(3))):
        assert (drawn(seen) == 90).all()
    behind = replace(view(), paths=view().paths + np.array([0, 0, 2.0]))
    assert (drawn(behind) == 90).all()


def test_an_edit_is_dashed_and_a_gripper_decision_only_drawn_where_it_is_executed():
    whole = (drawn(view()) != 90).any(axis=-1).sum()
    dashed = (drawn(view(kind=np.array([0, 1], np.uint8))) != 90).any(axis=-1).sum()
    hidden = (drawn(view(kind=np.array([0, 2], np.uint8))) != 90).any(axis=-1).sum()
    assert hidden < dashed < whole
    executed = view(kind=np.array([2, 0], np.uint8))
    np.testing.assert_array_equal(drawn(executed), drawn(view()))
