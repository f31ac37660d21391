# SPDX-License-Identifier: Apache-2.0
"""Keys of a terminal: what counts as held, for how long, and what is no key at all."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.devices.keyboard import KEYBOARD_FILE, Keyboard, KeyboardConfig, key_map
from expo_ft_ros.devices.teleop import Takeover, TeleopConfig, TeleopMapper

CONFIG = KeyboardConfig(rate=50, first_hold=0.5, repeat_hold=0.1, slow=0.25, fast=0.5, quiet=0.2)
REST = ([0.0] * 6, [0, 0, 0, 0])
KEYS = b"wsadrfouikjlvch"
KNOWN = KEYS + KEYS.upper() + b"\x7f\x08"
ARROWS = (b"\x1b[A", b"\x1bOB", b"\x1b[1;2C", b"\x1b[[A", b"\x1b[15~")

chunks = st.lists(
    st.tuples(
        st.floats(0, 0.7),
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from([bytes([key]) for key in KEYS + KEYS.upper()] + [b" ", *ARROWS]),
            st.sampled_from([b"\x7f", b"\x08"]),
        ),
    ),
    max_size=30,
)


def pressed(*typed: tuple[float, bytes]) -> Keyboard:
    """A keyboard on which this was typed, each at its time [s]."""
    keyboard = Keyboard(CONFIG)
    for now, data in typed:
        keyboard.press(data, now)
    return keyboard


def axis(number: int, deflection: float) -> list[float]:
    return [deflection if n == number else 0.0 for n in range(6)]


@pytest.mark.parametrize(("key", "number"), [*zip(b"wsadrfouikjl", range(12), strict=True)])
def test_each_axis_has_a_key_either_way(key, number):
    deflection = CONFIG.slow * (-1 if number % 2 else 1)
    for letter in (bytes([key]), bytes([key]).upper()):
        assert pressed((0.0, letter)).reading(0.1) == (axis(number // 2, deflection), [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("key", "buttons"),
    [
        (b"c", [1, 0, 0, 0]),
        (b"v", [0, 1, 0, 0]),
        (b"h", [0, 0, 1, 0]),
        (b"\x7f", [0, 0, 0, 1]),
        (b"\x08", [0, 0, 0, 1]),
    ],
)
def test_buttons(key, buttons):
    assert pressed((0.0, key)).reading(0.1) == ([0.0] * 6, buttons)
    assert pressed((0.0, key)).reading(0.5) == REST


def test_a_key_that_is_held_goes_on_and_faster():
    """From its press over the pause before the first repeat to the last one."""
    keyboard = pressed((0.0, b"w"))
    assert keyboard.reading(0.49)[0] == axis(0, CONFIG.slow)
    for number in range(30):
        now = 0.45 + number / 30
        keyboard.press(b"w", now)
        assert keyboard.reading(now + 0.03)[0] == axis(0, CONFIG.fast)
    assert keyboard.reading(now + 0.09)[0] == axis(0, CONFIG.fast)
    assert keyboard.reading(now + 0.1) == REST


def test_with_shift_it_stays_slow():
    assert pressed((0.0, b"W"), (0.4, b"W")).reading(0.45)[0] == axis(0, CONFIG.slow)
    assert pressed((0.0, b"w"), (0.4, b"W")).reading(0.45)[0] == axis(0, CONFIG.slow)


def test_repeats_that_came_late_together_are_one_key():
    assert pressed((0.0, b"w"), (0.4, b"w" * 40)).reading(0.49)[0] == axis(0, CONFIG.fast)


def test_two_keys_are_held_at_once_and_of_a_pair_the_last_one():
    assert pressed((0.0, b"w"), (0.1, b"A")).reading(0.2)[0] == [0.25, 0.25, 0, 0, 0, 0]
    assert pressed((0.0, b"wd")).reading(0.2)[0] == [0.25, -0.25, 0, 0, 0, 0]
    back = pressed((0.0, b"w"), (0.1, b"w"), (0.15, b"s"))
    assert back.reading(0.2)[0] == axis(0, -CONFIG.slow), "the other way is a press, not a repeat"
    assert pressed((0.0, b"c"), (0.1, b"v")).reading(0.2)[1] == [0, 1, 0, 0]


def test_after_space_a_key_is_a_press_at_once():
    keyboard = pressed((0.0, b"wd"), (0.1, b" "))
    assert keyboard.reading(0.1) == REST
    keyboard.press(b"w", 0.11)
    assert keyboard.reading(0.12)[0] == axis(0, CONFIG.slow)


@pytest.mark.parametrize("arrow", ARROWS)
def test_an_escape_sequence_is_no_letter_however_it_is_cut(arrow):
    for cut in range(len(arrow) + 1):
        keyboard = pressed((0.0, b"w"), (0.1, arrow[:cut]), (0.15, arrow[cut:]))
        assert keyboard.reading(0.2) == REST
        keyboard.press(b"w", 0.4)
        assert keyboard.reading(0.4)[0] == axis(0, CONFIG.slow), "after a pause keys are keys"


@pytest.mark.parametrize("text", ["jackal", "draws a cow", "größe", "w\n", "ls -la\n", "日本"])
def test_pasted_text_moves_nothing(text):
    data = text.encode()
    assert pressed((0.0, data)).reading(0.01) == REST
    cut = [(0.001 * n, data[n : n + 4]) for n in range(0, len(data), 4)]
    assert pressed(*cut).reading(0.05) == REST


@given(st.text(min_size=1).filter(lambda t: not set(t.encode()) <= set(KNOWN)))
def test_a_text_with_anything_else_in_it_moves_nothing(text):
    assert pressed((0.0, text.encode())).reading(0.0) == REST


@given(chunks)
def test_readings_are_in_range_and_nothing_is_held_for_ever(typed):
    keyboard, now = Keyboard(CONFIG), 0.0
    for pause, data in typed:
        now += pause
        keyboard.press(data, now)
        axes, buttons = keyboard.reading(now)
        assert len(axes) == 6
        assert np.isfinite(axes).all()
        assert max(map(abs, axes)) <= CONFIG.fast <= 1
        assert len(buttons) == 4
        assert set(buttons) <= {0, 1}
        assert not (buttons[0] and buttons[1]), "the gripper goes one way"
    assert keyboard.reading(now + CONFIG.first_hold) == REST


@given(chunks, st.sampled_from([b" ", b"\n", b"\x1b[A", b"q", b"\xff", b"wasd"]))
def test_space_and_whatever_is_no_key_let_go_of_everything(typed, last):
    keyboard, now = Keyboard(CONFIG), 0.0
    for pause, data in typed:
        now += pause
        keyboard.press(data, now)
    keyboard.press(last, now)
    assert keyboard.reading(now) == REST


@given(chunks, st.floats(0.0, 0.2))
def test_looking_changes_nothing(typed, offset):
    """However often it is read in between."""
    once, often, now = Keyboard(CONFIG), Keyboard(CONFIG), 0.0
    for pause, data in typed:
        often.reading(now + pause / 2)
        now += pause
        once.press(data, now)
        often.press(data, now)
        often.reading(now)
    assert once.reading(now + offset) == often.reading(now + offset)


@given(st.permutations(b"wd"), st.floats(0, 0.09))
def test_keys_of_two_pairs_may_come_in_any_order(order, apart):
    keyboard = pressed((0.0, bytes(order[:1])), (apart, bytes(order[1:])))
    assert keyboard.reading(0.1)[0] == [CONFIG.slow, -CONFIG.slow, 0, 0, 0, 0]


def test_the_key_map_names_every_key():
    words = set(key_map().split())
    assert set(KEYS.decode()) <= words
    assert set(string.ascii_lowercase) - set(KEYS.decode()) >= {"q", "e", "y", "z"}


def test_the_shipped_files_fit_together():
    """The slowest key takes over, and does nothing else than what it names."""
    config = KeyboardConfig.load()
    mapper = TeleopMapper(TeleopConfig.load(device="keyboard"))
    keyboard = Keyboard(config)
    mapper.update(*keyboard.reading(0.0), 0.0)
    keyboard.press(b"S", 0.1)
    axes, buttons = keyboard.reading(0.1)
    state = mapper.update(np.float32(axes), buttons, 0.1)
    assert state.engaged
    assert np.allclose(state.action, [-config.slow, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(("key", "gripper"), [(b"c", -1), (b"v", 1), (b"h", 0)])
def test_the_gripper_and_the_hold_take_over(key, gripper):
    mapper = TeleopMapper(TeleopConfig.load(device="keyboard"))
    keyboard = Keyboard(KeyboardConfig.load())
    mapper.update(*keyboard.reading(0.0), 0.0)
    keyboard.press(key, 0.1)
    state = mapper.update(*keyboard.reading(0.1), 0.1)
    assert state.engaged
    assert np.allclose(state.action, [0, 0, 0, 0, 0, 0, gripper])
    for now in np.arange(0.15, 2.0, 0.05):
        mapper.update(*keyboard.reading(now), now)
    assert mapper.takeover is Takeover.RELEASED


@pytest.mark.parametrize(
    ("old", "new", "field", "says"),
    [
        ("repeat_hold: 0.15", "repeat_hold: 0.7", "repeat_hold", "less than or equal to 0.5"),
        ("first_hold: 0.55", "first_hold: 0.1", "KeyboardConfig", "repeat_hold 0.15 <= first_hold"),
        ("fast: 0.6", "fast: 0.1", "KeyboardConfig", "slow 0.2 <= fast 0.1"),
        ("rate: 50", "rate: 5", "rate", "allowed: >= 20, <= 50"),
        ("quiet: 0.2", "quite: 0.2", "quiet", "missing"),
        ("rate: 50", "rate: .nan", "rate", "nan"),
    ],
)
def test_a_wrong_field_is_named_with_file_and_line(tmp_path, old, new, field, says):
    text = (config_dir() / KEYBOARD_FILE).read_text()
    assert old in text
    path = tmp_path / KEYBOARD_FILE
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=rf"{KEYBOARD_FILE}:\d+: {field}: .*{says}"):
        KeyboardConfig.load(path)
