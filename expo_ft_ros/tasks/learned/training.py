# SPDX-License-Identifier: Apache-2.0
"""Learns a classifier from labelled episodes, and measures it on episodes that were held out.

Of an episode that succeeded the last observations show a success; what comes shortly before them is
neither, and is left out; all else, and all of an episode that failed, shows none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expo_ft_ros.data.episode import Episode
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.tasks.conditions import Hold
from expo_ft_ros.tasks.learned.files import About, Confusion
from expo_ft_ros.tasks.learned.network import SuccessNet, probabilities, to_tensor

_UNSURE = 2  # observations before a success that are neither
_OTHERS = 40  # observations of an episode without success that are learned from, at most
_BATCH, _RATE, _DECAY = 64, 1e-3, 1e-4
_SHIFT, _LIGHT = 3, 0.15  # augmentation [px], of brightness to either side


@dataclass(frozen=True)
class Labelled:
    """An episode as the classifier learns from it.

    images: (n, views, size, size, 3) uint8, of every observation; success: how it ended; last:
    observations at its end that show a success, where it did.
    """

    images: ImageArray
    success: bool
    last: int

    @property
    def positives(self) -> NDArray[np.int64]:
        """Observations that show a success."""
        shown = min(self.last, len(self.images)) if self.success else 0
        return np.arange(len(self.images) - shown, len(self.images))

    @property
    def others(self) -> NDArray[np.int64]:
        """Observations that show none."""
        unsure = self.last + _UNSURE if self.success else 0
        return np.arange(max(0, len(self.images) - unsure))


def labelled(episode: Episode, views: Sequence[str], last: int) -> Labelled:
    """An episode, with images of the size that the classifier sees, and how it was labelled.

    Args:
        episode: Whose images are square, and all of one size.
        views: That are looked at, in order.
        last: Observations at its end that show a success.

    Raises:
        ValueError: for one without these views.
    """
    if missing := [view for view in views if view not in episode.views]:
        raise ValueError(
            f"episode {episode.outcome.episode} has no view {', '.join(missing)}, its views are "
            f"{', '.join(episode.views)}"
        )
    images = np.stack([episode.views[view] for view in views], axis=1)
    return Labelled(images, episode.outcome.success, last)


def split(
    episodes: Sequence[Labelled], share: float, rng: np.random.Generator
) -> tuple[list[Labelled], list[Labelled]]:
    """Episodes to learn from, and those held out: of successes and of failures this share each, at
    least one where there are two.

    Raises:
        ValueError: with fewer than two successes, or where nothing shows no success.
    """
    successes = [episode for episode in episodes if episode.success]
    failures = [episode for episode in episodes if not episode.success]
    if len(successes) < 2:
        raise ValueError(
            f"{len(successes)} of {len(episodes)} episodes succeeded, and two are needed: one to "
            "learn from, one to measure by (record or label more)"
        )
    learned: list[Labelled] = []
    held_out: list[Labelled] = []
    for group in (successes, failures):
        order = rng.permutation(len(group))
        count = max(1, round(share * len(group))) if len(group) > 1 else 0
        held_out += [group[i] for i in order[:count]]
        learned += [group[i] for i in order[count:]]
    if not any(len(episode.others) for episode in learned):
        raise ValueError("no observation shows no success: the episodes are too short")
    return learned, held_out


def train(
    episodes: Sequence[Labelled], steps: int, seed: int, told: Callable[[int, int], None]
) -> SuccessNet:
    """A net that tells the two kinds of observations apart: binary cross entropy, as many of each
    kind in a batch.

    Args:
        episodes: To learn from.
        steps: Of the optimiser.
        seed: Of its weights and batches.
        told: Is called with the steps that are done, and all.
    """
    rng = np.random.default_rng(seed)
    kinds = _observations(episodes, rng)
    views, size = kinds[0].shape[1:3]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = SuccessNet(views, size).train()
        optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
        wanted = torch.tensor([0.0, 1.0]).repeat_interleave(_BATCH // 2)
        for step in range(1, steps + 1):
            drawn = [kind[rng.integers(len(kind), size=_BATCH // 2)] for kind in kinds]
            images = _augmented(to_tensor(np.concatenate(drawn)), rng)
            loss = nn.functional.binary_cross_entropy_with_logits(net(images), wanted)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            told(step, steps)
    return net.eval()


def _observations(
    episodes: Sequence[Labelled], rng: np.random.Generator
) -> tuple[ImageArray, ImageArray]:
    """(n, views, size, size, 3) images without, and with, a success."""
    others, positives = [], []
    for episode in episodes:
        chosen = rng.permutation(episode.others)[:_OTHERS]
        others.append(episode.images[chosen])
        positives.append(episode.images[episode.positives])
    return np.concatenate(others), np.concatenate(positives)


def _augmented(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Images (n, views, 3, size, size), all of them moved alike by some pixels, each of another
    brightness."""
    size = images.shape[-1]
    padded = nn.functional.pad(images.flatten(0, 1), (_SHIFT,) * 4, mode="replicate")
    down, right = rng.integers(0, 2 * _SHIFT + 1, size=2)
    moved = padded[..., down : down + size, right : right + size].reshape(images.shape)
    light = 1.0 + rng.uniform(-_LIGHT, _LIGHT, (len(images), 1, 1, 1, 1))
    return (moved * torch.from_numpy(light).float()).clamp(0.0, 1.0)


def measure(
    net: SuccessNet, episodes: Sequence[Labelled], threshold: float, hold_steps: int
) -> tuple[Confusion, Confusion]:
    """How often a net is right on episodes, by observation and by episode. One that is called a
    success while it shows none yet counts twice, as called wrongly and as missed: live it would
    have ended there.

    Args:
        net: The net.
        episodes: That it hasn't learned from.
        threshold: Probability from which an observation is a success.
        hold_steps: Consecutive observations for which an episode is one.
    """
    frames, trials = np.zeros((2, 2), dtype=int), np.zeros((2, 2), dtype=int)
    for episode in episodes:
        called = probabilities(net, episode.images) >= threshold
        for truth, which in enumerate((episode.others, episode.positives)):
            frames[truth] += np.bincount(called[which].astype(int), minlength=2)
        hold = Hold(hold_steps)
        at = next((i for i, one in enumerate(called) if hold("" if one else "missing")), None)
        early = episode.success and at is not None and at < len(episode.others)
        trials[int(episode.success), int(at is not None and not early)] += 1
        trials[0, 1] += int(early)
    return _confusion(frames), _confusion(trials)


def _confusion(counts: NDArray[np.int64]) -> Confusion:
    """Of counts by truth and what was said."""
    (true_negative, false_positive), (false_negative, true_positive) = counts.tolist()
    return Confusion(
        true_positive=true_positive,
        false_positive=false_positive,
        false_negative=false_negative,
        true_negative=true_negative,
    )


def about(
    task: str,
    views: Sequence[str],
    learned: Sequence[Labelled],
    found: tuple[Confusion, Confusion],
) -> About:
    """What is written beside the weights: whose they are, and what was found of them."""
    successes = sum(episode.success for episode in learned)
    return About(
        task=task,
        views=tuple(views),
        image_size=learned[0].images.shape[2],
        episodes={"success": successes, "failure": len(learned) - successes},
        frames=found[0],
        trials=found[1],
    )
