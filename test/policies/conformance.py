# SPDX-License-Identifier: Apache-2.0
"""What any policy has to pass: the contract of `expo_ft_ros/policies/base.py`, as tests.

A policy's test file derives a class from `Conformance` and says which policy it is:

    class TestMine(Conformance):
        kind = "mine"
        options = {"horizon": 4}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

from expo_ft_ros.data.types import ACTION_DIM, STATE_DIM
from expo_ft_ros.policies.base import VLA, Exports, PolicyInput, Stage
from expo_ft_ros.policies.config import PolicyConfig
from expo_ft_ros.policies.registry import build_policy, config_class, known_policies
from expo_ft_ros.rl.checkpoint import load_state, save_state
from expo_ft_ros.robots import ViewConfig, load_robot

STAGES: tuple[Stage, ...] = ("sft", "rl", "encoder")
BATCH, SIZE, CHUNKS = 3, 32, 2
TEXTS = ["pick up the cube", "scoop 3 candies", "pick up the cube"]
CPU = torch.device("cpu")


def raw(seed: int = 0, views: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and states of a batch."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(BATCH, views, 3, SIZE, SIZE, generator=generator)
    return images, torch.randn(BATCH, STATE_DIM, generator=generator)


class Conformance:
    """Derive from it."""

    kind: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    rounding: ClassVar[float] = 1e-5
    """How far numbers are apart at most that are the same but for the order of sums."""

    @pytest.fixture
    def config(self) -> PolicyConfig:
        return config_class(self.kind)(**self.options)

    @pytest.fixture
    def views(self) -> tuple[ViewConfig, ...]:
        return load_robot("sim").views

    @pytest.fixture
    def vla(self, config, views) -> VLA:
        torch.manual_seed(0)
        return build_policy(config, views, CPU)

    @pytest.fixture
    def other(self, config, views) -> VLA:
        """Another one of the same size, with other weights."""
        torch.manual_seed(1)
        return build_policy(config, views, CPU)

    @pytest.fixture
    def observed(self, vla, views) -> PolicyInput:
        images, state = raw(views=len(views))
        return vla.prepare(TEXTS, state, images)

    @pytest.fixture
    def actions(self) -> torch.Tensor:
        """Of which the gripper's are at their ends only, as grippers are."""
        generator = torch.Generator().manual_seed(3)
        actions = torch.rand(200, ACTION_DIM, generator=generator) - 0.4
        actions[:, -1] = torch.where(actions[:, -1] > 0, 1.0, -1.0)
        return actions

    # --- what it says of itself ------------------------------------------------------------------

    def test_it_is_found_by_its_name(self, config):
        assert self.kind in known_policies()
        assert config.kind == self.kind

    def test_its_configuration_says_what_it_can(self, config, vla):
        assert vla.horizon == config.horizon
        assert vla.noise_dim >= ACTION_DIM
        assert config.gives_features == (vla.feature_shape is not None)
        apart = vla.trainable("encoder").keys() - vla.trainable("rl").keys()
        assert config.trains_encoder == bool(apart)

    def test_its_configuration_says_whether_it_reads_the_state(self, config, vla, observed):
        elsewhere = replace(observed, state=observed.state + 1)
        drawn = [
            vla.sample(one, 1, torch.Generator().manual_seed(1)) for one in (observed, elsewhere)
        ]
        assert config.reads_state == (not torch.equal(*drawn))

    # --- input -----------------------------------------------------------------------------------

    def test_an_observation_is_prepared_alone_as_among_others(self, vla, observed, views):
        images, state = raw(views=len(views))
        for row in range(BATCH):
            alone = vla.prepare(TEXTS[row : row + 1], state[row : row + 1], images[row : row + 1])
            assert len(alone) == 1
            for name in ("images", "state", "tokens"):
                assert torch.equal(getattr(alone, name)[0], getattr(observed, name)[row]), name
        assert torch.equal(observed.state, state), "it is kept as measured"
        assert observed.tokens.dtype == torch.int64

    def test_images_may_be_left_to_features(self, vla, observed):
        bare = vla.prepare(TEXTS, observed.state, None)
        assert bare.images is None
        assert torch.equal(bare.tokens, observed.tokens)
        if vla.feature_shape is None:
            return
        features = vla.image_features(observed.images)
        assert features.shape == (BATCH, *vla.feature_shape)
        assert features.to(vla.feature_dtype).dtype == vla.feature_dtype
        drawn = [
            vla.sample(inputs, CHUNKS, torch.Generator().manual_seed(1))
            for inputs in (observed, bare.with_features(features))
        ]
        assert torch.equal(*drawn)

    @pytest.mark.parametrize("count", [1, 4])
    def test_it_sees_as_many_views_as_the_robot_has(self, config, count):
        views = [
            load_robot("sim").views[0].model_copy(update={"name": f"v{n}"}) for n in range(count)
        ]
        torch.manual_seed(0)
        vla = build_policy(config, views, CPU)
        images, state = raw(views=count)
        images.requires_grad_(True)
        inputs = vla.prepare(TEXTS, state, images)
        vla.imitation_loss(inputs, torch.zeros(BATCH, vla.horizon, ACTION_DIM)).sum().backward()
        assert (images.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all(), "each of them"

    # --- chunks ----------------------------------------------------------------------------------

    def test_chunks_are_of_their_shape_and_of_their_generator(self, vla, observed):
        before = torch.get_rng_state()
        first, again, another = (
            vla.sample(observed, CHUNKS, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(torch.get_rng_state(), before), "nothing else was drawn"
        assert first.shape == (BATCH, CHUNKS, vla.horizon, ACTION_DIM)
        assert torch.isfinite(first).all()
        assert torch.equal(first, again)
        assert not torch.equal(first, another)
        assert not torch.equal(first[:, 0], first[:, 1])
        assert not first.requires_grad

    def test_sampling_is_denoising_of_one_prefix(self, vla, observed):
        shape = (BATCH, CHUNKS, vla.horizon, vla.noise_dim)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(4))
        with torch.no_grad():
            drawn = vla.denoise(vla.encode(observed), noise)
            each = [vla.denoise(vla.encode(observed), noise[:, n : n + 1]) for n in range(CHUNKS)]
        near = {"rtol": 10 * self.rounding, "atol": self.rounding}
        torch.testing.assert_close(drawn, torch.cat(each, dim=1), **near)
        sampled = vla.sample(observed, CHUNKS, torch.Generator().manual_seed(4))
        torch.testing.assert_close(drawn, sampled, **near)

    def test_the_noise_of_a_chunk_leads_back_to_it(self, vla, observed):
        chunk = vla.sample(observed, 1, torch.Generator().manual_seed(5))
        with torch.no_grad():
            prefix = vla.encode(observed)
            noise = vla.invert(prefix, chunk)
            back = vla.denoise(prefix, noise)
        assert noise.shape == (BATCH, 1, vla.horizon, vla.noise_dim)
        unrelated = (chunk - chunk.roll(1, 0)).abs().mean()
        assert (back - chunk).abs().mean() < 0.5 * unrelated

    # --- normalisation ---------------------------------------------------------------------------

    def test_statistics_are_what_it_normalises_by(self, vla, actions):
        state = torch.randn(200, STATE_DIM)
        vla.fit_statistics(actions, state, keep_loaded=False)
        found = vla.statistics()
        ones = torch.ones(ACTION_DIM)
        torch.testing.assert_close(vla.normalise(found.action_low), -ones, rtol=0, atol=1e-4)
        torch.testing.assert_close(vla.normalise(found.action_high), ones, rtol=0, atol=1e-4)
        assert (found.state_low < found.state_high).all()
        torch.testing.assert_close(vla.denormalise(vla.normalise(actions)), actions)
        beyond = vla.denormalise(torch.full((ACTION_DIM,), 100.0))
        assert (beyond.abs() <= 1).all()

    def test_loaded_statistics_may_be_kept(self, vla, other, actions):
        state = torch.randn(200, STATE_DIM)
        vla.fit_statistics(actions, state, keep_loaded=True)
        fitted = vla.statistics().action_low.clone()
        assert not torch.equal(fitted, -torch.ones(ACTION_DIM)), "there were none to keep"
        other.load_weights(vla.weights())
        other.fit_statistics(actions / 2, state, keep_loaded=True)
        assert torch.equal(other.statistics().action_low, fitted)
        other.fit_statistics(actions / 2, state, keep_loaded=False)
        assert not torch.equal(other.statistics().action_low, fitted)

    # --- learning --------------------------------------------------------------------------------

    def test_what_learns_online_is_of_what_is_imitated(self, vla):
        names = {stage: list(vla.trainable(stage)) for stage in STAGES}
        for stage in STAGES:
            assert names[stage] == list(vla.trainable(stage)), "in an order that never changes"
            assert set(names["rl"]) <= set(names[stage])
        assert names["rl"], "nothing would learn"

    @pytest.mark.parametrize("stage", STAGES)
    def test_its_loss_falls_by_what_learns_alone(self, vla, observed, stage):
        before = {n: w.clone() for n, w in vla.weights().items()}
        learns = vla.trainable(stage)
        chunk = torch.linspace(-0.8, 0.8, vla.horizon * ACTION_DIM)
        chunks = chunk.view(1, vla.horizon, ACTION_DIM).expand(BATCH, -1, -1)
        optimiser = torch.optim.Adam(learns.values(), lr=3e-3)
        torch.manual_seed(0)
        losses = []
        for _ in range(60):
            loss = vla.imitation_loss(observed, chunks)
            assert loss.shape == (BATCH,)
            losses.append(loss.mean().item())
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
        assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
        moved = {n for n, w in vla.weights().items() if not torch.equal(w, before[n])}
        assert moved
        assert moved <= learns.keys()

    def test_what_its_loss_draws_can_be_drawn_before(self, vla, observed):
        """And shared out: rows are computed by whichever process has them."""
        chunks = torch.linspace(-0.8, 0.8, BATCH * vla.horizon * ACTION_DIM)
        chunks = chunks.view(BATCH, vla.horizon, ACTION_DIM)
        torch.manual_seed(3)
        whole = vla.imitation_loss(observed, chunks)
        torch.manual_seed(3)
        draws = vla.loss_draws(chunks)
        near = {"rtol": 10 * self.rounding, "atol": self.rounding}
        torch.testing.assert_close(vla.imitation_loss(observed, chunks, draws), whole, **near)
        for row in range(BATCH):
            one = slice(row, row + 1)
            share = {name: value[one] for name, value in draws.items()}
            alone = vla.imitation_loss(observed.rows(one), chunks[one], share)
            torch.testing.assert_close(alone, whole[one], **near)

    # --- weights ---------------------------------------------------------------------------------

    def test_weights_are_all_that_was_learned(self, vla, other, observed, actions, tmp_path):
        vla.fit_statistics(actions, observed.state, keep_loaded=False)
        every = {name for stage in STAGES for name in vla.trainable(stage)}
        assert every <= vla.weights().keys()
        save_state(tmp_path / "w.safetensors", {"vla": vla.weights()})
        other.load_weights(load_state(tmp_path / "w.safetensors")["vla"])
        drawn = [one.sample(observed, 1, torch.Generator().manual_seed(1)) for one in (vla, other)]
        assert torch.equal(*drawn)
        assert torch.equal(vla.denormalise(drawn[0]), other.denormalise(drawn[1]))
        lacking = dict(vla.weights())
        lacking.pop(next(iter(vla.trainable("rl"))))
        for wrong in (lacking, {**vla.weights(), "unheard_of": torch.zeros(1)}):
            with pytest.raises((KeyError, RuntimeError)):
                other.load_weights(wrong)

    @pytest.mark.parametrize("stage", STAGES)
    def test_a_fork_owns_what_learns_and_shares_the_rest(self, vla, observed, stage):
        fork = vla.fork(stage)
        own, theirs = fork.trainable(stage), vla.trainable(stage)
        assert list(own) == list(theirs)
        assert all(own[n].data_ptr() != theirs[n].data_ptr() for n in own)
        for every in STAGES:
            mine, original = fork.trainable(every), vla.trainable(every)
            for name in mine.keys() - own.keys():
                assert mine[name].data_ptr() == original[name].data_ptr(), name
        seed = torch.Generator
        before = vla.sample(observed, 1, seed().manual_seed(1))
        assert torch.equal(fork.sample(observed, 1, seed().manual_seed(1)), before)
        with torch.no_grad():
            for parameter in own.values():
                parameter.mul_(1.5).add_(0.1)
        assert torch.equal(vla.sample(observed, 1, seed().manual_seed(1)), before)
        assert not torch.equal(fork.sample(observed, 1, seed().manual_seed(1)), before)

    def test_an_export_refuses_a_layout_that_it_does_not_know(self, vla, tmp_path):
        if not isinstance(vla, Exports):
            pytest.skip("it isn't written for other projects")
        with pytest.raises(ValueError, match="layout"):
            vla.export(tmp_path / "out", "no such layout")
