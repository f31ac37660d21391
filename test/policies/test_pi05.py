# SPDX-License-Identifier: Apache-2.0
"""pi0.5 behind the contract."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.pi05.config import Pi05Config
from expo_ft_ros.policies.pi05.model import Pi05
from expo_ft_ros.policies.pi05.network import Pi05Network
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.robots import load_robot
from policies.conformance import Conformance
from support.pi05 import TINY, write_tokenizer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tiny.model")


class TestPi05(Conformance):
    kind = "pi05"

    @pytest.fixture
    def config(self, tokenizer) -> Pi05Config:
        return Pi05Config(tokenizer=tokenizer, **TINY)


@pytest.mark.slow
class TestPi05WithoutLora(TestPi05):
    @pytest.fixture
    def config(self, tokenizer) -> Pi05Config:
        return Pi05Config(tokenizer=tokenizer, lora=None, **TINY)


@pytest.mark.slow
class TestPi05InBfloat16(TestPi05):
    rounding = 0.01

    @pytest.fixture
    def config(self, tokenizer) -> Pi05Config:
        return Pi05Config(tokenizer=tokenizer, dtype="bfloat16", **TINY)


@pytest.fixture
def make(tokenizer):
    def make(views=None, **options) -> Pi05:
        config = Pi05Config(tokenizer=tokenizer, **{**TINY, **options})
        torch.manual_seed(0)
        vla = build_policy(config, views or load_robot("sim").views, CPU)
        assert isinstance(vla, Pi05)
        return vla

    return make


def observed(vla: Pi05, images: torch.Tensor, state: torch.Tensor | None = None) -> PolicyInput:
    state = torch.zeros(len(images), 10) if state is None else state
    return vla.prepare(["pick up the cube"] * len(images), state, images)


def sampled(vla: Pi05, observation: PolicyInput) -> torch.Tensor:
    return vla.sample(observation, 2, torch.Generator().manual_seed(1))


# --- input ---------------------------------------------------------------------------------------


def test_views_are_put_into_openpis_order_by_their_roles(make):
    """A robot that lists its wrist camera first sees the same."""
    side, wrist = load_robot("sim").views
    images = torch.rand(2, 2, 3, 28, 28)
    ahead, behind = make((side, wrist)), make((wrist, side))
    expected = sampled(ahead, observed(ahead, images))
    found = sampled(behind, observed(behind, images.flip(1)))
    assert torch.equal(found, expected)
    assert not torch.equal(sampled(behind, observed(behind, images)), expected)


def test_images_are_fitted_undistorted_with_black_around(make):
    vla = make()
    images = torch.full((1, 2, 3, 20, 40), 0.75)
    fitted = vla.prepare(["x"], torch.zeros(1, 10), images).images
    assert fitted.shape == (1, 2, 3, 28, 28)
    torch.testing.assert_close(fitted[..., 7:21, :], torch.full((1, 2, 3, 14, 28), 0.5))
    assert (fitted[..., :7, :] == -1).all()
    assert (fitted[..., 21:, :] == -1).all()


def test_the_state_is_seen_through_the_prompt_by_the_statistics(make):
    vla, images = make(), torch.rand(1, 2, 3, 28, 28)
    low, high = torch.zeros(1, 10), torch.ones(1, 10)
    before = observed(vla, images, low).tokens
    assert not torch.equal(observed(vla, images, high).tokens, before)
    assert not torch.equal(
        sampled(vla, observed(vla, images, low)), sampled(vla, observed(vla, images, high))
    )
    vla.fit_statistics(torch.rand(50, 7), torch.rand(50, 10), keep_loaded=False)
    assert not torch.equal(observed(vla, images, low).tokens, before)


def test_padding_of_the_prompt_changes_nothing(make):
    """A longer prompt beside it, or a longer limit."""
    vla = make()
    images, state = torch.rand(2, 2, 3, 28, 28), torch.zeros(2, 10)
    both = vla.prepare(["flip", "scoop 3 candies light route insert"], state, images)
    alone = vla.prepare(["flip"], state[:1], images[:1])
    longer = make(max_tokens=160).prepare(["flip"], state[:1], images[:1])
    noise = torch.randn(2, 2, 4, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        drawn = [
            vla.denoise(vla.encode(one), noise[: len(one)])[0] for one in (both, alone, longer)
        ]
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=1e-5)
    assert torch.equal(drawn[1], drawn[2])


# --- what learns ---------------------------------------------------------------------------------


def test_the_image_encoder_never_learns_and_the_log_says_what_does(make, caplog):
    for options in ({}, {"lora": None}):
        with caplog.at_level(logging.INFO):
            vla = make(**options)
        learns = vla.trainable("sft")
        for stage in ("rl", "encoder"):
            assert vla.trainable(stage).keys() == learns.keys()
        count = sum(parameter.numel() for parameter in learns.values())
        assert f"{count:,} of its" in caplog.text
        loss = vla.imitation_loss(observed(vla, torch.rand(2, 2, 3, 28, 28)), torch.zeros(2, 4, 7))
        loss.sum().backward()
        graded = {n for n, p in vla.named_parameters() if p.grad is not None}
        assert graded == learns.keys(), "all that learns, and nothing else, has a gradient"
        assert not any("vision" in name or "projector" in name for name in graded)


def test_at_full_size_as_much_learns_as_openpis_lora():
    """33.5 M of its LoRA and 2.2 M of the layers around actions and time, but for what would never
    have a gradient: queries, output and feed-forward of the VLM's last layer, 1.0 M."""
    config = Pi05Config(tokenizer=Path("none"))
    with torch.device("meta"):
        network = Pi05Network(config)
    vla = Pi05(config, load_robot("sim").views, network, None, torch.zeros(32))
    count = sum(parameter.numel() for parameter in vla.trainable("rl").values())
    assert count == 34_622_496
    assert vla.feature_shape == (2, 256, 2048)


