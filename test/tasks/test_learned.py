# SPDX-License-Identifier: Apache-2.0
"""A classifier is learned from labels, kept in two files, chosen by a task; the operator's, too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.types import Observation
from expo_ft_ros.experiment.arguments import make_options
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.options import EvalOptions, SimOptions, TrainOptions
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import TASKS, load_task
from expo_ft_ros.tasks.classifiers import make_classifier, needs_operator, require_views
from expo_ft_ros.tasks.learned.files import Confusion, read_about
from expo_ft_ros.tasks.learned.network import probabilities, save
from expo_ft_ros.tasks.learned.training import Labelled, about, labelled, measure, split, train
from support.driving import observe
from support.labelled import LAST, lamp_episodes, room

pytestmark = pytest.mark.timeout(300)  # it trains, once

VIEWS = ("side", "wrist")


def quiet(done: int, total: int) -> None:
    """Tells nobody."""


@pytest.fixture(scope="module")
def trained():
    """(net, episodes held out, what was learned from)."""
    episodes = [labelled(episode, VIEWS, LAST) for episode in lamp_episodes(10, 5)]
    learned, held_out = split(episodes, 0.3, np.random.default_rng(0))
    return train(learned, 120, 0, quiet), held_out, learned


@pytest.fixture
def weights(trained, tmp_path: Path) -> Path:
    net, held_out, learned = trained
    path = tmp_path / "lamp.safetensors"
    save(net, about("lamp", VIEWS, learned, measure(net, held_out, 0.5, 2)), path)
    return path


def task_file(folder: Path, classifier: str) -> Path:
    """Cube Pick with another classifier."""
    text = TASKS.find("cube_pick").read_text()
    begin, end = text.index("classifier:"), text.index("control_hz")
    path = folder / "cube_pick.yaml"
    path.write_text(f"{text[:begin]}classifier:\n{classifier}\n{text[end:]}")
    return path


def learned_task(weights: Path, name: str | None = None, more: str = "") -> Path:
    named = weights.name if name is None else name
    lines = f"  name: learned\n  parameters: {{weights: {named}{more}}}\n"
    return task_file(weights.parent, lines)


def test_what_it_has_learned_holds_for_episodes_that_it_has_not_seen(trained) -> None:
    net, held_out, _ = trained
    frames, trials = measure(net, held_out, 0.5, 2)
    assert frames.true_positive + frames.false_negative == LAST * 3
    assert frames.precision > 0.85
    assert frames.recall > 0.85
    assert (trials.false_negative, trials.false_positive) == (0, 0)
    assert (trials.true_positive, trials.true_negative) == (3, 2)


class Bright(torch.nn.Module):
    """A net that takes what is bright for a success."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 100 * (images.mean(dim=(1, 2, 3, 4)) - 0.5)


def test_a_success_that_is_called_too_early_is_called_wrongly_and_missed() -> None:
    def seen(*bright: int, success: bool) -> Labelled:
        images = np.zeros((12, 1, 16, 16, 3), dtype=np.uint8)
        images[list(bright)] = 255
        return Labelled(images, success, 3)

    early = seen(3, 4, 10, 11, success=True)
    right = seen(10, 11, success=True)
    failure = seen(success=False)
    _, trials = measure(Bright(), [early, right, failure], 0.5, 2)
    assert (trials.true_positive, trials.false_negative) == (1, 1)
    assert (trials.true_negative, trials.false_positive) == (1, 1)


def test_the_same_seed_learns_the_same(trained) -> None:
    _, held_out, learned = trained
    first, again, other = (train(learned, 5, seed, quiet) for seed in (3, 3, 4))
    seen = [probabilities(each, held_out[0].images) for each in (first, again, other)]
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])


@given(st.integers(1, 12), st.booleans(), st.integers(1, 5), st.integers(0, 3))
def test_labels_are_of_the_end_and_leave_out_what_is_before_it(
    count: int, success: bool, last: int, seed: int
) -> None:
    images = np.zeros((count, 1, 16, 16, 3), np.uint8)
    episode = Labelled(images, success, last)
    shown, others = set(episode.positives), set(episode.others)
    assert not shown & others
    assert shown == set(range(max(0, count - last), count) if success else ())
    assert success or others == set(range(count))
    assert not others or max(others) < count


@given(st.integers(2, 9), st.integers(0, 6), st.floats(0.05, 0.9), st.integers(0, 9))
def test_both_parts_have_successes_and_no_episode_twice(
    successes: int, failures: int, share: float, seed: int
) -> None:
    images = np.zeros((20, 1, 16, 16, 3), np.uint8)
    episodes = [Labelled(images, i < successes, 3) for i in range(successes + failures)]
    learned, held_out = split(episodes, min(share, 0.5), np.random.default_rng(seed))
    assert {id(one) for one in (*learned, *held_out)} == {id(one) for one in episodes}
    assert len(learned) + len(held_out) == len(episodes)
    for part in (learned, held_out):
        assert any(episode.success for episode in part)


