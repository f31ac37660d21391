# SPDX-License-Identifier: Apache-2.0
"""Plays episodes and branches them: at some decisions each candidate, then the VLA alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import GRIPPER, FloatArray, ImageArray, Observation
from expo_ft_ros.experiment.branch_candidates import Tried, candidates
from expo_ft_ros.experiment.branches import Branches, Flags, Integers
from expo_ft_ros.experiment.branching import BranchCell, CellState
from expo_ft_ros.experiment.choice_agent import AgentSource, chunk_values, make_agent
from expo_ft_ros.rl.agent import ActResult

_BRANCHES, _CHOICE, _DECISION = range(3)  # what a seed is for

Drive = Literal["vla", "agent"]


@dataclass(frozen=True)
class BranchPlan:
    """How episodes are branched.

    drive: what plays them up to the branches; decisions: branched of each episode; continuations:
    of each chunk; random_edits, gripper: as in `branch_candidates.candidates`.
    """

    drive: Drive
    decisions: int
    continuations: int
    random_edits: int
    gripper: int


@dataclass(frozen=True)
class BranchedEpisode:
    """An episode and its branches.

    success, truth: how it ended, by the classifier and by ground truth; judged_alike: share of its
    branches in which these agree; seconds: where the time went.
    """

    scene: int
    success: bool
    truth: bool
    steps: int
    branches: Branches
    judged_alike: float
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Branched:
    """A decision and its branches; names as in `Branches`. place: which decision of its episode."""

    place: int
    images: ImageArray
    state: FloatArray
    instruction: str
    tried: Tried
    q: FloatArray
    success: Flags
    steps: Integers


class BranchPlayer:
    """One cell and one agent. `source` says which, `plan` how episodes are branched."""

    def __init__(self, source: AgentSource, plan: BranchPlan) -> None:
        self._agent = make_agent(source)
        self._task, self._plan = source.task, plan
        self._cell = BranchCell(self._task, source.robot)
        self._inference = 0.0
        self._alike: list[bool] = []

    def close(self) -> None:
        """Frees the renderer."""
        self._cell.close()

    def play(self, scene: int) -> BranchedEpisode:
        """Plays the scene of that seed and branches it. It depends on nothing that was played
        before."""
        before, started = self._seconds(), time.perf_counter()
        cell, agent, plan, self._alike = self._cell, self._agent, self._plan, []
        most = self._task.max_steps
        cell.begin(Plan("eval_after", 1, scene, most, "mode", "none", False))
        agent.begin_evaluation(scene)
        decisions: list[tuple[CellState, int, bool]] = []
        closed = False
        while not cell.over:
            decisions.append((cell.state(), cell.steps, closed))
            mode = "mode" if plan.drive == "agent" else "base_policy"
            taken = cell.execute(self._act(cell.observation(), mode).actions)
            threshold = cell.takeover_gripper
            closed = closed or any(step.executed[GRIPPER] <= -threshold for step in taken)
        success, truth, length = cell.success, cell.truth, cell.steps
        rng = np.random.default_rng([scene, _BRANCHES])
        count = min(plan.decisions, len(decisions))
        places = np.sort(rng.choice(len(decisions), size=count, replace=False))
        of_states = [self._branch(scene, int(place), decisions[place][0]) for place in places]
        branches = _gathered(
            scene,
            length,
            [at for _, at, _ in decisions],
            [shut for _, _, shut in decisions],
            of_states,
        )
        seconds = {name: value - before[name] for name, value in self._seconds().items()}
        seconds["rest"] = time.perf_counter() - started - sum(seconds.values())
        alike = float(np.mean(self._alike)) if self._alike else 1.0
        return BranchedEpisode(scene, success, truth, length, branches, alike, seconds)

    def _branch(self, scene: int, place: int, state: CellState) -> _Branched:
        """Every candidate of a decision, each with the same noise after it."""
        cell, agent, plan = self._cell, self._agent, self._plan
        cell.restore(state)
        shown = cell.observation()
        agent.begin_evaluation(_seed(scene, _CHOICE, place))
        proposals = self._act(shown, "mode")
        tried = candidates(
            proposals,
            agent.vla,
            edit_scale=self._task.edit_scale,
            random_edits=plan.random_edits,
            gripper=plan.gripper if self._task.gripper_is_free else 0,
            rng=np.random.default_rng([scene, _CHOICE, place]),
        )
        images = agent.memory.inputs.kept(shown.views)
        proprio = shown.proprio.vector()
        at = (scene, cell.steps)
        q = chunk_values(agent, images, proprio, shown.instruction, tried.chunk, place=at)
        success = np.zeros((len(tried.chunk), plan.continuations), dtype=np.bool_)
        steps = np.zeros(success.shape, dtype=np.int64)
        for row, chunk in enumerate(tried.chunk):
            for again in range(plan.continuations):
                cell.restore(state)
                begun = cell.steps
                agent.begin_evaluation(_seed(scene, _DECISION, place, again))
                cell.execute(chunk)
                while not cell.over:
                    cell.execute(self._act(cell.observation(), "base_policy").actions)
                success[row, again], steps[row, again] = cell.success, cell.steps - begun
                self._alike.append(cell.success == cell.truth)
        return _Branched(place, images, proprio, shown.instruction, tried, q, success, steps)

    def _act(self, observation: Observation, mode: str) -> ActResult:
        started, drawn = time.perf_counter(), self._cell.seconds.images
        result = self._agent.act(observation, mode)
        self._inference += time.perf_counter() - started
        self._inference -= self._cell.seconds.images - drawn
        return result

    def _seconds(self) -> dict[str, float]:
        return {**asdict(self._cell.seconds), "inference": self._inference}


def branched_episodes(
    source: AgentSource, plan: BranchPlan, scenes: Sequence[int], jobs: int
) -> Iterator[BranchedEpisode]:
    """Plays and branches scenes, `jobs` processes at a time, in the order of the scenes; what each
    gives doesn't depend on how many there are.

    Raises:
        BrokenProcessPool: where a process died.
    """
    if jobs == 1:
        player = BranchPlayer(source, plan)
        try:
            yield from map(player.play, scenes)
        finally:
            player.close()
        return
    # Spawned: torch's and OpenGL's threads don't survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(source, plan)) as pool:
        try:
            yield from pool.map(_play, scenes)
        finally:
            pool.shutdown(cancel_futures=True)


_players: list[BranchPlayer] = []
"""The one of this process, where it is one of several."""


def _begin(source: AgentSource, plan: BranchPlan) -> None:
    _players.append(BranchPlayer(source, plan))


def _play(scene: int) -> BranchedEpisode:
    return _players[0].play(scene)


def _gathered(
    scene: int, length: int, steps: Sequence[int], closed: Sequence[bool], of: Sequence[_Branched]
) -> Branches:
    """The branches of one episode. steps, closed: of each of its decisions."""
    rows = [len(one.tried.kind) for one in of]
    return Branches(
        scene=np.full(len(of), scene, dtype=np.int64),
        step=np.array([steps[one.place] for one in of], dtype=np.int64),
        length=np.full(len(of), length, dtype=np.int64),
        closed=np.array([closed[one.place] for one in of], dtype=np.bool_),
        images=np.stack([one.images for one in of]),
        state=np.stack([one.state for one in of]),
        instruction=np.array([one.instruction for one in of]),
        at=np.repeat(np.arange(len(of), dtype=np.int64), rows),
        kind=np.concatenate([np.array(one.tried.kind) for one in of]),
        proposed=np.concatenate([np.array(one.tried.proposed) for one in of]),
        chosen=np.concatenate([np.array(one.tried.chosen) for one in of]),
        chunk=np.concatenate([one.tried.chunk for one in of]),
        q=np.concatenate([one.q for one in of]),
        success=np.concatenate([one.success for one in of]),
        steps=np.concatenate([one.steps for one in of]),
    )


def _seed(*parts: int) -> int:
    """Of draws that have nothing to do with those of other parts."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
