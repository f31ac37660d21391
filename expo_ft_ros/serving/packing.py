# SPDX-License-Identifier: Apache-2.0
"""The messages of openpi's websocket protocol: msgpack, with NumPy arrays as maps.

An array is {b"__ndarray__": true, b"data": bytes, b"dtype": "<f4", b"shape": [...]}, a NumPy scalar
{b"__npgeneric__": true, b"data": number, b"dtype": "<f4"}; keys are binary. Nothing is ever
unpickled: booleans, integers and floats are all that an array may hold.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 32 * 2**20
"""Of a message: four images of 1920 x 1080 take 25 MB."""

_ARRAY, _SCALAR = b"__ndarray__", b"__npgeneric__"
_DATA, _DTYPE, _SHAPE = b"data", b"dtype", b"shape"
_KINDS = "biuf"
_DTYPES = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")
_BROKEN = (ValueError, TypeError, OverflowError, KeyError, msgpack.UnpackException)


class PackingError(ValueError):
    """A message that can't be packed, or is none; str() says what of it, and what it may hold."""


def pack(message: Any) -> bytes:
    """A message of dicts, lists, texts, numbers and arrays of numbers as bytes.

    Raises:
        PackingError: for an array that holds objects, text or complex numbers, for anything else
            that msgpack doesn't know, and for more than `MAX_BYTES`.
    """
    try:
        packed: bytes = msgpack.packb(message, default=_as_map)
    except PackingError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise PackingError(f"can't be packed: {error}") from error
    if len(packed) > MAX_BYTES:
        raise PackingError(
            f"a message of {len(packed)} bytes, at most {MAX_BYTES} are sent (smaller images)"
        )
    return packed


def unpack(data: bytes) -> Any:
    """What `pack`, or openpi's client or server, made into bytes; arrays are copies in this
    machine's byte order.

    Raises:
        PackingError: for anything else, for an array of other than numbers, and for more than
            `MAX_BYTES`.
    """
    if len(data) > MAX_BYTES:
        raise PackingError(f"a message of {len(data)} bytes, at most {MAX_BYTES} are taken")
    try:
        return msgpack.unpackb(data, object_hook=_from_map)
    except PackingError:
        raise
    except _BROKEN as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise PackingError(f"{len(data)} bytes that are no msgpack message: {words}") from error


def _as_map(value: Any) -> Any:
    if not isinstance(value, (np.ndarray, np.generic)):
        raise PackingError(f"{type(value).__name__} can't be sent (numbers, texts, lists, arrays)")
    if value.dtype.kind not in _KINDS or value.dtype.itemsize > 8:
        raise PackingError(f"an array of {value.dtype} can't be sent (booleans, integers, floats)")
    if isinstance(value, np.generic):
        return {_SCALAR: True, _DATA: value.item(), _DTYPE: value.dtype.str}
    return {
        _ARRAY: True,
        _DATA: value.tobytes(),
        _DTYPE: value.dtype.str,
        _SHAPE: value.shape,
    }


def _from_map(found: dict[Any, Any]) -> Any:
    if _ARRAY in found:
        return _array(found)
    if _SCALAR in found:
        number = found.get(_DATA)
        if not isinstance(number, (bool, int, float)):
            raise PackingError(f"a scalar whose data is {type(number).__name__}, not a number")
        return _dtype(found).type(number)
    return found


def _dtype(found: dict[Any, Any]) -> np.dtype[Any]:
    name = found.get(_DTYPE)
    if not isinstance(name, str) or not _DTYPES.fullmatch(name):
        raise PackingError(f"an array of dtype {name!r} (taken: booleans, integers, floats)")
    return np.dtype(name)


def _array(found: dict[Any, Any]) -> NDArray[Any]:
    dtype, data, shape = _dtype(found), found.get(_DATA), found.get(_SHAPE)
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise PackingError(f"an array of shape {shape!r} (taken: a list of sizes)")
    sizes: tuple[int, ...] = tuple(shape)
    if not isinstance(data, bytes) or len(data) != dtype.itemsize * math.prod(sizes):
        got = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise PackingError(f"an array of shape {sizes} and dtype {dtype}, but its data is {got}")
    if dtype.kind == "b":
        # Of a byte that is neither 0 nor 1 NumPy makes a boolean that is neither.
        return np.asarray(np.frombuffer(data, np.uint8).reshape(sizes) != 0)
    return np.frombuffer(data, dtype).reshape(sizes).astype(dtype.newbyteorder("="), copy=True)
