# SPDX-License-Identifier: Apache-2.0
"""What the operator sees of a run."""

import io
import json
import math
import os

import pytest
from rich.console import Console

from expo_ft_ros.experiment.progress import (
    LINE_PERIOD,
    Display,
    StatusLines,
    format_duration,
    format_line,
    format_summary,
    read_status,
    status_rows,
    time_left,
    wilson,
)

STATUS = {
    "stage": "rl",
    "episode": 31,
    "stage_episodes": 12,
    "stage_episodes_total": 0,
    "env_steps": 812,
    "env_steps_total": 3000,
    "success_rate": 0.75,
    "intervention_rate": 0.12,
    "control_hz": 21.4,
    "update_ratio": 2.5,
    "stage_progress": 0.27,
    "seconds_left": 754.0,
    "note": "",
}


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def write(folder, age=None, **changes):
    path = folder / "status.json"
    path.write_text(json.dumps({**STATUS, **changes}))
    if age is not None:
        os.utime(path, ns=(age, age))


def plain(folder, clock):
    stream = io.StringIO()
    return Display(folder, "expo-ft train", Console(file=stream, width=200), clock), stream


def test_wilson_against_known_values():
    assert wilson(30, 30) == pytest.approx((0.8865, 1.0), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(20, 30) == pytest.approx((0.4878, 0.8077), abs=1e-4)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (5, 4), (-1, 3)])
def test_wilson_refuses_what_is_no_rate(successes, trials):
    with pytest.raises(ValueError, match="no interval"):
        wilson(successes, trials)


def test_durations():
    assert format_duration(59.6) == "1:00"
    assert format_duration(3723) == "1:02:03"
    assert format_duration(math.nan) == "-"
    assert format_duration(None) == "-"


def test_a_line_has_all_that_matters():
    line = format_line(STATUS)
    for part in ("812/3000", "75%", "12%", "21.4 Hz", "2.5", "12:34"):
        assert part in line


def test_a_line_stands_missing_and_unknown_values():
    assert format_line({}) == "starting the nodes"
    assert "nan" not in format_line({**STATUS, "success_rate": math.nan, "seconds_left": math.nan})


def test_plain_lines_at_changes_of_stage_and_every_few_seconds(tmp_path):
    clock = Clock()
    display, stream = plain(tmp_path, clock)
    with display:
        write(tmp_path, stage="collect")
        display.refresh()
        clock.now += LINE_PERIOD / 2
        display.refresh()
        clock.now += LINE_PERIOD / 2
        display.refresh()
        write(tmp_path, stage="rl")
        display.refresh()
    lines = stream.getvalue().splitlines()
    assert [line.split("] ")[1].split(",")[0] for line in lines] == [
        "starting the nodes",
        "collecting demonstrations",
        "collecting demonstrations",
        "reinforcement learning online",
    ]
    assert "\x1b" not in stream.getvalue()


def test_the_status_of_an_earlier_start_is_not_shown(tmp_path):
    write(tmp_path, age=1, stage="rl")
    display, stream = plain(tmp_path, Clock())
    with display:
        pass
    assert "starting the nodes" in stream.getvalue()


def test_a_terminal_gets_a_panel(tmp_path):
    write(tmp_path, age=1)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with Display(tmp_path, "expo-ft train cube_pick", console, Clock()) as display:
        write(tmp_path, age=2)
        display.refresh()
    text = stream.getvalue()
    for part in ("expo-ft train cube_pick", "reinforcement learning online", "812/3000"):
        assert part in text


def test_a_half_written_status_is_as_good_as_none(tmp_path):
    (tmp_path / "status.json").write_text('{"stage": "r')
    assert read_status(tmp_path) is None