def test_too_little_to_learn_from_is_refused() -> None:
    images = np.zeros((20, 1, 16, 16, 3), np.uint8)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="1 of 2 episodes succeeded, and two are needed"):
        split([Labelled(images, True, 3), Labelled(images, False, 3)], 0.2, rng)
    with pytest.raises(ValueError, match="no observation shows no success"):
        split([Labelled(images[:4], True, 3)] * 3, 0.2, rng)
    with pytest.raises(ValueError, match="episode 1 has no view top, its views are side, wrist"):
        labelled(lamp_episodes(1, 0)[0], ("top",), 3)


def test_precision_and_recall_are_counted() -> None:
    found = Confusion(true_positive=6, false_positive=2, false_negative=4, true_negative=10)
    assert (found.precision, found.recall) == (0.75, 0.6)
    nothing = Confusion(true_positive=0, false_positive=0, false_negative=0, true_negative=9)
    assert (nothing.precision, nothing.recall) == (0.0, 0.0)


def test_a_task_chooses_it_and_it_judges_what_lasts(weights, world, monkeypatch, tmp_path) -> None:
    """Its weights lie beside the task's file, wherever the command is started."""
    path = learned_task(weights, more=", hold_steps: 2")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    task = load_task(path)
    judge = make_classifier(task)
    rng = np.random.default_rng(1)

    def verdict(lamp: bool):
        views = {"side": room(rng, 96, lamp=lamp), "wrist": room(rng, 96, lamp=False)}
        return judge(Observation(1, 0.0, views, world.proprio(), ""))

    first = Observation(0, 0.0, {}, world.proprio(), "")
    judge.reset(first)
    said = [verdict(lamp) for lamp in (False, True, False, True, True)]
    assert [one.success for one in said] == [False, False, False, False, True]
    assert "for 1 of 2 steps" in said[1].reason
    assert "not 50%" in said[0].reason
    assert judge.marks(first.views) == judge.heights == {}


def test_weights_that_can_not_be_read_are_refused_with_the_task(weights, tmp_path) -> None:
    path = learned_task(weights)
    whole, told = weights.read_bytes(), weights.with_suffix(".json").read_text()
    refused(learned_task(weights, "other.safetensors"), "other.json: No such file or directory")
    refused(learned_task(weights, "3"), "should be a path")
    path = learned_task(weights)
    weights.write_bytes(whole[:3000])
    refused(path, "lamp.safetensors: not the weights that lamp.json tells of")
    weights.write_bytes(whole)
    for change, message in (
        ({"views": []}, "lamp.json: views: "),
        ({"format": 2}, "lamp.json: format: "),
        ({"sha256": "of another training"}, "not the weights that lamp.json tells of"),
    ):
        weights.with_suffix(".json").write_text(json.dumps({**json.loads(told), **change}))
        refused(path, message)
    weights.with_suffix(".json").write_text("{")
    refused(path, "lamp.json: JSON: ")


def refused(path: Path, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_task(path)
    assert "classifier.parameters.weights" in str(caught.value)


def test_a_robot_without_its_views_is_refused(weights) -> None:
    about = json.loads(weights.with_suffix(".json").read_text())
    about["views"] = ["side", "top"]
    weights.with_suffix(".json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match="trained with the view top, which the robot sim hasn't"):
        require_views(load_task(learned_task(weights)), load_robot("sim"))


def test_what_is_kept_tells_what_was_found(weights, trained) -> None:
    kept = read_about(weights)
    assert (kept.task, kept.views, kept.image_size) == ("lamp", VIEWS, 32)
    assert kept.episodes == {"success": 7, "failure": 3}
    assert kept.trials == measure(trained[0], trained[1], 0.5, 2)[1]


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    return task_file(tmp_path, "  name: human\n  parameters: {}\n")


def test_the_operators_word_can_be_the_classifier(by_hand, world) -> None:
    task = load_task(by_hand)
    judge = make_classifier(task)
    judge.reset(observe(world))
    assert needs_operator(task)
    assert not needs_operator(load_task("cube_pick"))
    verdicts = [judge(observe(world, number)) for number in range(5)]
    assert not any(verdict.success or verdict.value for verdict in verdicts)
    assert verdicts[0].reason == "the operator marks success"


def test_somebody_must_be_there_to_mark(by_hand) -> None:
    task = str(by_hand)
    for model, values in (
        (EvalOptions, {}),
        (EvalOptions, {"operator": "scripted"}),
        (TrainOptions, {}),
        (TrainOptions, {"operator": "gamepad"}),
    ):
        with pytest.raises(ConfigError, match=r"console:=false: .* leaves success to the operator"):
            make_options({"task": task, **values}, model)
    with pytest.raises(ConfigError, match="whom a run in one process hasn't"):
        make_options({"task": task}, LearnOptions)
    make_options({"task": task, "operator": "gamepad", "console": "true"}, TrainOptions)
    make_options({"task": task, "console": "true"}, EvalOptions)
    make_options({"task": task}, SimOptions)
