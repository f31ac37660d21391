# SPDX-License-Identifier: Apache-2.0
"""What a page without room for the scene is sent of the cameras."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from expo_ft_ros.monitor.auth_proxy import AuthProxy
from expo_ft_ros.monitor.camera_stream import CameraStream
from support.browser import wait_until


class Served:
    def __init__(self) -> None:
        self.stream = CameraStream(["side", "wrist"])
        self.gate = AuthProxy({"/": b"<html></html>"}, {"/cameras": self.stream.talk})

    def page(self) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.gate.port}/cameras", proxy=None)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.gate.close()


def flat(red: int, blue: int = 0) -> np.ndarray:
    return np.full((32, 48, 3), (red, 0, blue), np.uint8)


def image(message: bytes) -> tuple[int, np.ndarray]:
    """Number of the view and its image, RGB."""
    decoded = cv2.imdecode(np.frombuffer(message[1:], np.uint8), cv2.IMREAD_COLOR)
    return message[0], decoded[..., ::-1]


def test_each_view_comes_with_its_number_and_only_what_is_new_comes_again(served):
    with served.page() as page:
        wait_until(lambda: served.stream.watched, "a page")
        side, wrist = flat(200), flat(0, 200)
        served.stream.show({"side": side, "wrist": wrist})
        got = dict(image(page.recv(timeout=60)) for _ in range(2))
        assert np.abs(got[0].astype(int) - side).max() < 12
        assert np.abs(got[1].astype(int) - wrist).max() < 12
        served.stream.show({"side": side, "wrist": flat(90)})
        number, seen = image(page.recv(timeout=60))
        assert number == 1
        assert np.abs(seen.astype(int) - flat(90)).max() < 12
        with pytest.raises(TimeoutError):
            page.recv(timeout=0.3)


def test_a_page_that_comes_later_gets_what_there_is(served):
    with served.page() as one:
        wait_until(lambda: served.stream.watched, "a page")
        served.stream.show({"side": flat(10)})
        one.recv(timeout=60)
        with served.page() as other:
            assert image(other.recv(timeout=60))[0] == 0
    wait_until(lambda: not served.stream.watched, "no page")
    served.stream.show({"side": flat(20)})
    with served.page() as late, pytest.raises(TimeoutError):
        late.recv(timeout=0.3)  # What was shown while nobody looked is old by now.


def test_a_view_that_the_robot_lacks_is_left_out(served):
    with served.page() as page:
        wait_until(lambda: served.stream.watched, "a page")
        served.stream.show({"ceiling": flat(10), "wrist": flat(20)})
        assert image(page.recv(timeout=60))[0] == 1
