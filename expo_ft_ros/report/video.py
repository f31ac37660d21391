"""Videos that browsers play, by the FFmpeg in OpenCV's wheel."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2

from expo_ft_ros.data.types import ImageArray

SUFFIX = ".webm"
_CODECS = ("VP90", "VP80")


def write_video(path: Path, frames: Iterable[ImageArray], rate: float) -> int:
    """Writes frames (h, w, 3) RGB, of one size, both sides even; rate: frames a second [Hz]. Gives
    their number. The file is there whole or not at all.

    Raises:
        OSError: when it can't be written.
    """
    partial = path.with_name(f".{path.stem}.partial{SUFFIX}")
    count, writer = 0, None
    try:
        for image in frames:
            if writer is None:
                writer = _open(partial, (image.shape[1], image.shape[0]), rate)
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            count += 1
        if writer is not None:
            writer.release()
            partial.replace(path)
    finally:
        if writer is not None:
            writer.release()
        partial.unlink(missing_ok=True)
    return count


def _open(path: Path, size: tuple[int, int], rate: float) -> cv2.VideoWriter:
    # OpenCV doesn't say why it can't.
    path.touch()
    for codec in _CODECS:
        with _silenced():
            code = cv2.VideoWriter_fourcc(*codec)  # type: ignore[attr-defined]
            writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, rate, size)
        if writer.isOpened():
            return writer
    raise OSError(f"this OpenCV ({cv2.__version__}) writes neither VP9 nor VP8")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keeps from standard error what OpenCV prints there: that WebM has no four-letter codes."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
