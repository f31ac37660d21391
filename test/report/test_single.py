# SPDX-License-Identifier: Apache-2.0
"""The page of a run: what it says, that nothing from a run is markup, and that it needs nothing."""

import contextlib
import io
import re

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.report import drawing
from support.pages import Parsed, assert_alone, report
from support.runs import line, make_run, training

SUMMARY = {
    "eval_before": {"successes": 18, "trials": 30},
    "eval_after": {"successes": 27, "trials": 30},
    "wall_seconds": {"robot": 120.0, "learning": 60.0, "waiting": 1.0},
    "stage_seconds": {"collect": 30.0, "rl": 150.0},
}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """(run, what the command printed) of a finished training, in whose report an older one left
    figures."""
    path = make_run(tmp_path_factory.mktemp("training") / "a", training(), summary=SUMMARY)
    (path / "report").mkdir()
    (path / "report" / "edits.png").touch()
    (path / "report" / "episode.webm").touch()
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.setattr(drawing, "PNG_DPI", 72)
        assert cli.main(["report", str(path)]) == 0
    return path, out.getvalue()


def test_the_numbers_of_a_training(reported):
    path, _ = reported
    page = (path / "report.html").read_text()
    parsed = Parsed(page)
    for words in (
        "18/30 success after imitation 60%, 95%: 42% to 75%",
        "27/30 success after RL 90%, 95%: 74% to 97%",
        "1 demonstrations",
        "2.5 min robot time online 1500 steps",
        # Five episodes of 25 were helped in half of their steps.
        "10% online steps by a human",
        "0.80 critic updates an online step",
        "3:01 wall clock",
        "expo-ft train · task cube_pick · expo_ft, paper",
    ):
        assert words in parsed.text
    assert "Stopped" not in parsed.text
    assert_alone(page, parsed, path.parent)
    names = {"curves.png", "learner.png", "wall_clock.png"}
    # Figures that the run no longer has are removed, and nothing else.
    assert {file.name for file in (path / "report").iterdir()} == names | {"episode.webm"}
    linked = {value for name, value in parsed.attributes if name == "href"}
    assert {f"report/{name}" for name in names} <= linked
    assert all((path / link).is_file() for link in linked)


@pytest.mark.parametrize(
    ("kind", "lines", "said"),
    [
        ("train", [], "No episode has been counted yet"),
        ("collect", [line(1, "collect", human_steps=60)], "1 demonstrations"),
        ("eval", [line(1, "eval_after"), line(2, "eval_after", success=False)], "of the policy"),
        ("sim", [line(1, "collect")], "A simulation, which has no end of its own"),
    ],
)
def test_a_run_of_each_kind_says_what_it_lacks(tmp_path, kind, lines, said):
    page, parsed = report(make_run(tmp_path / "a", lines, kind=kind))
    assert said in parsed.text
    assert "No success that counts is recorded" in parsed.text
    assert "metrics hold no number of a learner" in parsed.text
    assert "has not written down what its time was spent on" in parsed.text
    assert_alone(page, parsed, tmp_path)


@pytest.mark.slow
def test_a_run_that_is_not_finished_says_so(tmp_path):
    _, parsed = report(make_run(tmp_path / "a", training()[:9]))
    assert "Stopped before its end: no episode yet" in parsed.text


def test_what_a_run_says_is_text(tmp_path):
    evil = '<script>alert("1")</script><img src=x onerror=alert(2)>'
    lines = [line(1, "rl", cause=evil), line(2, "rl", success=False, cause="a & b < c")]
    path = make_run(tmp_path / "a<b>&", lines, algorithm=evil, preset='"onload="x')
    page, parsed = report(path)
    assert "script" not in parsed.tags
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert evil in parsed.text
    assert "a & b < c" in parsed.text
    assert_alone(page, parsed, tmp_path)


def test_no_place_on_this_machine_is_told(tmp_path):
    path = tmp_path / "a"
    lines = [line(1, "rl", cause=f"incomplete: {path}/episodes/000001.mcap: cut off")]
    make_run(path, lines, demonstrations=str(tmp_path / "somebody" / "dataset"))
    page, parsed = report(path)
    assert "incomplete: episodes/000001.mcap: cut off" in parsed.text
    assert "…/dataset" in parsed.text
    assert_alone(page, parsed, tmp_path)


def test_the_machine_is_the_one_that_the_run_was_on(tmp_path):
    machine = {"cpu": "another one", "cores": 64, "git": ""}
    _, parsed = report(make_run(tmp_path / "a", machine=machine))
    told = "The machine that the run was on, as of its newest start."
    assert f"{told} cores 64 cpu another one" in parsed.text
    _, parsed = report(make_run(tmp_path / "b"))
    assert "The one that this report was made on" in parsed.text
    assert "another one" not in parsed.text


@pytest.mark.slow
def test_a_report_twice_is_the_same(reported):
    path, _ = reported
    first = (path / "report.html").read_text()
    again, _ = report(path)
    ignored = re.compile(r"<td>time</td>\s*<td>[^<]*</td>")
    assert ignored.sub("", first) == ignored.sub("", again)


def test_the_command_prints_the_summary_and_where_the_page_is(reported):
    path, out = reported
    assert "Success after RL: 27/30 = 90%" in out
    assert f"Report: {path / 'report.html'}" in out


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capsys):
    path = make_run(tmp_path / "a", training())
    (path / "report").touch()
    assert cli.main(["report", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "can't be written" in err


def test_it_says_what_the_scenes_were_disturbed_by(tmp_path):
    for name, perturb in (("plain", ""), ("disturbed", "lighting,push")):
        run = make_run(tmp_path / name, [line(1, "eval_after")], kind="eval", perturb=perturb)
        _, parsed = report(run)
        said = "Scenes disturbed by lighting, push" in parsed.text
        assert said is (name == "disturbed")
