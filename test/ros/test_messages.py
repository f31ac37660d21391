# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("expo_ft_ros.msg")

from expo_ft_ros.msg import ActionChunk as ActionChunkMsg
from expo_ft_ros.msg import Observation as ObservationMsg
from sensor_msgs.msg import CompressedImage, Image

from expo_ft_ros.data.types import (
    ActionChunk,
    CandidateKind,
    Candidates,
    Proprio,
    Source,
    Step,
    Verdict,
    chunk_id,
    is_explored,
)
from expo_ft_ros.recording import messages
from expo_ft_ros.ros import messages as to_messages
from expo_ft_ros.ros.messages import header_of, to_array


def _picture(height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _message(encoding: str, pixels: np.ndarray, padding: int = 0) -> Image:
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return Image(
        encoding=encoding, height=height, width=width, step=rows.shape[1], data=to_array(rows, "B")
    )


def test_rgb_comes_back_as_it_went():
    image = _picture()
    message = to_messages.array_to_image(image, header_of(5_000_000_001, "camera"))
    assert messages.nanoseconds(message.header.stamp) == 5_000_000_001
    np.testing.assert_array_equal(messages.image_to_array(message), image)


def test_padded_rows_are_cut():
    image = _picture()
    np.testing.assert_array_equal(messages.image_to_array(_message("rgb8", image, 5)), image)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("bgr8", lambda rgb: rgb[..., ::-1]),
        ("rgba8", lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 9, np.uint8)])),
        ("bgra8", lambda rgb: np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 9, np.uint8)])),
    ],
)
def test_channel_orders(encoding, pixels):
    rgb = _picture()
    got = messages.image_to_array(_message(encoding, np.ascontiguousarray(pixels(rgb)), 3))
    np.testing.assert_array_equal(got, rgb)


def test_mono_is_grey():
    grey = _picture()[..., :1]
    got = messages.image_to_array(_message("mono8", grey))
    np.testing.assert_array_equal(got, np.repeat(grey, 3, axis=2))


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv422_red_stays_red(encoding):
    luma, u, v = 81, 90, 240  # BT.601 red
    order = [u, luma, v, luma] if encoding in ("yuv422", "uyvy") else [luma, u, luma, v]
    pixels = np.tile(np.array(order, np.uint8), (4, 4)).reshape(4, 8, 2)
    got = messages.image_to_array(_message(encoding, pixels)).reshape(-1, 3).astype(int)
    assert (np.abs(got - [254, 0, 0]) < 6).all()


def test_half_a_pair_of_pixels_is_refused():
    with pytest.raises(messages.BadMessage, match="3x4 yuyv"):
        messages.image_to_array(_message("yuyv", np.zeros((4, 3, 2), np.uint8)))


def test_unknown_encoding_names_itself_and_the_known():
    with pytest.raises(ValueError, match=r"bayer_rggb8.*known are rgb8"):
        messages.image_to_array(_message("bayer_rggb8", _picture()))


@pytest.mark.parametrize(
    "broken", [{"height": 7}, {"step": 23}, {"width": 9}, {"height": 0, "width": 0}]
)
def test_sizes_that_contradict_are_refused(broken):
    message = _message("rgb8", _picture())
    for name, value in broken.items():
        setattr(message, name, value)
    with pytest.raises(ValueError, match="holds 144 bytes"):
        messages.image_to_array(message)


def test_compressed():
    rgb = np.full((32, 32, 3), (200, 30, 60), np.uint8)
    ok, data = cv2.imencode(".jpg", rgb[..., ::-1])
    assert ok
    got = messages.compressed_to_array(CompressedImage(format="jpeg", data=to_array(data, "B")))
    assert (np.abs(got.astype(int) - rgb) < 8).all()
    with pytest.raises(ValueError, match="does not decode"):
        messages.compressed_to_array(CompressedImage(format="jpeg", data=to_array(data[:9], "B")))
    with pytest.raises(ValueError, match="0 bytes"):
        messages.compressed_to_array(CompressedImage())


def test_proprio_there_and_back():
    before = Proprio(
        position=np.array([0.4, -0.1, 0.2]),
        quaternion=np.array([1.0, 0.0, 0.0, 0.0]),
        gripper_width=0.03,
        linear=np.array([0.1, 0.2, 0.3]),
        angular=np.array([-0.1, 0.0, 0.5]),
        joints=np.arange(7.0),
    )
    after = messages.proprio_from_msg(to_messages.proprio_to_msg(before, header_of(1)))
    np.testing.assert_array_equal(after.vector(), before.vector())
    np.testing.assert_array_equal(after.linear, before.linear)
    np.testing.assert_array_equal(after.angular, before.angular)
    np.testing.assert_array_equal(after.joints, before.joints)


