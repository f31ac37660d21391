# SPDX-License-Identifier: Apache-2.0
"""A whole run without ROS, as small as it goes, and what its result file says."""

import json

import pytest

from expo_ft_ros.cli import bench_learn
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.learn_setup import config_hash

TINY = (
    "imitation.steps=3,image_size=32,warmup_episodes=0,warmup_updates=0,critic_steps_per_update=2,"
    "edits=true,threads=1,baseline.critic_steps_per_update=1,baseline.updates_per_step=0.1,"
    "vla.width=48,vla.depth=2,vla.channels=8,vla.euler_steps=3,vla_steps_per_update=2,batch=16,"
    "imitation.batch=8,critic.hidden=48,critic.image_embedding=32,critic.state_embedding=16,"
    "task.max_steps=60"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_learn, "results_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_run_leaves_everything_that_a_table_needs(folder, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder / "runs"))
    words = ["demos:=1", "steps:=20", "eval_trials:=1", f"change:={TINY}", "label:=tiny"]
    words += ["alone:=true", "checkpoints:=1"]
    assert bench_learn.main(words) == 0
    (path,) = folder.glob("learn_cube_pick_expo_ft_tiny_seed0_*.json")
    result = json.loads(path.read_text())
    assert result["config"]["image_size"] == 32
    assert len(result["config_hash"]) == 12
    (run,) = result["runs"]
    assert [run[f"eval_{when}"]["trials"] for when in ("before", "after", "alone")] == [1, 1, 1]
    assert run["env_steps"] >= 20
    stages = [line["stage"] for line in run["log"]]
    assert stages[0] == "collect"
    assert stages.index("imitation") < stages.index("eval_before") < stages.index("rl")
    online = [line for line in run["log"] if line["stage"] == "rl"]
    assert online[0]["metrics"]["critic/loss"] >= 0
    assert {"critic/target_max", "actor/alpha", "cache/age"} <= set(online[0]["metrics"])
    assert run["critic_updates"] == 2 * 3 * len(online)
    kept = folder / "runs" / run["kept"]
    learned = [line for line in run["log"] if line["stage"] in ("collect", "rl")]
    assert len(list((kept / "episodes").iterdir())) == len(learned)
    steps = [line["env_steps"] for line in online]
    names = [path.name.split("_")[0] for path in (kept / "checkpoints").iterdir()]
    assert sorted(names) == sorted({f"step{count:06d}" for count in (steps[0], steps[-1])})


@pytest.mark.slow
def test_a_run_that_diverged_leaves_its_log_and_its_cause(folder, capsys):
    words = ["demos:=1", "steps:=20", "eval_trials:=1", f"change:={TINY},learning_rate=1e30"]
    assert bench_learn.main(words) == 1
    (path,) = folder.glob("learn_*.json")
    (run,) = json.loads(path.read_text())["runs"]
    assert "not finite" in run["failed"]
    assert run["failed"] in capsys.readouterr().out
    assert run["log"][0]["stage"] == "collect"


@pytest.mark.slow
def test_runs_may_share_what_imitation_made(folder):
    words = ["demos:=1", "steps:=1", "eval_trials:=1", f"change:={TINY}", "label:=tiny"]
    words += [f"imitated:={folder / 'kept'}"]
    assert bench_learn.main(words) == 0
    (kept,) = (folder / "kept").iterdir()
    made = kept.stat().st_mtime_ns
    words[3] += ",task.execute_steps=4"
    assert bench_learn.main([*words, "algorithm:=hil_serl"]) == 0
    assert [path.stat().st_mtime_ns for path in (folder / "kept").iterdir()] == [made]
    for path in folder.glob("learn_*.json"):
        run = json.loads(path.read_text())["runs"][0]
        *on_its_way, done = [line for line in run["log"] if line["stage"] == "imitation"]
        made_here = "expo_ft" in path.name
        assert ("vla/loss" in done) == bool(on_its_way) == made_here
        assert all(0 < line["share"] < 1 for line in on_its_way)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["change:=edits"], "'edits' is not field=value"),
        (["change:=edits=maybe"], "edits"),
        (["change:=edit.alfa=1"], "alfa"),
        (["change:=task.execute_step=4"], "did you mean execute_steps"),
        (["size:=huge"], "size:=huge: no size 'huge' "),
    ],
)
def test_what_cannot_be_changed_is_named_before_anything_runs(folder, words, message):
    with pytest.raises(ConfigError, match=message):
        bench_learn.main(words)
    assert not list(folder.iterdir())


def test_the_hash_knows_what_differs():
    from expo_ft_ros.rl.config import load_preset
    from expo_ft_ros.tasks import load_task

    task = load_task("cube_pick")

    def of(preset: str = "recommended", **options) -> str:
        changes = {"threads": str(options.get("threads", 1))}
        config = load_preset(preset, changes=changes)
        return config_hash(LearnOptions(**options), config, task)

    one = of()
    assert one == of(seed=3, seeds=2, threads=2, label="again")
    others = [of("paper"), of(algorithm="sft"), of(operator_share=0.0), of(steps=10)]
    assert len({one, *others}) == 5
