# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of openpi and lerobot: read and written by name, and refused with what is wrong."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.policies.base import PolicyInput
from expo_ft_ros.policies.pi05.config import Pi05Config
from expo_ft_ros.policies.pi05.model import Pi05
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.robots import load_robot
from support.pi05 import Reference, write_tokenizer

CPU = torch.device("cpu")
HEAD = "paligemma_with_expert.paligemma.lm_head.weight"
Q = "paligemma_with_expert.gemma_expert.model.layers.0.self_attn.q_proj.weight"
TABLE = "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight"


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def files(reference, tmp_path_factory) -> Path:
    """A folder with `checkpoint` and `tiny.model`."""
    folder = tmp_path_factory.mktemp("files")
    write_tokenizer(folder / "tiny.model")
    reference.write(folder / "checkpoint")
    return folder


@pytest.fixture
def checkpoint(files, tmp_path) -> Path:
    """One to spoil."""
    return shutil.copytree(files / "checkpoint", tmp_path / "checkpoint")


@pytest.fixture
def make(reference, files):
    """Builds a pi0.5 of the reference's size from a checkpoint."""

    def make(checkpoint: Path, **options) -> Pi05:
        size = {name: value for name, value in reference.size.items() if name != "horizon"}
        config = Pi05Config(
            tokenizer=files / "tiny.model", checkpoint=checkpoint, **{**size, **options}
        )
        vla = build_policy(config, load_robot("sim").views, CPU)
        assert isinstance(vla, Pi05)
        return vla

    return make


def write_norm_stats(checkpoint: Path, asset: str, state: int = 10, actions: int = 7) -> Path:
    def about(count: int) -> dict[str, list[float]]:
        low = [-0.5 - 0.1 * i for i in range(count)]
        return {"mean": low, "std": low, "q01": low, "q99": [-2 * value for value in low]}

    path = checkpoint / "assets" / asset / "norm_stats.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"norm_stats": {"state": about(state), "actions": about(actions)}}))
    return path


def change(checkpoint: Path, **changes: torch.Tensor | None) -> None:
    path = checkpoint / "model.safetensors"
    weights = load_file(path)
    for name, tensor in changes.items():
        weights.pop(name, None)
        if tensor is not None:
            weights[name] = tensor
    save_file(weights, path)


# --- reading -------------------------------------------------------------------------------------


def test_horizon_and_action_width_are_the_checkpoints(make, checkpoint):
    vla = make(checkpoint)
    assert (vla.horizon, vla.noise_dim) == (10, 32)
    assert make(checkpoint, horizon=6).horizon == 6, "what is written in the size's file holds"
    (checkpoint / "config.json").write_text('{"chunk_size": 12, "max_action_dim": 32}')
    assert make(checkpoint).horizon == 12, "as lerobot calls it"


def test_the_tied_table_may_have_either_name_or_both(make, checkpoint, reference):
    table = reference.weights()[HEAD]
    for names in ({TABLE: table, HEAD: None}, {TABLE: table, HEAD: table.clone()}):
        change(checkpoint, **names)
        assert torch.equal(make(checkpoint).network.vlm.embed_tokens.weight, table)


@pytest.mark.parametrize("layout", ["openpi", "lerobot"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_read_is_written_back(make, checkpoint, reference, tmp_path, layout, dtype):
    weights = {name: tensor.to(dtype) for name, tensor in reference.weights().items()}
    save_file(weights, checkpoint / "model.safetensors")
    write_norm_stats(checkpoint, "of_robot")
    first = make(checkpoint)
    first.export(tmp_path / "out", layout)
    prefix = "model." if layout == "lerobot" else ""
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert written.keys() == {prefix + name for name in weights}
    for name, tensor in weights.items():
        assert written[prefix + name].dtype == dtype
        assert torch.equal(written[prefix + name], tensor), name
    again = make(tmp_path / "out")
    assert (again.horizon, again.noise_dim) == (10, 32)
    for name, value in vars(first.statistics()).items():
        torch.testing.assert_close(vars(again.statistics())[name], value, rtol=0, atol=1e-6)


def test_the_other_fields_of_its_config_are_kept(make, checkpoint, tmp_path):
    told = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**told, "note": "of a robot"}))
    make(checkpoint, horizon=6).export(tmp_path / "out", "openpi")
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (written["note"], written["action_horizon"]) == ("of a robot", 6)


