# SPDX-License-Identifier: Apache-2.0
"""What a list says of a recorded episode, without its images: in half of the time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.episode_builder import ENDED
from expo_ft_ros.recording.episode_store import DISCARDED, label_of
from expo_ft_ros.recording.mcap_file import CutOffError, read_bag


@dataclass(frozen=True)
class EpisodeSummary:
    """An episode in a list.

    Attributes:
        number: Of the episode.
        file: Name of its file without the ending, as "000012" or "000012.discarded".
        stage: In which it was recorded; "" where that isn't known.
        outcome: "success", "failure", or why nothing is learned from it: "discarded", "uncounted",
            "incomplete", "broken".
        relabelled: Whether the operator's label has overruled the classifier.
        steps: Control steps, from the first that anybody drove.
        human_steps: Those that a human drove.
        cause: How it ended.
    """

    number: int
    file: str
    stage: str = ""
    outcome: str = "broken"
    relabelled: bool = False
    steps: int = 0
    human_steps: int = 0
    cause: str = ""


def summarise(path: Path) -> EpisodeSummary:
    """What a file says, and the label beside it; of one that can't be read, why. path: named as
    `episode_store` names it."""
    number, _, aside = path.stem.partition(".")
    why = aside.rstrip("0123456789")
    sources: dict[int, int] = {}
    stage, ended, last = "", None, 0
    try:
        label = label_of(path)
        with contextlib.suppress(CutOffError):
            for said in read_bag(path, lambda name: name in ("episode/state", "step")):
                message = said.message
                if said.topic == "step":
                    sources[int(message.observation)] = int(message.source)
                else:
                    stage = str(message.stage) or stage
                    ended = message if message.state == ENDED else ended
    except (OSError, ValueError) as error:
        return EpisodeSummary(int(number), path.stem, cause=str(error))
    first = min(sources, default=0)
    if ended is not None:
        first, last = int(ended.first_observation), int(ended.last_observation)
    driven = [by for step, by in sorted(sources.items()) if first <= step < (last or step + 1)]
    while driven and driven[0] == Source.HOLD:
        driven.pop(0)
    outcome, cause = "incomplete", "its end was not recorded"
    if ended is not None:
        success = bool(ended.success) if label is None else label
        outcome, cause = "success" if success else "failure", str(ended.cause)
        if label is not None:
            cause = f"labelled as {outcome}"
        if ended.discarded:
            outcome = DISCARDED
    return EpisodeSummary(
        number=int(number),
        file=path.stem,
        stage=stage,
        outcome=why or outcome,
        relabelled=label is not None,
        steps=len(driven),
        human_steps=driven.count(Source.HUMAN),
        cause=cause,
    )
