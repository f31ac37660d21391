# SPDX-License-Identifier: Apache-2.0
"""From the bytes that a terminal sends to what a joystick would: deflections and buttons.

A terminal tells of no release. It sends a key's byte once when it is pressed and, after a while,
again and again, of all held keys only for the one that was pressed last. So a key counts as held
for a time after each byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config, config_dir, load_yaml
from expo_ft_ros.devices.view_frame import BASE

KEYBOARD_FILE = "keyboard.yaml"
"""In config/."""

AXES = 6
"""Tool x, y, z, then rotation about x, y, z."""

# What a pair of keys moves, one way and the other. The gripper is opened and closed by two buttons;
# the last pair has one key, a button as well. Where z and y lie differs between layouts.
_PAIRS: Sequence[tuple[str, str]] = (
    ("ws", "forward, back"),
    ("ad", "left, right"),
    ("rf", "up, down"),
    ("ou", "tilt right, left"),
    ("ik", "tilt forward, back"),
    ("jl", "turn left, right"),
    ("vc", "gripper opens, closes"),
    ("h", "take over and hold the arm still"),
)

_SPACE = ord(" ")
# Backspace, as terminals send it: far from the keys that move the arm.
_REDO = frozenset({0x7F, 0x08})
# Keys that the operator presses between two readings; text that was pasted has more.
_AT_ONCE = 2


class KeyboardConfig(Config):
    """config/keyboard.yaml, which has the comments and the values."""

    rate: float = Field(ge=20, le=50, description="readings a second, also at rest [Hz]")
    first_hold: float = Field(
        ge=0.05,
        le=1.5,
        description="a key counts as held for so long after its press [s]; a keyboard that takes "
        "longer to repeat makes a pause in between",
    )
    repeat_hold: float = Field(
        ge=0.05, le=0.5, description="and for so long after each repeat [s]; up to first_hold"
    )
    slow: float = Field(
        ge=0.1,
        le=1,
        description="deflection of a press, and of a key with Shift; not below engage_threshold of "
        "teleop_keyboard.yaml",
    )
    fast: float = Field(ge=0.1, le=1, description="deflection once it repeats; slow or more")
    quiet: float = Field(
        ge=0.05,
        le=1,
        description="pause after which a byte that follows one of no key is a press again [s]: the "
        "letters of an escape sequence, or of a text, are none",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> KeyboardConfig:
        if self.repeat_hold > self.first_hold:
            raise ValueError(
                f"repeat_hold {self.repeat_hold} <= first_hold {self.first_hold} must hold"
            )
        if self.slow > self.fast:
            raise ValueError(f"slow {self.slow} <= fast {self.fast} must hold")
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> KeyboardConfig:
        """From a file, by default `KEYBOARD_FILE`; raises ConfigError."""
        return load_yaml(cls, path or config_dir() / KEYBOARD_FILE)


@dataclass(frozen=True)
class _Key:
    """pair: number in `_PAIRS`. direction: 1 or -1. shifted: pressed with Shift."""

    pair: int
    direction: int
    shifted: bool


def _keys() -> Mapping[int, _Key]:
    """Byte -> its key."""
    found = {}
    for pair, (letters, _) in enumerate(_PAIRS):
        for letter, direction in zip(letters, (1, -1), strict=False):
            found[ord(letter)] = _Key(pair, direction, False)
            found[ord(letter.upper())] = _Key(pair, direction, True)
    return found


_KEYS = _keys()


class Keyboard:
    """Which keys are held, as far as a terminal tells; of a pair the one that was pressed last."""

    def __init__(self, config: KeyboardConfig) -> None:
        self._config = config
        self._deflection = [0.0] * len(_PAIRS)
        self._until = [-float("inf")] * len(_PAIRS)
        self._deaf_until = self._redo_until = -float("inf")

    def press(self, data: bytes, now: float) -> None:
        """Take what has come since the last call. now: [s], never going back.

        Space, Backspace, and whatever else isn't typed on keys of ours (other bytes, several
        different keys at once), lets go of everything; but for these two nothing is taken then
        before a pause of `quiet`.
        """
        bytes_ = set(data)
        if not bytes_:
            return
        deaf = now < self._deaf_until
        if not deaf and bytes_ <= _KEYS.keys() and len(bytes_) <= _AT_ONCE:
            for byte in data:
                self._press(_KEYS[byte], now)
            return
        self.release()
        if not deaf and bytes_ <= _REDO:
            self._redo_until = now + self._config.first_hold
        elif bytes_ != {_SPACE}:
            self._deaf_until = now + self._config.quiet

    def release(self) -> None:
        """No key is held, Backspace neither."""
        self._until = [-float("inf")] * len(_PAIRS)
        self._redo_until = -float("inf")

    def reading(self, now: float) -> tuple[list[float], list[int]]:
        """Six axes in [-1, 1], as `AXES` has them, and four buttons, 0 or 1: close, open, hold,
        redo.

        now: [s], as of `press`.
        """
        held = [
            deflection if now < until else 0.0
            for deflection, until in zip(self._deflection, self._until, strict=True)
        ]
        gripper, hold = held[AXES:]
        redo = now < self._redo_until
        return held[:AXES], [int(gripper < 0), int(gripper > 0), int(hold > 0), int(redo)]

    def _press(self, key: _Key, now: float) -> None:
        config, pair = self._config, key.pair
        repeated = now < self._until[pair] and self._deflection[pair] * key.direction > 0
        fast = repeated and not key.shifted
        self._deflection[pair] = key.direction * (config.fast if fast else config.slow)
        self._until[pair] = now + (config.repeat_hold if repeated else config.first_hold)


_PICTURE = """\
  {}        from the side
            forward w                           up r
                  |                                |
      left a -- tool -- d right                  tool
                  |                                |
               back s                          down f
"""


_FROM_BASE = "from above, the base at the bottom"
_WIDTH = len(_FROM_BASE)


def key_map(frame: str = BASE) -> str:
    """What each key does, for the operator at the keyboard; ends without a newline. frame: of
    `TeleopConfig`."""
    if frame != BASE:
        return _explained(f"as the picture of {frame} shows it")
    return _explained(_FROM_BASE)


def _explained(seen: str) -> str:
    pairs = [f"  {' '.join(letters):<4} {text}" for letters, text in _PAIRS]
    return "\n".join(
        [
            _PICTURE.format(f"{seen:<{_WIDTH}}"),
            *pairs,
            "A press moves slowly, a key that is held faster, with Shift never faster.",
            "Backspace discards the last demonstration, which comes again.",
            "Space, or any other key, lets go of all: the arm stands, and is the graph's again.",
            "Only while this terminal has the focus. Ctrl-C ends it.",
        ]
    )
