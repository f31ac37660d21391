"""Which chunks a policy chose among which, read from recorded episodes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from expo_ft_ros.data.bag import CutOffError, read_bag
from expo_ft_ros.data.gathering import ENDED
from expo_ft_ros.data.messages import BadMessage, candidates_from_msg
from expo_ft_ros.data.types import Candidates

_TOPICS = ("policy/candidates", "episode/state")


@dataclass(frozen=True)
class Edits:
    """Of an episode: chunks that were chosen, how many of them are edits, and of each of these the
    mean over steps and axes of |chosen - its base|, normalised."""

    chunks: int
    edited: int
    sizes: tuple[float, ...]


def read_choices(path: Path) -> list[Candidates]:
    """The choices of a recorded episode in the order of their observations, each once, without
    those before its first or from its last observation on. Of a file that was cut off, and of an
    episode without an end, all that there are; what contradicts itself is left out.

    Raises:
        ValueError: when it can't be read.
    """
    found: dict[int, Candidates] = {}
    first, last = 0, None
    try:
        for recorded in read_bag(path, _TOPICS):
            message = recorded.message
            if recorded.topic == "episode/state":
                if message.state == ENDED:
                    first, last = int(message.first_observation), int(message.last_observation)
                continue
            with contextlib.suppress(BadMessage):
                found[int(message.observation)] = candidates_from_msg(message)
    except CutOffError:
        pass
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error}") from error
    return [
        choice
        for number, choice in sorted(found.items())
        if first <= number and (last is None or number < last)
    ]


def edits_of(choices: Sequence[Candidates]) -> Edits:
    """What an episode's choices say of edits."""
    sizes = [edit_size(choice) for choice in choices]
    return Edits(
        chunks=len(choices),
        edited=sum(is_edit(choice) for choice in choices),
        sizes=tuple(size for size in sizes if size is not None),
    )


def is_edit(choice: Candidates) -> bool:
    """Whether the chosen one is edited."""
    return bool(choice.edited[choice.chosen])


def edit_size(choice: Candidates) -> float | None:
    """Mean over steps and axes of |chosen - its base|, normalised; None where the chosen one is no
    edit, or not every base has one, so that nothing says which is whose."""
    bases, edits = np.flatnonzero(~choice.edited), np.flatnonzero(choice.edited)
    if not is_edit(choice) or len(bases) != len(edits):
        return None
    base = bases[np.flatnonzero(edits == choice.chosen)[0]]
    return float(np.abs(choice.actions[choice.chosen] - choice.actions[base]).mean())
