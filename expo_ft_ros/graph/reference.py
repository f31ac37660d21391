# SPDX-License-Identifier: Apache-2.0
"""Tables for docs/reference.md, from the code that they are about; a test compares the two.

./expo-ft python -m expo_ft_ros.graph.reference > docs/reference.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from expo_ft_ros.control import episode_machine
from expo_ft_ros.control.safety_filter import SafetyConfig
from expo_ft_ros.devices import teleop
from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.graph.topics import ALIVE_WITHIN, CALLBACK_TIMEOUT_LONG, SERVICES, TOPICS
from expo_ft_ros.robots.config import FollowingConfig

_HEAD = """\
# Reference

Written by `python -m expo_ft_ros.graph.reference` from the code; don't edit it by hand.
"""


def reference() -> str:
    """The whole document."""
    return "\n".join([_HEAD, *_topics(), *_services(), *_stops(), *_episode(), *_takeover()])


def _topics() -> Iterator[str]:
    yield "## Topics"
    yield "Relative names move with a namespace. Types without a package are of expo_ft_ros."
    yield "RELIABLE, VOLATILE, KEEP_LAST unless said; best effort is reliable in lock-step.\n"
    rows = []
    for topic in TOPICS.values():
        quality = [f"depth {topic.depth}"]
        quality += ["best effort"] if topic.reliability == "best_effort" else []
        quality += ["transient local"] if topic.durability == "transient_local" else []
        rows.append(
            (
                f"`{topic.name}`",
                topic.type.removeprefix("expo_ft_ros/"),
                ", ".join(topic.publishers),
                ", ".join(topic.subscribers) or "people",
                ", ".join(quality),
                topic.doc,
            )
        )
    yield from _table(("topic", "type", "from", "to", "quality of service", "meaning"), rows)


def _services() -> Iterator[str]:
    yield "## Services\n"
    rows = [
        (f"`{s.name}`", s.type.removeprefix("expo_ft_ros/"), s.node, s.doc)
        for s in SERVICES.values()
    ]
    yield from _table(("service", "type", "at", "meaning"), rows)


def _stops() -> Iterator[str]:
    safety = SafetyConfig.load()
    yield "## What stops the arm in real time"
    yield "The first tick that finds an input older than this sends zero velocity, with the cause"
    yield "in `step`, `/diagnostics` and the log (`config/safety.yaml`).\n"
    rows = [(f"`{name}`", f"{limit:g} s") for name, limit in safety.deadlines.items()]
    yield from _table(("newest sample of", "greatest age"), rows)
    yield "So does any node that has not said on `nodes/heartbeat` that it lives for"
    yield f"{ALIVE_WITHIN:g} s: it has ended, is stopped, or hangs in a callback. (policy, learner"
    yield f"and reward compute in theirs: a callback may take {CALLBACK_TIMEOUT_LONG:g} s,"
    yield "unless an overdue chunk or verdict stops the arm.) What takes a"
    yield "node's place has to say so, too. The robot's adapter stops the arm by itself when no"
    timeout = FollowingConfig().command_timeout
    yield f"command comes for {timeout:g} s (`following.command_timeout` of the robot's file).\n"


def _episode() -> Iterator[str]:
    yield "## An episode's states (`control/episode_machine.py`)"
    yield "A pause and an emergency stop lie over all of them. What isn't listed is refused and"
    yield "changes nothing.\n"
    rows = [(a, event, b) for (a, event), b in episode_machine.TRANSITIONS.items()]
    yield from _table(("state", "event", "next state"), rows)
    yield "How it ends:\n"
    ends = [
        (event, _yes(success), _yes(terminated), _yes(not terminated), _yes(discarded))
        for event, (success, terminated, discarded) in episode_machine.OUTCOMES.items()
    ]
    yield from _table(("event", "success", "terminated", "truncated", "discarded"), ends)


def _takeover() -> Iterator[str]:
    config = TeleopConfig.load()
    yield "## Takeover (`devices/teleop.py`)"
    yield f"push: a deflection of {config.engage_threshold:g} or a gripper button; fade: below"
    yield f"{config.release_threshold:g} for {config.min_hold:g} s; loss: the device is gone or"
    yield "sends no numbers; rest: anything else (`config/teleop.yaml`). A device lost while a"
    yield "human drives leaves the arm to nobody, and so does one that is deflected and silent for"
    yield f"{config.deflection_timeout:g} s.\n"
    rows = [(a, signal, b) for (a, signal), b in teleop.TRANSITIONS.items()]
    yield from _table(("state", "signal", "next state"), rows)


def _yes(value: bool) -> str:
    return "yes" if value else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


if __name__ == "__main__":
    print(reference(), end="")