@pytest.mark.parametrize("layout", ["openpi", "lerobot"])
def test_what_was_learned_is_in_the_export(make, checkpoint, tmp_path, layout):
    """Merged, it does what it did applied."""
    vla = make(checkpoint, image_size=224)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in vla.trainable("sft").values():
            parameter.add_(torch.randn_like(parameter) / 10)
    vla.fit_statistics(torch.rand(100, 7) - 0.5, torch.randn(100, 10), keep_loaded=False)
    vla.export(tmp_path / "out", layout)
    again = make(tmp_path / "out")
    drawn = [sampled(one) for one in (vla, again, make(checkpoint))]
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=1e-4)
    assert (drawn[0] - drawn[2]).abs().max() > 0.01


def test_what_is_frozen_is_exported_as_it_was_stored(make, checkpoint, reference, tmp_path):
    """Also where the network computes in bfloat16; and onto that goes what was learned."""
    vla = make(checkpoint, dtype="bfloat16")
    with torch.no_grad():
        for name, parameter in vla.trainable("sft").items():
            if ".layers.0.self_attn.q_proj.lora_b" in name:
                parameter.fill_(1e-4)
    vla.export(tmp_path / "out", "openpi")
    written, before = load_file(tmp_path / "out" / "model.safetensors"), reference.weights()
    changed = {name for name, tensor in before.items() if not torch.equal(written[name], tensor)}
    of_vlm = Q.replace("gemma_expert.model", "paligemma.model.language_model")
    assert changed == {Q, of_vlm}
    update = vla.network.expert.layers[0].self_attn.q_proj.update()
    torch.testing.assert_close(written[Q] - before[Q], update, rtol=0, atol=1e-7)


def sampled(vla: Pi05) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1, 2, 3, 32, 32, generator=generator)
    state = torch.randn(1, 10, generator=generator)
    observation: PolicyInput = vla.prepare(["pick up the cube"], state, images)
    return vla.denormalise(vla.sample(observation, 2, generator))


# --- what is wrong with a file -------------------------------------------------------------------


def test_what_is_missing_is_named(make, checkpoint):
    change(checkpoint, **{Q: None, "time_mlp_in.bias": None})
    with pytest.raises(ConfigError) as raised:
        make(checkpoint)
    for words in (
        f"{checkpoint}/model.safetensors: {Q}: expected [128, 32], found nothing",
        "time_mlp_in.bias: expected [32], found nothing",
        "convert_jax_model_to_pytorch.py",
    ):
        assert words in str(raised.value)


def test_what_has_another_shape_is_named_with_what_to_set(make, checkpoint):
    change(checkpoint, **{Q: torch.zeros(64, 32)})
    with pytest.raises(ConfigError) as raised:
        make(checkpoint)
    assert f"model.safetensors: {Q}: expected [128, 32], found [64, 32]" in str(raised.value)
    assert "expert.width" in str(raised.value)
    with pytest.raises(ConfigError, match=r"action_in_proj.weight: expected \[32, 24\], found"):
        make(checkpoint, action_dim=24)


def test_of_many_faults_some_are_named(make, checkpoint):
    with pytest.raises(ConfigError, match=r"and \d+ more") as raised:
        make(checkpoint, depth=3)
    assert len(str(raised.value).splitlines()) == 5


def test_an_unknown_weight_is_named(make, checkpoint):
    change(checkpoint, state_proj=torch.zeros(3))
    with pytest.raises(ConfigError, match=r"state_proj: expected nothing .* found \[3\]"):
        make(checkpoint)


def test_a_folder_without_weights_is_named_with_what_it_needs(make, checkpoint):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"model.safetensors: no such file .*lerobot/pi05_base"):
        make(checkpoint)
    (checkpoint / "params").mkdir()
    with pytest.raises(ConfigError, match=r"the folder is of JAX.*convert_jax_model_to_pytorch"):
        make(checkpoint)


def test_a_file_that_is_cut_off_is_named(make, checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ConfigError, match=r"model.safetensors: not a whole safetensors file"):
        make(checkpoint)
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json: can't be read"):
        make(checkpoint)


# --- statistics ----------------------------------------------------------------------------------


def test_statistics_normalise_as_openpi_does(make, checkpoint):
    path = write_norm_stats(checkpoint, "of_robot")
    told = json.loads(path.read_text())["norm_stats"]["actions"]
    vla = make(checkpoint)
    low, high = (torch.tensor(told[name]) for name in ("q01", "q99"))
    actions = torch.rand(50, 7) * 2 - 1
    expected = (actions - low) / (high - low + 1e-6) * 2 - 1
    torch.testing.assert_close(vla.normalise(actions), expected, rtol=0, atol=1e-5)
    before = vla.statistics().action_low.clone()
    vla.fit_statistics(actions, torch.randn(50, 10), keep_loaded=True)
    assert torch.equal(vla.statistics().action_low, before)


