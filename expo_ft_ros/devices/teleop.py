# SPDX-License-Identifier: Apache-2.0
"""From a device's readings to what the operator asks for: takeover, twist, latched gripper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config, config_dir, load_yaml
from expo_ft_ros.data.types import ACTION_DIM, FloatArray
from expo_ft_ros.devices.gripper_latch import GripperLatch
from expo_ft_ros.devices.view_frame import BASE, turned

Axes = tuple[int, int, int, int, int, int]

GARBAGE = 4.0
"""A reading beyond so many full scales is of another device, or of another unit."""

_ROUNDING = 1e-6
"""Of a sum of times [s]: what lasts for so many ticks does so whenever it began."""

CONFIG_FILES: Mapping[str, str] = {
    "spacenav": "teleop.yaml",
    "joy": "teleop_joy.yaml",
    "keyboard": "teleop_keyboard.yaml",
    "leader": "teleop_leader.yaml",
    "bringup": "teleop_bringup.yaml",
}
"""Device -> its file in config/."""

REDO = "redo"
"""Name of what came of the newest press of `redo_button`, among teleop's values on /diagnostics."""

DEVICE = "device"
"""Name of the device that is listened to, beside."""
FRAME = "frame"
"""Name of the frame of the axes, there."""


class TeleopConfig(Config):
    """A file of `CONFIG_FILES`, which has the comments. Deflections are in [0, 1] of full scale."""

    full_scale: float = Field(default=1.0, gt=0, description="reading at full deflection")
    dead_zone: float = Field(default=0.05, ge=0, lt=0.5, description="deflection read as zero")
    axes: Axes = Field(
        default=(0, 1, 2, 3, 4, 5),
        description="reading, counted from 0, that drives each tool axis; -1: none does",
    )
    signs: Axes = Field(default=(1, 1, 1, 1, 1, 1), description="direction of each, 1 or -1")
    frame: str = Field(
        default=BASE,
        pattern=r"^[a-z][a-z0-9_]*$",
        description="frame of the tool axes that are driven: base, or the name of a fixed view, "
        "whose picture's left is left then",
    )
    engage_threshold: float = Field(
        default=0.15, gt=0, le=1, description="largest deflection from which a takeover begins"
    )
    release_threshold: float = Field(
        default=0.08, gt=0, le=1, description="largest deflection below which it may end"
    )
    deflection_timeout: float = Field(
        default=0.15,
        gt=0,
        le=10,
        description="a device that is deflected and silent for so long hangs [s]; never less than "
        "one and a half control periods",
    )
    silence_timeout: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="a device that is silent for so long is lost [s]; 0: it is silent at rest",
    )
    spring_back: float = Field(
        default=0.04,
        ge=0,
        le=1,
        description="a cap that is let go of gives readings on its way to rest: a fall from a "
        "takeover to exact zero within so long is a device that was pulled out [s]; 0: never",
    )
    rests_first: bool = Field(
        default=False,
        description="no takeover before the device was seen at rest: one of another layout may "
        "have an axis that rests at full deflection",
    )
    min_hold: float = Field(
        default=0.3, ge=0, le=10, description="time below the release threshold that ends it [s]"
    )
    gripper_hold: float = Field(
        default=0.8, ge=0, le=10, description="least takeover after a gripper button [s]"
    )
    close_button: int = Field(default=0, ge=0, le=31, description="joy button that closes")
    open_button: int = Field(
        default=1, ge=0, le=31, description="joy button that opens; close_button's number toggles"
    )

    engage_button: int = Field(
        default=-1, ge=-1, le=31, description="joy button that takes over while held; -1: none"
    )
    redo_button: int = Field(
        default=-1,
        ge=-1,
        le=31,
        description="joy button that discards the last demonstration, which comes again; -1: none",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> TeleopConfig:
        driven = [axis for axis in self.axes if axis != -1]
        if len(set(driven)) < max(1, len(driven)) or min(self.axes) < -1:
            raise ValueError(f"axes {self.axes} must name readings of 0 or more, each once, or -1")
        if any(sign not in (1, -1) for sign in self.signs):
            raise ValueError(f"signs {self.signs} must each be 1 or -1")
        if not self.dead_zone <= self.release_threshold < self.engage_threshold:
            raise ValueError(
                f"dead_zone {self.dead_zone} <= release_threshold {self.release_threshold} < "
                f"engage_threshold {self.engage_threshold} must hold"
            )
        return self

    @property
    def readings(self) -> int:
        """How many readings the device has to give at least."""
        return max(self.axes) + 1

    @property
    def last_button(self) -> tuple[str, int]:
        """Field and number of the highest button that is named, but for `redo_button`: a device may
        do without."""
        names = ("close_button", "open_button", "engage_button")
        return max(((name, int(getattr(self, name))) for name in names), key=lambda pair: pair[1])

    @classmethod
    def load(cls, path: Path | None = None, device: str = "spacenav") -> TeleopConfig:
        """From a file, by default that of the device (`CONFIG_FILES`); raises ConfigError."""
        return load_yaml(cls, path or config_dir() / CONFIG_FILES[device])


@dataclass(frozen=True)
class TeleopState:
    """What the operator asks for now (msg/TeleopCommand).

    action: (7,) float32 normalised; its gripper is 1 opening, -1 closing, or 0 when the operator
    hasn't chosen since the takeover: then the arbiter's latch decides.
    """

    connected: bool
    engaged: bool
    action: FloatArray

    @classmethod
    def idle(cls) -> TeleopState:
        """Nobody there."""
        return cls(False, False, np.zeros(ACTION_DIM, np.float32))


class Takeover(StrEnum):
    """Who has the robot."""

    RELEASED = "released"
    ENGAGED = "engaged"
    LOST = "lost"


class Signal(StrEnum):
    """What an update says about the operator's hand."""

    PUSH = "push"
    REST = "rest"
    FADE = "fade"
    LOSS = "loss"


# PUSH: past the engage threshold, or a button. FADE: below the release threshold for min_hold.
# LOSS: the device is gone, hangs or sends no numbers. REST: anything else.
# A device lost while the human drove leaves the robot to nobody, also when it is back, until the
# operator pushes again or says so (acknowledge).
TRANSITIONS: dict[tuple[Takeover, Signal], Takeover] = {
    (Takeover.RELEASED, Signal.PUSH): Takeover.ENGAGED,
    (Takeover.RELEASED, Signal.REST): Takeover.RELEASED,
    (Takeover.RELEASED, Signal.FADE): Takeover.RELEASED,
    (Takeover.RELEASED, Signal.LOSS): Takeover.RELEASED,
    (Takeover.ENGAGED, Signal.PUSH): Takeover.ENGAGED,
    (Takeover.ENGAGED, Signal.REST): Takeover.ENGAGED,
    (Takeover.ENGAGED, Signal.FADE): Takeover.RELEASED,
    (Takeover.ENGAGED, Signal.LOSS): Takeover.LOST,
    (Takeover.LOST, Signal.PUSH): Takeover.ENGAGED,
    (Takeover.LOST, Signal.REST): Takeover.LOST,
    (Takeover.LOST, Signal.FADE): Takeover.LOST,
    (Takeover.LOST, Signal.LOSS): Takeover.LOST,
}


class TeleopMapper:
    """Call update at every message and at every tick without one.

    period: of control [s]; in lock-step a reading is as old as that when it is acted on. latch:
    what the gripper was last told, by whomever; one button for both ways goes against it.
    """

    def __init__(
        self, config: TeleopConfig, period: float = 0.1, latch: GripperLatch | None = None
    ) -> None:
        self.config = config
        self._latch = latch or GripperLatch()
        self._period = period
        self._follow_for = max(config.deflection_timeout, 1.5 * period)
        self._takeover = Takeover.RELEASED
        self._connected = False
        self._twist = np.zeros(6)
        self._twist_at = self._news_at = -np.inf
        self._rested = not config.rests_first
        self._pressed: tuple[bool, bool] = (False, False)
        self._button_held = False
        self._redo_held, self._redo = config.rests_first, False
        self._gripper = 0
        self._hold_until = -np.inf
        self.axes: NDArray[np.float64] | None = np.eye(3) if config.frame == BASE else None
        """(3, 3) columns: what a push forward, left and up means in the base frame. None: it isn't
        known yet, so that pushes mean nothing."""

    @property
    def takeover(self) -> Takeover:
        """Who has the robot."""
        return self._takeover

    @property
    def waits_for_rest(self) -> bool:
        """Whether the device talks but was never seen at rest, so that nobody can take over."""
        return self._connected and not self._rested

    @property
    def lost(self) -> bool:
        """Whether there was a device and there is none now: nobody can correct."""
        return not self._connected and self._news_at > -np.inf

    def acknowledge(self) -> bool:
        """The operator knows that the device was lost: the policy may go on. False: none was."""
        if self._takeover is not Takeover.LOST:
            return False
        self._takeover, self._gripper = Takeover.RELEASED, 0
        return True

    def fresh(self) -> TeleopMapper:
        """A mapper for the next episode: nobody has taken over, but the device is the same one, and
        a button that is still held is no new press."""
        made = TeleopMapper(self.config, self._period, self._latch)
        made._pressed, made._rested = self._pressed, self._rested
        made._connected, made._news_at = self._connected, self._news_at
        made._redo_held, made.axes = self._redo_held, self.axes
        return made

    def pop_redo(self) -> bool:
        """Whether `redo_button` was pressed since the last call."""
        pressed, self._redo = self._redo, False
        return pressed

    def update(
        self,
        twist: Sequence[float] | NDArray[np.floating] | None,
        buttons: Sequence[int] | None,
        now: float,
        lost: bool = False,
    ) -> TeleopState:
        """Take what is new and say what the operator asks for.

        twist: the device's readings, of a SpaceMouse linear then angular; buttons: those of Joy;
        None: no news, the last holds. now: [s], never going back. lost: the device is known to be
        gone. Raises ValueError for fewer readings than the configuration names, and for readings
        far beyond its full scale; nothing has changed then.
        """
        deflection = None if twist is None else self._deflection(twist)
        if deflection is not None and self.axes is None and np.isfinite(deflection).all():
            deflection = np.zeros(6)
        news = twist is not None or buttons is not None
        if news:
            self._news_at = now
        silence = self.config.silence_timeout
        lost = lost or (self._connected and 0 < silence < now - self._news_at)
        if deflection is not None:
            lost = lost or not np.isfinite(deflection).all() or self._fell(deflection, now)
            self._twist = np.zeros(6) if lost else deflection
            self._twist_at = now
            if not self._rested:
                self._rested = float(np.abs(self._twist).max()) < self.config.release_threshold
                self._twist = np.zeros(6)
        pushed_button = buttons is not None and self._press(buttons, now) and self._rested
        self._connected = (self._connected or news) and not lost
        if lost:
            self._rested = not self.config.rests_first
        if self._hangs(now):
            lost = True
            self._connected = False
        # Only news ends a loss: a tick without a message says nothing of the device.
        if lost or (self._takeover is Takeover.LOST and not news):
            signal = Signal.LOSS
            self._twist = np.zeros(6)
        else:
            signal = self._signal(pushed_button, now)
        before, self._takeover = self._takeover, TRANSITIONS[self._takeover, signal]
        if before is Takeover.LOST and self._takeover is Takeover.ENGAGED:
            self._hold_until = max(self._hold_until, now + self.config.min_hold)
        if self._takeover is Takeover.RELEASED:
            self._gripper = 0
        return self._state()

    def _deflection(self, twist: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
        """(6,) in [-1, 1] along the tool's axes, the dead zone not yet taken off; NaN where a
        reading is no number."""
        readings = np.asarray(twist, dtype=np.float64)
        if readings.ndim != 1 or len(readings) < self.config.readings:
            raise ValueError(
                f"readings of shape {readings.shape}, axes {self.config.axes} need "
                f"{self.config.readings} (is it another device than the file is for?)"
            )
        if not np.isfinite(readings).all():
            return np.full(6, np.nan)
        axes = np.array(self.config.axes)
        picked = np.where(axes < 0, 0.0, readings[axes]) * np.array(self.config.signs)
        deflection = picked / self.config.full_scale
        if np.abs(deflection).max() > GARBAGE:
            raise ValueError(
                f"readings {readings.tolist()} where full_scale is {self.config.full_scale} "
                "(set full_scale to the device's largest reading)"
            )
        return np.asarray(np.clip(deflection, -1.0, 1.0))

    def _fell(self, deflection: NDArray[np.float64], now: float) -> bool:
        """Whether the device's readings broke off to zero where a hand would have let go slowly:
        spacenav_node sends zeros for a device that is gone."""
        pushed = float(np.abs(self._twist).max()) >= self.config.engage_threshold
        soon = 0 <= now - self._twist_at < self.config.spring_back
        return self._takeover is Takeover.ENGAGED and pushed and soon and not deflection.any()

    def _hangs(self, now: float) -> bool:
        """A deflected device says so many times a second: one that is silent hangs, and is still in
        the operator's hand. So it is lost, and the policy doesn't go on."""
        deflected = self._takeover is Takeover.ENGAGED and self._beyond_dead_zone().any()
        return bool(deflected) and not 0 <= now - self._twist_at <= self._follow_for

    def _beyond_dead_zone(self) -> NDArray[np.float64]:
        dead = self.config.dead_zone
        return np.asarray(np.maximum(np.abs(self._twist) - dead, 0.0) / (1.0 - dead))

    def _press(self, buttons: Sequence[int], now: float) -> bool:
        """Latch the gripper by the edges of its buttons; True at such an edge."""
        config = self.config
        number, before = config.engage_button, self._button_held
        self._button_held = 0 <= number < len(buttons) and bool(buttons[number])
        taken_again = self._button_held and not before
        held = 0 <= config.redo_button < len(buttons) and bool(buttons[config.redo_button])
        self._redo = self._redo or (held and not self._redo_held)
        self._redo_held = held
        pressed = (
            len(buttons) > config.close_button and bool(buttons[config.close_button]),
            len(buttons) > config.open_button and bool(buttons[config.open_button]),
        )
        closing, opening = (
            new and not old for new, old in zip(pressed, self._pressed, strict=True)
        )
        self._pressed = pressed
        if not (closing or opening):
            return taken_again
        if config.close_button == config.open_button:
            self._gripper = 1 if (self._gripper or self._latch.value) < 0 else -1
        elif closing != opening:
            self._gripper = -1 if closing else 1
        self._hold_until = max(self._hold_until, now + config.gripper_hold)
        return True

    def _signal(self, pushed_button: bool, now: float) -> Signal:
        deflection = float(np.abs(self._twist).max())
        # After a loss a button that is held still is nobody's word: only a new press is.
        held = self._button_held and self._rested and self._takeover is not Takeover.LOST
        pushed = pushed_button or held
        if pushed or deflection >= self.config.engage_threshold:
            self._hold_until = max(self._hold_until, now + self.config.min_hold)
            return Signal.PUSH
        if deflection >= self.config.release_threshold:
            if self._takeover is Takeover.ENGAGED:
                self._hold_until = max(self._hold_until, now + self.config.min_hold)
            return Signal.REST
        return Signal.FADE if now + _ROUNDING >= self._hold_until else Signal.REST

    def _state(self) -> TeleopState:
        action = np.zeros(ACTION_DIM, np.float32)
        if self._takeover is Takeover.ENGAGED and self.axes is not None:
            action[:6] = turned(np.sign(self._twist) * self._beyond_dead_zone(), self.axes)
        if self._takeover is Takeover.ENGAGED:
            action[6] = self._gripper
        lost = self._takeover is Takeover.LOST
        engaged = self._takeover is not Takeover.RELEASED
        return TeleopState(self._connected and not lost, engaged, action)