def test_the_summary():
    text = format_summary(
        {
            "eval_before": {"successes": 20, "trials": 30},
            "eval_after": {"successes": 30, "trials": 30},
            "demonstrations": 10,
            "env_steps": 3000,
            "robot_seconds": 900.0,
            "wall_seconds": {"robot": 60.0, "learning": 600.0},
        }
    )
    assert "Demonstrations: 10" in text
    assert "after imitation: 20/30 = 67% (95% interval 49% to 81%)" in text
    assert "after RL: 30/30 = 100% (95% interval 89% to 100%)" in text
    assert "Online: 3000 steps = 15.0 min of robot time" in text
    assert "Wall clock: 11:00 (robot 1:00, learning 10:00)" in text


def test_the_summary_of_an_evaluation():
    summary = {"kind": "eval", "eval_before": None, "eval_after": {"successes": 1, "trials": 2}}
    assert format_summary(summary).startswith("Success of the policy: 1/2 = 50%")


def test_the_summary_says_what_the_scenes_were_disturbed_by():
    after = {"successes": 1, "trials": 2}
    text = format_summary({"kind": "eval", "perturb": "lighting,push", "eval_after": after})
    assert text.startswith("Scenes disturbed by: lighting,push\nSuccess of the policy: 1/2")


def test_a_summary_without_evaluations():
    assert format_summary({"eval_before": {"successes": 0, "trials": 0}}) == ""


@pytest.mark.parametrize(("steps", "shown"), [(499, "499/500"), (566, "566 (500 asked)")])
def test_steps_beyond_those_asked_for_are_told_as_that(steps, shown):
    status = {"stage": "done", "env_steps": steps, "env_steps_total": 500}
    assert dict(status_rows(status))["online steps"] == shown


def test_a_line_for_each_stage_and_note_and_every_so_often():
    lines = StatusLines(10.0)
    waits = {"stage": "", "note": "waiting for the gamepad: /joy needs one that publishes it"}
    assert "waiting for the gamepad" in lines.line(waits, 0.0)
    assert lines.line(waits, 5.0) == ""
    assert lines.line(waits, 10.0)
    imitates = {"stage": "imitation", "note": "", "stage_progress": 0.25}
    assert "imitation of the demonstrations" in lines.line(imitates, 10.5)
    assert lines.line({**imitates, "stage_progress": 0.5}, 11.0) == ""
    assert "paused" in lines.line({**imitates, "note": "paused"}, 11.5)


def test_a_note_that_counts_is_one_note():
    lines = StatusLines(10.0)
    assert lines.line({"stage": "rl", "note": "learning 10%"}, 0.0)
    assert lines.line({"stage": "rl", "note": "learning 11%"}, 0.5) == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"stage": "collect", "seconds_left": math.nan}, "not known yet"),
        ({"stage": "rl", "seconds_left": None}, "not known yet"),
        ({"stage": "rl", "seconds_left": 40.0}, "less than a minute"),
        ({"stage": "rl", "seconds_left": 755.0}, "about 13 min"),
        ({"stage": "eval_after", "seconds_left": 5390.0}, "about 1 h 30 min"),
        ({"stage": "done", "seconds_left": 0.0}, "none, the run is done"),
    ],
)
def test_the_time_left_in_words(status, words):
    assert time_left(status) == words


def test_a_run_that_learns_nothing_and_help_that_nobody_gave_are_not_told():
    """As of a demo."""
    status = {"stage": "rl", "learns": False, "stage_episodes": 3, "success_rate": 1.0}
    line = format_line(status | {"intervention_rate": 0.0})
    assert line.startswith("the policy at work, nothing learns, counted episodes 3, ")
    assert "with help" not in line
    counted = {"env_steps": 400, "env_steps_total": 36000, "seconds_left": 60.0}
    rows = dict(status_rows(status | counted | {"stage_progress": 0.1}))
    assert not {"online steps", "stage done", "time left"} & set(rows)
    assert "until you end it" in time_left(status | counted)
    helped = format_line({**status, "learns": True, "intervention_rate": 0.2})
    assert helped.startswith("reinforcement learning online, ")
    assert "success of last 20 100% (with help), steps by a human 20%" in helped
