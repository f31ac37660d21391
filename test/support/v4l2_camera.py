# SPDX-License-Identifier: Apache-2.0
"""A V4L2 camera, but for the kernel: `v4l2_device.c`, preloaded into the processes that follow."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

WIDTH, HEIGHT = 160, 120
EXPOSURE, WHITE_BALANCE = 157, 4600
"""What its own control has come to."""
EXPOSURE_ID, WHITE_BALANCE_ID = 0x009A0902, 0x0098091A
LATENCY = 0.06
"""From capture to the image's being there [s]."""
_BUFFERS, _PAGE = 4, 4096


class V4l2Device:
    """A file that OpenCV takes for a camera of YUYV, 160x120 at 30 Hz."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Plugs it in, for processes that are started from now on."""
        self.path = folder / "usb-Camera_0001-video-index0"
        library = folder / "v4l2_device.so"
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler (apt-get install gcc libc6-dev)")
        source = Path(__file__).with_name("v4l2_device.c")
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library)]
        subprocess.run([*command, str(source), "-ldl"], check=True)
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("V4L2_DEVICE", str(self.path))
        monkeypatch.setenv("V4L2_SIZE", f"{WIDTH}x{HEIGHT}")
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        luma = 60 + columns / 2 + rows / 4
        colour = np.where(columns % 2, 100 + rows / 2, 160 - columns // 2 / 2)
        self._seen = np.stack([luma, colour], axis=2).astype(np.uint8)
        self.plug()

    def plug(self) -> None:
        """It is there."""
        whole = -(-self._seen.nbytes // _PAGE) * _PAGE
        new = self.path.with_suffix(".new")
        new.write_bytes(bytes(_BUFFERS * whole) + self._seen.tobytes())
        new.rename(self.path)

    def unplug(self) -> None:
        """It is pulled out."""
        self.path.unlink()

    @property
    def picture(self) -> NDArray[np.uint8]:
        """(h, w, 3) RGB that it sees."""
        return np.asarray(cv2.cvtColor(self._seen, cv2.COLOR_YUV2RGB_YUY2), dtype=np.uint8)
