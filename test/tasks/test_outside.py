# SPDX-License-Identifier: Apache-2.0
"""A task from outside the package: a folder and a file, by path or environment variable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from expo_ft_ros.cli import bench_learn
from expo_ft_ros.cli.main import main
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.arguments import make_options
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.options import RunOptions, TrainOptions
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.recording.episode_store import load_episodes
from expo_ft_ros.tasks import TASKS, find_part, known_tasks, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from support.choices import only
from support.toy_task import NAME, YAML, write_toy_task


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_toy_task(tmp_path)


def test_it_is_found_by_its_file_its_folder_and_its_name(file, monkeypatch):
    assert load_task(file).name == load_task(file.parent).name == NAME
    assert NAME not in known_tasks()
    monkeypatch.setenv(TASKS.variable, str(file.parent.parent))
    assert NAME in known_tasks()
    assert load_task(NAME).file == file
    assert TASKS.reference(NAME) == TASKS.reference(file.parent) == str(file)
    assert TASKS.reference("cube_pick") == "cube_pick"


def test_the_folder_may_lie_beside_the_file_and_its_path_be_relative(file, monkeypatch):
    beside = file.rename(file.parents[1] / file.name)
    monkeypatch.chdir(beside.parent)
    for given in (beside, f"./{beside.name}", beside.name, f"./{NAME}"):
        task = load_task(given)
        assert task.file == beside
        assert find_part(task, "scene") == file.parent / "scene.py"
    assert make_options({"task": f"./{NAME}"}, TrainOptions).task == str(beside)


def test_two_tasks_of_one_name_each_have_their_own_code(tmp_path):
    files = []
    for folder, low in ((tmp_path / "a", 0.1), (tmp_path / "b", 0.2)):
        folder.mkdir()
        files.append(write_toy_task(folder))
        text = (folder / NAME / "reward.py").read_text()
        (folder / NAME / "reward.py").write_text(text.replace('{"low": self', f'{{"{low}": self'))
    heights = [dict(make_classifier(load_task(path)).heights) for path in files]
    assert heights == [{"0.1": 0.12}, {"0.2": 0.12}]


def test_a_demonstration_succeeds_and_a_correction_brings_a_lost_policy_there(file):
    cell = InProcessRollout(load_task(file), image_size=32, seed=0, rate=1.0, share=1.0)
    shown = cell.play(Plan("collect", 1, 3, 80, "none", "demonstrate", False), None)
    assert shown.ended.success
    assert shown.truth
    assert shown.episode is not None
    assert set(shown.episode.source[1:]) == {Source.HUMAN}

    def stand(observation):
        actions = np.zeros((16, 7), np.float32)
        return actions, only(observation.number, actions)

    helped = cell.play(Plan("rl", 2, 4, 80, "sample", "correct", True), stand)
    cell.close()
    assert helped.episode is not None
    assert {Source.POLICY, Source.HUMAN} <= set(helped.episode.source)


def test_on_a_robot_its_reward_is_enough(tmp_path):
    file = write_toy_task(tmp_path, simulated=False)
    options = {
        "robot": "external",
        "operator": "spacemouse",
        "realtime": "true",
        "scene_reset": "operator",
    }
    assert make_options({"task": str(file), **options}, TrainOptions).task_name == NAME
    folder = file.parent
    for model, given, part in (
        (TrainOptions, {}, "scene"),
        (RunOptions, {"operator": "none"}, "scene"),
        (LearnOptions, {}, "scene"),
    ):
        with pytest.raises(ConfigError) as caught:
            make_options({"task": str(file), **given}, model)
        message = str(caught.value)
        assert message.startswith(f"{file}: {part}: '{NAME}' has none (write {folder}/{part}.py, ")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("reward.py", "import nothing_of_this_name\n", ":1: ModuleNotFoundError: No module"),
        ("reward.py", "\nx = 1 +\n", ":2: SyntaxError"),
        ("reward.py", "\n\nraise RuntimeError('no\\nluck')\n", ":3: RuntimeError: no luck"),
        ("reward.py", "Parameters = 3\n", ": Parameters is no Config"),
        ("reward.py", "", ": no Parameters in it"),
        ("touch_mat.yaml", YAML.replace("rs: {", "rs: {lo: 1, "), ":4: classifier.parameters.lo: "),
        ("touch_mat.yaml", YAML.replace("low: 12e-2", "low: x"), "low: 'x': input should be a"),
        ("touch_mat.yaml", YAML.replace("par", "name: nowhere\n  par"), "'nowhere' has none"),
        ("touch_mat.yaml", YAML.replace("par", "name: 3\n  par"), ":4: classifier.name: 3: "),
        ("touch_mat.yaml", f"{YAML}scene: ../x\n", ":13: scene: '../x': string should"),
        ("touch_mat.yaml", "name: other\n", ":1: "),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line(file, name, text, says):
    (file.parent / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_task(file)
    message = str(caught.value)
    assert says in message
    assert message.startswith(str(file))
    assert message.isprintable()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("./nowhere.yaml", "nowhere.yaml: file: No such file"),
        ("empty/", "empty: task: which file? It has no .yaml"),
        ("nothing", "no task 'nothing'"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(tmp_path, monkeypatch, given, says):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        make_options({"task": given}, TrainOptions)
    assert says in str(caught.value)


def test_a_name_that_is_taken_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cube_pick.yaml").write_text("")
    monkeypatch.setenv(TASKS.variable, str(tmp_path))
    with pytest.raises(ConfigError, match=r"there is one of this name in .*\(rename one\)"):
        known_tasks()


@pytest.mark.slow
def test_it_is_learned_in_one_process(file, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_learn, "results_folder", lambda: tmp_path)
    tiny = "imitation.steps=3,image_size=32,warmup_episodes=0,warmup_updates=0"
    words = [f"task:={file.parent}", "demos:=1", "steps:=10", "eval_trials:=1", f"change:={tiny}"]
    assert bench_learn.main([*words, "threads:=1"]) == 0
    (result,) = tmp_path.glob(f"learn_{NAME}_*.json")
    assert json.loads(result.read_text())["task"]["classifier"]["parameters"]["low"] == 0.12


@pytest.mark.slow
@pytest.mark.process
def test_it_is_collected_over_the_graph_resumed_and_reported(file, graph, tmp_path):
    """In the first run it is named by the environment, which later commands don't have."""
    run = tmp_path / "run"
    environment = {**ros_environment(tmp_path), "ROS_DOMAIN_ID": str(graph.domain)}

    def expo_ft(*words: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "expo_ft_ros.cli", *words],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=tmp_path,
            env={**environment, **more},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    named = {TASKS.variable: str(file.parent.parent)}
    expo_ft("collect", f"task:={NAME}", "demos:=1", f"run_dir:={run}", **named)
    expo_ft("collect", f"resume:={run}", "demos:=2")
    episodes = list(load_episodes(run / "episodes"))
    assert sum(episode.outcome.success for episode in episodes) == 2
    assert {episode.instruction for episode in episodes} == {"touch the mat"}
    assert main(["report", str(run)]) == 0
    assert f"task {NAME} ·" in (run / "report.html").read_text()
