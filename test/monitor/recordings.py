"""Files of episodes as the recorder writes them, with candidates. Needs ROS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from expo_ft_ros.msg import Candidates

from test.nodes.test_recording import messages, record

CHOSEN = 2
_EVERY, _COUNT, _HORIZON = 4, 4, 6


def write_episode(folder: Path, number: int, length: int) -> Path:
    """An episode in which four candidates, two of them edited, are drawn every four steps."""
    rng = np.random.default_rng(number)
    said: list[tuple[str, object]] = []
    for topic, message in messages(number, length, rng):
        said.append((topic, message))
        first = 100 * number
        if topic == "observation" and (message.number - first) % _EVERY == 0:
            actions = rng.uniform(-1, 1, (_COUNT, _HORIZON, 7)).astype(np.float32)
            candidates = Candidates(
                header=message.header,
                observation=message.number,
                count=_COUNT,
                horizon=_HORIZON,
                actions=actions.ravel().tolist(),
                q=rng.uniform(0, 1, _COUNT).tolist(),
                edited=[False, False, True, True],
                chosen=CHOSEN,
            )
            said.append(("policy/candidates", candidates))
    record(folder, number, said)
    return folder / f"{number:06d}.mcap"