def test_what_learns_by_lora_is_float32_in_a_bfloat16_model(make):
    vla = make(dtype="bfloat16")
    assert {p.dtype for p in vla.trainable("rl").values()} == {torch.float32}
    network = vla.network
    assert network.vlm.layers[0].self_attn.q_proj.weight.dtype == torch.bfloat16
    for norm in (network.vlm.layers[0].input_layernorm.weight, network.expert.norm.dense.weight):
        assert norm.dtype == torch.float32
    assert vla.feature_dtype == torch.bfloat16
    with pytest.raises(ValueError, match="dtype bfloat16 without lora"):
        make(dtype="bfloat16", lora=None)


# --- weights -------------------------------------------------------------------------------------


def test_an_update_of_another_base_is_refused(make):
    vla, other = make(), make(random_seed=1)
    with pytest.raises(RuntimeError, match=r"update of another checkpoint .*vla.checkpoint"):
        other.load_weights(vla.weights())


def test_weights_that_do_not_fit_are_named_with_what_to_set(make):
    vla = make()
    with pytest.raises(RuntimeError, match=r"lora_a: expected \[16, 32\], found \[8, 32\]"):
        vla.load_weights(make(lora={"vlm_rank": 8}).weights())
    with pytest.raises(KeyError, match=r"missing"):
        make(lora=None).load_weights(vla.weights())


def test_what_surrounds_actions_and_times_is_float32_in_an_autocast(make):
    network = make().network
    features, tokens = torch.randn(2, 2, 4, 32), torch.ones(2, 16, dtype=torch.int64)
    noise, t = torch.randn(2, 1, 4, 32), torch.tensor([0.5])
    with torch.no_grad():
        modulation = network.modulation(t)
        expected = network.velocity(network.prefix(features, tokens), noise, modulation)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(network.modulation(t), modulation)
            found = network.velocity(network.prefix(features, tokens), noise, modulation)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected), "the transformers compute in bfloat16"
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)
