# SPDX-License-Identifier: Apache-2.0
"""Candidates beside the base chunks, edits and gripper decisions: acting, exploring, learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import CandidateKind
from expo_ft_ros.rl.agent import ActResult, Agent
from expo_ft_ros.rl.algorithms.expo_ft import ExpoFT
from expo_ft_ros.rl.candidates import by_agreement, gripper_decisions, layout
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.scenes import make_world
from support.agents import EPISODES, PLAIN, PRESET, fed, go_on, make_agent, observation, weights_of

BASE, EDITED, GRIPPER = CandidateKind
N = 8
ALL_ON: dict[str, Any] = {
    "gripper_decisions": 2,
    "knots": 2,
    "rotation_scale": 0.0,
    "gripper_scale": 2.5,
    "zero_start": True,
    "initial_std": 0.5,
    "alpha": 0.01,
    "alpha_learning_rate": 0.01,
    "shifted_target": True,
    "pessimistic_edit_gain": False,
    "trained_on": "both",
    "evaluation": "sample",
}


def edit(**changes: Any) -> dict[str, Any]:
    return {"edit": PRESET.edit.model_copy(update=changes)}


def algorithm_of(agent: Agent) -> ExpoFT:
    assert isinstance(agent.algorithm, ExpoFT)
    return agent.algorithm


def kinds(result: ActResult) -> list[int]:
    """How many of each kind."""
    return np.bincount(result.candidate_kind, minlength=3).tolist()


@given(
    bases=st.integers(1, 5),
    count=st.integers(0, 5),
    steps=st.integers(1, 4),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_gripper_decisions_are_base_chunks_but_for_the_gripper(bases, count, steps, seed):
    count = min(count, bases)
    base = torch.randn(2, bases, steps * 7, generator=torch.Generator().manual_seed(seed))
    before = base.clone()
    made = gripper_decisions(base, count, torch.tensor(1.5), torch.tensor(-0.5)).numpy()
    assert torch.equal(base, before)
    for decision, value in enumerate((1.5, -0.5)):
        for place in range(count):
            expected = base[:, place].view(2, steps, 7).numpy().copy()
            expected[..., 6] = value
            found = made[:, decision * count + place].reshape(2, steps, 7)
            np.testing.assert_array_equal(found, expected)
    assert made.shape == (2, 2 * count, steps * 7)


def test_the_layout_says_which_is_what_and_whose():
    made = layout(3, edits=True, decisions=2, device=torch.device("cpu"))
    assert made.kind.tolist() == [BASE] * 3 + [EDITED] * 3 + [GRIPPER] * 4
    assert made.base.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 0, 1]
    plain = layout(3, edits=False, decisions=0, device=torch.device("cpu"))
    assert (plain.kind.tolist(), plain.base.tolist()) == ([BASE] * 3, [0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"edits": True}, [N, N, 4]),
        ({"edits": False}, [N, 0, 4]),
        ({"edits_after": 3}, [N, 0, 0]),
        ({"edits_after": 2}, [N, N, 4]),
        ({"acting_candidates": 5}, [5, 5, 4]),
        ({"acting_candidates": 5, "edits": False}, [5, 0, 4]),
    ],
)
@pytest.mark.parametrize("mode", ["sample", "mode"])
def test_the_same_candidates_act_in_training_and_evaluation(changes, expected, mode):
    agent = fed(**edit(gripper_decisions=2), **changes)
    agent.update(go_on)
    result = agent.act(observation(), mode)
    assert not result.explored, "also where the critic chose an edit"
    assert kinds(result) == expected
    assert result.chosen == int(result.candidate_q.argmax())
    np.testing.assert_allclose(result.actions[:8], result.candidates[result.chosen], atol=1e-6)
    assert kinds(agent.act(observation(), "base_policy")) == [1, 0, 0]


@given(seed=st.integers(0, 99), edits=st.booleans(), members=st.integers(1, 4))
@settings(deadline=None)
def test_a_gripper_decision_is_worth_the_least_that_it_gains_over_the_best_base(
    seed, edits, members
):
    made = layout(3, edits=edits, decisions=2, device=torch.device("cpu"))
    shape = (members, 5, len(made.kind))
    of_members = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    q = of_members.mean(dim=0)
    found = by_agreement(q.clone(), of_members, made).numpy()
    for row in range(5):
        best = int(np.argmax(q[row, :3]))
        for place, kind in enumerate(made.kind.tolist()):
            gains = [
                float(of_members[m, row, place] - of_members[m, row, best]) for m in range(members)
            ]
            expected = float(q[row, best]) + min(gains) if kind == GRIPPER else float(q[row, place])
            assert found[row, place] == pytest.approx(expected, abs=1e-5)


def test_where_members_disagree_the_policys_own_chunk_is_executed(monkeypatch):
    """A decision with the greatest mean, over which one of two members says that it harms."""
    doubtful = torch.tensor([0.3, 0.9])
    agreed = torch.tensor([0.6, 0.7])

    def values(worth):
        def of_kinds(features, chunks, members=None):
            found = torch.full((2, *chunks.shape[:2]), 0.5)
            found[:, :, -1] = worth[:, None]
            return found

        return of_kinds

    for worth, with_agreement, without in (
        (doubtful, BASE, GRIPPER),
        (agreed, GRIPPER, GRIPPER),
    ):
        for required, expected in ((True, with_agreement), (False, without)):
            agent = fed(
                **edit(gripper_decisions=2, agreed_decisions=required), edits=False,
                value=PRESET.value.model_copy(update={"acting_value": "mean"}),
            )  # fmt: skip
            agent.update(go_on)
            ensemble = algorithm_of(agent).networks.target.ensemble
            monkeypatch.setattr(ensemble, "forward", values(worth))
            for mode in ("sample", "mode"):
                assert agent.act(observation(), mode).kind == expected


def test_a_chunk_goes_on_as_the_base_chunk_that_it_is_made_of(monkeypatch):
    agent = fed(**edit(gripper_decisions=2), explore_share_warmup=1.0)
    drawn: list[torch.Tensor] = []
    sample = agent.vla.sample

    def remember(*args, **kwargs):
        drawn.append(sample(*args, **kwargs))
        return drawn[-1]

    monkeypatch.setattr(agent.vla, "sample", remember)
    made = layout(N, edits=True, decisions=2, device=torch.device("cpu"))
    results = [agent.act(observation()) for _ in range(40)]
    for result, base in zip(results, drawn, strict=True):
        whose = base[0, made.base[result.chosen], 8:]
        np.testing.assert_allclose(result.actions[8:], agent.vla.denormalise(whose), atol=1e-6)
    assert {result.kind for result in results} == {EDITED, GRIPPER}


def test_the_td_target_chooses_among_the_same_candidates(monkeypatch):
    agent = fed(**edit(gripper_decisions=2))
    networks = algorithm_of(agent).networks
    seen: list[int] = []
    select = networks.select

    def remember(*args, **kwargs):
        selection = select(*args, **kwargs)
        seen.append(selection.chunks.shape[1])
        return selection

    monkeypatch.setattr(networks, "select", remember)
    agent.update(go_on)
    assert seen == [N + N + 4] * agent.critic_updates


def test_a_held_gripper_is_neither_opened_nor_closed():
    like = make_agent(**edit(gripper_decisions=2), edits=False, explore_share=1.0)
    task = like.task.model_copy(update={"gripper_is_free": False})
    agent = Agent(task, like.config, load_robot(DEFAULT_ROBOT).views, 0)
    for episode in EPISODES[:2]:
        agent.add_episode(episode)
    agent.imitate(go_on)
    agent.update(go_on)
    for _ in range(5):
        result = agent.act(observation())
        assert (kinds(result), result.kind) == ([N, 0, 0], BASE)
    assert not load_task("candy_scoop").gripper_is_free
    assert load_task("cube_pick").gripper_is_free


def test_a_gripper_decision_opens_and_closes_the_gripper_of_the_simulation():
    """Of a policy that isn't trained, whose own chunks hardly move the gripper to its end."""
    agent = fed(**edit(gripper_decisions=1), edits=False)
    agent.update(go_on)
    result = agent.act(observation())
    opening, closing = result.candidates[result.candidate_kind == GRIPPER]
    np.testing.assert_allclose(opening[:, 6], 1, atol=1e-6)
    np.testing.assert_allclose(closing[:, 6], -1, atol=1e-6)
    np.testing.assert_array_equal(opening[:, :6], closing[:, :6])
    limits = load_robot(DEFAULT_ROBOT).limits
    world = make_world(agent.task, limits, seed=3)
    try:
        for chunk, width in ((closing, 0.0), (opening, limits.gripper_max_width)):
            for action in chunk:
                # The gripper alone, so that nothing is in its way.
                world.step(action * limits.scale() * np.eye(7)[6], agent.task.period)
            assert world.proprio().gripper_width == pytest.approx(width, abs=0.004)
    finally:
        world.close()