def test_those_of_another_robot_are_left_to_the_demonstrations(make, checkpoint, caplog):
    write_norm_stats(checkpoint, "droid", state=8, actions=8)
    with caplog.at_level(logging.WARNING):
        vla = make(checkpoint)
    assert "expected 10 states and 7 actions, found 8 and 8" in caplog.text
    vla.fit_statistics(torch.rand(50, 7), torch.randn(50, 10), keep_loaded=True)
    assert (vla.statistics().action_low > -1).all()


def test_one_of_several_statistics_is_chosen_by_name(make, checkpoint):
    for asset in ("one", "group/two"):
        write_norm_stats(checkpoint, asset)
    with pytest.raises(ConfigError, match=r"assets: expected .* found group/two, one .*vla.asset"):
        make(checkpoint)
    with pytest.raises(ConfigError, match=r"expected three/norm_stats.json, found group/two, one"):
        make(checkpoint, asset="three")
    make(checkpoint, asset="group/two")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"norm_stats.json: can't be read"),
        ("[]", r"norm_stats.json: norm_stats.state.q01: expected a list of numbers, found nothing"),
        ('{"norm_stats": {"state": {"q01": "x"}}}', r"norm_stats.state.q01: .* found x"),
        ('{"norm_stats": {"state": {"q01": [1, NaN]}}}', r"norm_stats.state.q01: .* found \[1"),
        ('{"norm_stats": {"state": {"q01": [1], "q99": []}}}', r"norm_stats.state.q99: expected"),
    ],
)
def test_statistics_that_are_none_are_named(make, checkpoint, content, said):
    write_norm_stats(checkpoint, "robot").write_text(content)
    with pytest.raises(ConfigError, match=said):
        make(checkpoint)


def test_a_normalizer_of_lerobot_with_nothing_to_keep_leaves_it_to_the_demonstrations(
    make, checkpoint, caplog
):
    """As of a policy that was never trained on a dataset: lerobot writes no state_file then."""
    step = {"registry_name": "normalizer_processor", "config": {"features": {}}}
    (checkpoint / "policy_preprocessor.json").write_text(json.dumps({"steps": [step]}))
    make(checkpoint)
    assert "they will be taken from the demonstrations" in caplog.text


def quantised(checkpoint: Path, **changes: list[float] | str) -> None:
    """Statistics of lerobot, with other quantiles of the action or another normalisation."""
    low = [-1.0] * 7
    told = {"observation.state.q01": [-1.0] * 10, "observation.state.q99": [1.0] * 10}
    told |= {"action.q01": low, "action.q99": [1.0] * 7}
    told |= {f"action.{name}": each for name, each in changes.items() if name != "mode"}
    save_file(
        {name: torch.tensor(each) for name, each in told.items()}, checkpoint / "s.safetensors"
    )
    norm_map = {"STATE": "QUANTILES", "ACTION": changes.get("mode", "QUANTILES")}
    step = {
        "registry_name": "normalizer_processor",
        "config": {"norm_map": norm_map},
        "state_file": "s.safetensors",
    }
    (checkpoint / "policy_preprocessor.json").write_text(json.dumps({"steps": [step]}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"q99": [1.0] * 6 + [-2.0]}, r"action: expected q01 up to q99, found -1 and -2 .* 6"),
        ({"q99": [1.0] * 6}, r"action: expected as many numbers of q01 as of q99, found 7 and 6"),
        ({"mode": "MEAN_STD"}, r"norm_map.ACTION: expected QUANTILES, found MEAN_STD"),
    ],
)
def test_statistics_that_mean_something_else_are_refused(make, checkpoint, changes, said):
    quantised(checkpoint, **changes)
    with pytest.raises(ConfigError, match=said):
        make(checkpoint)


def test_a_number_that_never_changed_is_normalised_to_a_number(make, checkpoint):
    quantised(checkpoint, q99=[1.0] * 6 + [-1.0])
    assert torch.isfinite(make(checkpoint).normalise(torch.full((1, 7), -1.0))).all()


def test_what_an_export_rounds_away_is_said(make, checkpoint, reference, tmp_path, caplog):
    weights = {name: tensor.bfloat16() for name, tensor in reference.weights().items()}
    save_file(weights, checkpoint / "model.safetensors")
    vla = make(checkpoint)
    with torch.no_grad():
        for name, parameter in vla.trainable("sft").items():
            if "lora_b" in name:
                parameter.fill_(1e-5)
    vla.export(tmp_path / "out", "openpi")
    assert "of what was learned (root mean square) is rounded away" in caplog.text


def test_a_processor_of_lerobot_without_statistics_is_named(make, checkpoint):
    (checkpoint / "policy_preprocessor.json").write_text('{"steps": []}')
    with pytest.raises(ConfigError, match=r"policy_preprocessor.json: expected a step normalizer"):
        make(checkpoint)
