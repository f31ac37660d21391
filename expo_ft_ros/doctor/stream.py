# SPDX-License-Identifier: Apache-2.0
"""What is to be said of a topic that has to come regularly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from expo_ft_ros.doctor.check import Check
from expo_ft_ros.recording.messages import AHEAD

if TYPE_CHECKING:
    from expo_ft_ros.ros.topic_survey import Heard

_ENOUGH = 0.8  # of the rate that is expected
_SLIGHTLY_AHEAD = 0.01  # that stamps may lie in the future where clocks are set well [s]
_UNSTAMPED = 1e6  # an age that no clock explains [s]
_LOSSES = 0.01  # share of messages that may be lost
_JUMP = 1.6  # periods between two stamps: one is missing


def check_stream(name: str, heard: Heard, topic: str, rate: float, old: float) -> Check:
    """Whether a topic comes as a run needs it.

    Args:
        name: Of the check.
        heard: What came.
        topic: Its name.
        rate: Of which four fifths are enough [Hz].
        old: Age at which the graph, or the adapter, has the arm stand [s].
    """
    if heard.types:
        kinds = ", ".join(heard.types)
        return Check(name, "fail", f"{topic} is published as {kinds}", "correct the robot's file")
    if heard.publishers > 1:
        words = f"{topic} has {heard.publishers} publishers"
        return Check(name, "fail", words, "end all but the robot's own driver")
    count = len(heard.arrivals)
    if count < 2:
        who = "nobody publishes it" if not heard.publishers else f"{count} messages came"
        remedy = "start its driver; correct the topic in the robot's file"
        return Check(name, "fail", f"{topic}: {who}", remedy)
    gaps, ages = np.diff(heard.arrivals), heard.arrivals - heard.stamps
    came, age = 1 / max(float(gaps.mean()), 1e-9), float(np.median(ages))
    if abs(age) > _UNSTAMPED:
        words = f"{topic}: stamped {heard.stamps[-1]:.0f} s after 1970"
        remedy = "its driver doesn't stamp, or goes by a clock of its own (use_sim_time)"
        return Check(name, "fail", words, remedy)
    missing = lost(heard.stamps)
    text = (
        f"{topic}: {came:.0f} Hz, {1e3 * gaps.max():.0f} ms between two at most, "
        f"{1e3 * age:.0f} ms old ({1e3 * ages.max():.0f} at most), "
        f"{missing} of {count + missing} lost"
    )
    ahead = "its clock is ahead of this machine's: chrony or PTP on both"
    if age < -AHEAD:
        return Check(name, "fail", text, ahead)
    if age > old:
        remedy = f"older than {old:g} s: its driver is late, or its clock behind (chrony or PTP)"
        return Check(name, "fail", text, remedy)
    if came < _ENOUGH * rate:
        remedy = f"{rate:.0f} Hz are expected: the driver's rate, the USB port, the network"
        return Check(name, "fail", text, remedy)
    if age < -_SLIGHTLY_AHEAD:
        return Check(name, "missing", text, ahead)
    if max(float(gaps.max()), float(ages.max())) > old:
        remedy = f"the arm stands whenever nothing newer than {old:g} s is there: a busy machine?"
        return Check(name, "missing", text, remedy)
    if missing > _LOSSES * (count + missing):
        return Check(name, "missing", text, "a busy machine or network: the USB port, the cable")
    return Check(name, "ok", text)


def lost(stamps: np.ndarray[Any, Any]) -> int:
    """How many messages are missing of a stream, by the stamps (n,) of those that came [s]."""
    gaps = np.diff(stamps)
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return 0
    period = float(np.median(gaps))
    wide = gaps[gaps > _JUMP * period]
    return int(np.round(wide / period - 1).sum())