@given(low=st.floats(-1.5, -0.05), high=st.floats(0.05, 1.5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_every_candidate_lies_within_what_a_robot_executes(low, high, seed):
    """Whatever range the demonstrations use of each axis."""
    networks = algorithm_of(TRAINED).networks
    stats = networks.action_stats
    kept = stats.low.clone(), stats.high.clone()
    stats.set_range(torch.full((7,), low), torch.full((7,), high))
    generator = torch.Generator().manual_seed(seed)
    base = 3 * torch.randn(4, N, 56, generator=generator)
    window = TRAINED.memory.batch()
    visual, state = TRAINED.memory.critic_input(window.start[:4])
    made = networks.select(visual, state, base, mode=False, generator=generator)
    raw = stats.inverse(made.chunks.view(4, -1, 8, 7))
    stats.set_range(*kept)
    assert raw.abs().max() <= 1 + 1e-5
    decided = raw[:, made.layout.kind == GRIPPER][..., 6]
    torch.testing.assert_close(decided[:, :2], torch.ones(4, 2, 8), atol=1e-5, rtol=0)
    torch.testing.assert_close(decided[:, 2:], -torch.ones(4, 2, 8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("edits", [True, False])
def test_what_is_explored_is_executed_in_training_only(edits):
    agent = fed(
        **edit(gripper_decisions=2), edits=edits, edits_after=10**6,
        explore_share_warmup=1.0, explore_share=1.0,
    )  # fmt: skip
    explored = {EDITED, GRIPPER} if edits else {GRIPPER}
    for trained in (False, True):
        if trained:
            agent.update(go_on)
        results = [agent.act(observation()) for _ in range(30)]
        assert {result.kind for result in results} == explored
        for result in results:
            assert result.explored
            assert result.choice(1).explored
            assert np.isnan(result.q) != trained
            chosen = result.candidates[result.chosen]
            np.testing.assert_allclose(result.actions[:8], chosen, atol=1e-6)
        for mode in ("mode", "base_policy"):
            evaluated = agent.act(observation(), mode)
            assert not evaluated.explored
            count = N if mode == "mode" else 1
            assert (evaluated.kind, kinds(evaluated)) == (BASE, [count, 0, 0])


@pytest.mark.parametrize(("during", "after"), [(0.5, 0.0), (0.0, 0.5)])
def test_each_share_holds_in_its_time(during, after):
    agent = fed(
        **edit(gripper_decisions=2), edits=False, edits_after=10**6,
        explore_share_warmup=during, explore_share=after,
    )  # fmt: skip
    for share in (during, after):
        explored = [agent.act(observation()).kind is GRIPPER for _ in range(60)]
        # Four standard deviations of a binomial.
        assert np.mean(explored) == pytest.approx(share, abs=4 * (share * (1 - share) / 60) ** 0.5)
        agent.update(go_on)


@pytest.mark.parametrize("trained_on", ["executed", "vla", "both"])
def test_the_edit_policy_learns_to_edit_what_it_is_told_to(monkeypatch, trained_on):
    agent = fed(**edit(trained_on=trained_on), refresh_per_update=0)
    agent.memory.fill_features()
    agent.memory.fill_candidates(0)
    networks, memory = algorithm_of(agent).networks, agent.memory
    windows, chunks = [], []
    batch, step = memory.batch, networks.actor_step

    def remember_batch():
        windows.append(batch())
        return windows[-1]

    def remember_step(visual, state, base):
        chunks.append(base)
        return step(visual, state, base)

    monkeypatch.setattr(memory, "batch", remember_batch)
    monkeypatch.setattr(networks, "actor_step", remember_step)
    agent.update(go_on)
    (found,), window = chunks, windows[-1]
    executed = memory.chunk(window)
    proposed = networks.executable(memory.base_chunks(window.start))
    from_replay = (found == executed).all(dim=1)
    from_policy = (found[:, None] == proposed).all(dim=2).any(dim=1)
    assert (from_replay | from_policy).all()
    share = {"executed": 1.0, "vla": 0.0, "both": 0.5}[trained_on]
    assert from_replay.float().mean().item() == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(("evaluation", "alike"), [("mode", True), ("sample", False)])
def test_evaluations_edit_by_the_mode_or_by_samples(evaluation, alike):
    """One observation and one draw of the base chunks; what differs are the edits."""
    agent = fed(**edit(evaluation=evaluation))
    agent.update(go_on)
    results = []
    for _ in range(2):
        agent.begin_evaluation(4)
        results.append(agent.act(observation(), "mode"))
    first, again = results
    np.testing.assert_array_equal(first.candidates, again.candidates)
    networks = algorithm_of(agent).networks
    sampled: list[bool] = []
    sample, mode = networks.actor.sample, networks.actor.mode
    networks.actor.sample = lambda *a: sampled.append(True) or sample(*a)  # type: ignore[method-assign]
    networks.actor.mode = lambda *a: sampled.append(False) or mode(*a)  # type: ignore[method-assign]
    agent.act(observation(), "mode")
    assert sampled == [not alike]


def test_all_of_it_learns_and_acts():
    agent = fed(**edit(**ALL_ON), explore_share=0.3, explore_share_warmup=0.5)
    actor = algorithm_of(agent).networks.actor
    assert actor.dims == 2 * 4
    before = {name: value.clone() for name, value in weights_of(agent).items()}
    for episode in (None, *EPISODES[2:]):
        if episode is not None:
            agent.add_episode(episode)
        metrics = agent.update(go_on)
        assert np.isfinite(list(metrics.values())).all()
    moved = {n for n, value in weights_of(agent).items() if not torch.equal(value, before[n])}
    for part in ("actor.head", "log_alpha", "value.ensemble", "target.ensemble"):
        assert any(name.startswith(part) for name in moved), f"{part} learned nothing"
    result = agent.act(observation(), "mode")
    assert kinds(result) == [N, N, 4]
    assert np.abs(result.candidates).max() <= 1


def test_what_can_not_be_is_refused():
    with pytest.raises(ConfigError, match=r"edit\.gripper_decisions 9 is more than candidates 8"):
        load_preset(changes={**PLAIN, "edit.gripper_decisions": "9"})
    with pytest.raises(ConfigError, match=r"gripper_decisions 3 is more than acting_candidates 2"):
        load_preset(changes={**PLAIN, "edit.gripper_decisions": "3", "acting_candidates": "2"})
    with pytest.raises(ConfigError, match="there is nothing to explore"):
        load_preset(changes={**PLAIN, "edits": "false", "explore_share": "0.2"})
    load_preset(
        changes={**PLAIN, "edits": "false", "explore_share": "0.2", "edit.gripper_decisions": "2"}
    )


TRAINED = fed(**edit(gripper_decisions=2))
TRAINED.update(go_on)


@pytest.mark.parametrize("mode", ["sample", "mode"])
def test_a_draw_may_stand_in_for_the_critic_when_acting(mode):
    agent = fed(choose_by="random", edits=False, minimum_of=2)
    agent.update(go_on)
    chosen = [agent.act(observation(), mode) for _ in range(40)]
    places = {result.chosen for result in chosen}
    assert len(places) >= 5
    assert any(result.q < result.candidate_q.max() for result in chosen)
    by_value = fed(edits=False, minimum_of=2)
    by_value.update(go_on)
    for _ in range(5):
        result = by_value.act(observation(), mode)
        assert result.q == result.candidate_q.max()
