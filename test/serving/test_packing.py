# SPDX-License-Identifier: Apache-2.0
"""Messages of openpi's protocol: what goes through comes out, and nothing else does."""

import contextlib
import struct

import msgpack
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from expo_ft_ros.serving import packing
from expo_ft_ros.serving.packing import PackingError, pack, unpack

NUMBERS = (
    arrays.boolean_dtypes()
    | arrays.integer_dtypes(endianness="?")
    | arrays.unsigned_integer_dtypes(endianness="?")
    | arrays.floating_dtypes(endianness="?", sizes=(16, 32, 64))
)
ARRAYS = arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def same(sent, got):
    if isinstance(sent, np.ndarray):
        assert got.dtype == sent.dtype.newbyteorder("=")
        assert got.flags.writeable
        np.testing.assert_array_equal(got, sent)
    elif isinstance(sent, dict):
        assert got.keys() == sent.keys()
        for key, value in sent.items():
            same(value, got[key])
    elif isinstance(sent, list):
        assert len(got) == len(sent)
        for one, other in zip(sent, got, strict=True):
            same(one, other)
    else:
        assert type(got) is type(sent)
        assert got == sent


@given(VALUES)
def test_what_is_packed_comes_out_again(value):
    same(value, unpack(pack(value)))


@pytest.mark.parametrize(
    "value", [np.float32(1.5), np.int64(-3), np.bool_(True), np.float32("nan")]
)
def test_so_do_scalars_of_numpy(value):
    got = unpack(pack(value))
    assert got.dtype == value.dtype
    np.testing.assert_array_equal(got, value)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x81")
@example(b"\xc1")
@example(b"\x91" * 2000)
@example(msgpack.packb({b"__ndarray__": True}))
def test_garbage_is_refused_or_read_as_what_it_is(data):
    with contextlib.suppress(PackingError):
        unpack(data)


@given(VALUES, st.integers(0, 10_000), st.integers(0, 255))
def test_so_is_a_message_of_which_a_byte_was_lost_on_the_way(value, place, byte):
    data = bytearray(pack(value))
    data[place % len(data)] = byte
    with contextlib.suppress(PackingError):
        unpack(bytes(data))


def wire(**more):
    """An array as openpi's client packs it, by the definition of its format."""
    array = {
        b"__ndarray__": True,
        b"data": struct.pack("<3f", 1, 2, 3),
        b"dtype": "<f4",
        b"shape": (3,),
    }
    return msgpack.packb({"x": {**array, **{k.encode(): v for k, v in more.items()}}})


def test_the_bytes_are_those_of_openpi():
    assert pack({"x": np.array([1, 2, 3], np.float32)}) == wire()
    np.testing.assert_array_equal(unpack(wire())["x"], [1, 2, 3])
    scalar = msgpack.packb({b"__npgeneric__": True, b"data": 0.5, b"dtype": "<f4"})
    assert pack(np.float32(0.5)) == scalar


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"dtype": "|O"}, "dtype '|O'"),
        ({"dtype": "<U3"}, "dtype '<U3'"),
        ({"dtype": "<c8"}, "dtype '<c8'"),
        ({"dtype": "(3,)<f4"}, "dtype '(3,)<f4'"),
        ({"dtype": "f4,f4"}, "dtype"),
        ({"dtype": 4}, "dtype 4"),
        ({"shape": (4,)}, r"shape \(4,\)"),
        ({"shape": (-3,)}, "shape"),
        ({"shape": (3.0,)}, "shape"),
        ({"shape": 3}, "shape 3"),
        ({"shape": (2**40, 2**40)}, "data is 12 bytes"),
        ({"shape": (0, 2**62)}, "data is 12 bytes"),
        ({"data": "text"}, "data is str"),
    ],
)
def test_an_array_of_anything_but_numbers_is_refused(more, words):
    with pytest.raises(PackingError, match=words.replace("|", r"\|").replace("(3,)<", r"\(3,\)<")):
        unpack(wire(**more))


@pytest.mark.parametrize(
    "value", [np.array([object()]), np.array(["a"]), np.array([1j]), np.longdouble(1), {1, 2}]
)
def test_what_is_no_number_is_not_sent(value):
    with pytest.raises(PackingError, match="can't be sent"):
        pack({"x": value})


def test_a_message_is_not_larger_than_what_is_taken(monkeypatch):
    monkeypatch.setattr(packing, "MAX_BYTES", 1000)
    with pytest.raises(PackingError, match=r"at most 1000 are sent"):
        pack(np.zeros(1001, np.uint8))
    with pytest.raises(PackingError, match=r"at most 1000 are taken"):
        unpack(bytes(1001))
