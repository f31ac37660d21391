# SPDX-License-Identifier: Apache-2.0
"""What is drawn is where the classifier looks."""

import numpy as np

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.overlay import MASK, REGION, draw_marks, write_below
from expo_ft_ros.monitor.plot import HEIGHT, WIDTH, QPlot
from expo_ft_ros.tasks.reward import Marks


def test_the_mask_is_tinted_and_regions_are_framed_where_they_are():
    image = np.full((224, 224, 3), 100, np.uint8)
    mask = np.zeros((224, 224), bool)
    mask[50, 60] = True
    drawn = draw_marks(image, Marks(mask, {"bin": (0.5, 0.25, 1.0, 0.75)}))
    assert drawn.shape == (448, 448, 3)
    tinted = np.argwhere(
        (drawn != 100).any(axis=-1) & (drawn[..., 1] < 100) & (drawn[..., 0] > 150)
    )
    assert {tuple(p) for p in tinted} == {(100, 120), (100, 121), (101, 120), (101, 121)}
    assert (drawn[200, 224] == REGION).all()
    assert (drawn[335, 300] == REGION).all()
    assert (drawn[300, 300] == 100).all()
    assert (image == 100).all()
    assert MASK != REGION


def test_an_image_without_marks_is_only_larger():
    image = np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_marks(image, None)[::2, ::2], image)
    large = np.zeros((480, 640, 3), np.uint8)
    assert draw_marks(large, None).shape == large.shape
    write_below(large, "")
    assert not large.any()
    write_below(large, "held: camera stale")
    assert large[-30:].any()
    assert not large[:-30].any()


def test_q_is_plotted_with_and_without_a_critic():
    plot = QPlot()
    empty = plot.draw([], np.zeros((0, 4)), np.zeros(0), [])
    assert empty.shape == (HEIGHT, WIDTH, 3)
    q = np.array([[0.1, 0.4], [0.2, 0.9]])
    drawn = plot.draw([0, 8], q, q.max(axis=1), [Source.POLICY] * 9 + [Source.HUMAN])
    assert (drawn != empty).any()
    unknown = plot.draw([0], np.full((1, 2), np.nan), np.full(1, np.nan), [Source.HOLD])
    assert unknown.shape == empty.shape
