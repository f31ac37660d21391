# SPDX-License-Identifier: Apache-2.0
"""Tensors in a safetensors file, written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a file, for `data.files.replacing` to give its name.

    Args:
        path: Of the partial file.
        tensors: Name -> contiguous tensor, none of which shares its memory with another.
        metadata: What the file says besides.

    Raises:
        OSError: where it can't be written: safetensors tells the system's errors, a full disk's
            among them, as its own and in words.
    """
    try:
        save_file(dict(tensors), path, dict(metadata) if metadata else None)
    except SafetensorError as error:
        number = re.search(r"(?:code:|os error) (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code)) from error