@pytest.mark.parametrize("explored", [False, True])
def test_step_and_chunk_there_and_back(explored):
    made = chunk_id(5, explored=explored)
    rng = np.random.default_rng(1)
    step = Step(7, 2, made, 3, Source.HUMAN, *rng.uniform(-1, 1, (2, 7)).astype(np.float32), "why")
    after = messages.step_from_msg(to_messages.step_to_msg(step, header_of(1), 0.25))
    assert (after.observation, after.episode, after.chunk, after.index) == (7, 2, made, 3)
    assert is_explored(np.array([after.chunk], np.uint64)).tolist() == [explored]
    assert after.source is Source.HUMAN
    assert after.cause == "why"
    np.testing.assert_array_equal(after.proposed, step.proposed)
    np.testing.assert_array_equal(after.executed, step.executed)
    actions = rng.uniform(-1, 1, (16, 7)).astype(np.float32)
    chunk = ActionChunk(made, 7, actions, q=0.5, kind=CandidateKind.GRIPPER)
    back = messages.chunk_from_msg(to_messages.chunk_to_msg(chunk, header_of(1), 3))
    np.testing.assert_array_equal(back.actions, chunk.actions)
    assert (back.id, back.observation, back.q, back.kind) == (made, 7, 0.5, CandidateKind.GRIPPER)


def test_the_steps_that_are_left_there_and_not_in_older_recordings():
    image = to_messages.array_to_image(_picture(), header_of(1))
    proprio = Proprio(np.array([0.4, 0.0, 0.2]), np.array([1.0, 0.0, 0.0, 0.0]), 0.03)
    said = {
        "number": 7,
        "header": header_of(1),
        "view_names": ["side"],
        "views": [image],
        "proprio": to_messages.proprio_to_msg(proprio, header_of(1)),
        "instruction": "pick up the cube",
    }
    for left in (0, 5):
        now = ObservationMsg(episode=1, steps_left=left, **said)
        assert messages.observation_from_msg(now, ["side"]).steps_left == left
    assert messages.observation_from_msg(SimpleNamespace(**said), ["side"]).steps_left is None


def test_candidates_there_and_back():
    rng = np.random.default_rng(1)
    actions = rng.uniform(-1, 1, (4, 8, 7)).astype(np.float32)
    kind = np.array([0, 1, 2, 2], np.uint8)
    spread = np.array([0.1, 0.0, 0.2, np.nan], np.float32)
    q = np.array([0.1, 0.2, 0.3, np.nan], np.float32)
    said = Candidates(9, actions, q, kind, 2, member_spread=spread)
    back = messages.candidates_from_msg(to_messages.candidates_to_msg(said, header_of(1)))
    for name in ("actions", "q", "kind", "member_spread"):
        np.testing.assert_array_equal(getattr(back, name), getattr(said, name))
    assert (back.observation, back.chosen, back.chosen_kind) == (9, 2, CandidateKind.GRIPPER)


def test_candidates_from_before_there_were_kinds_are_base_chunks_and_edits():
    said = SimpleNamespace(
        observation=9, count=2, horizon=1, actions=[0.0] * 14, q=[0.1, 0.2], edited=[False, True],
        chosen=1,
    )  # fmt: skip
    back = messages.candidates_from_msg(said)
    assert back.kind.tolist() == [CandidateKind.BASE, CandidateKind.EDITED]
    assert back.chosen_kind is CandidateKind.EDITED
    assert len(back.member_spread) == 0


def test_a_spread_for_some_candidates_is_refused():
    said = Candidates(
        9, np.zeros((2, 1, 7), np.float32), np.zeros(2), np.zeros(2, np.uint8), 0,
        member_spread=np.zeros(1, np.float32),
    )  # fmt: skip
    with pytest.raises(messages.BadMessage, match="1 spreads"):
        messages.candidates_from_msg(to_messages.candidates_to_msg(said, header_of(1)))


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(messages.BadMessage, match=r"chunk 3 is of kind 9 \(known are BASE 0, "):
        messages.chunk_from_msg(ActionChunkMsg(id=3, horizon=1, actions=[0.0] * 7, kind=9))
    said = Candidates(9, np.zeros((1, 1, 7), np.float32), np.zeros(1), np.array([9], np.uint8), 0)
    with pytest.raises(messages.BadMessage, match="a candidate of observation 9 is of kind 9"):
        messages.candidates_from_msg(to_messages.candidates_to_msg(said, header_of(1)))


def test_chunk_whose_size_contradicts_its_horizon_is_refused():
    with pytest.raises(ValueError, match="horizon 2 wants 14 numbers, got 7"):
        messages.chunk_from_msg(ActionChunkMsg(horizon=2, actions=[0.0] * 7))


def test_verdict_there_and_back():
    verdict = Verdict(1.0, True, "lifted")
    assert (
        messages.verdict_from_msg(to_messages.verdict_to_msg(verdict, 3, 1, header_of(1)))
        == verdict
    )
