# SPDX-License-Identifier: Apache-2.0
"""One form of options in every command, and help that fits the terminal."""

from __future__ import annotations

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.cli.arguments import Parser, fitted
from expo_ft_ros.configuration import ConfigError
from support.runs import line, make_run


@pytest.fixture
def parser() -> Parser:
    made = Parser("expo-ft paint", "Paints.")
    made.add_argument("wall", help="which one")
    made.add_argument("coats", nargs="*", help="of which colour")
    made.add_argument("--width", type=int, default=3, help="of the brush")
    made.add_argument("--only", choices=("walls", "doors"), help="what")
    made.add_argument("--twice", action="store_true", help="again when it is dry")
    return made


def test_options_stand_anywhere_among_the_words(parser):
    for words in (
        ["width:=5", "twice:=true", "north", "red", "blue"],
        ["north", "red", "width:=5", "blue", "twice:=true"],
    ):
        found = parser.parse(words)
        assert vars(found) == {
            "wall": "north", "coats": ["red", "blue"], "width": 5, "only": None, "twice": True,
        }  # fmt: skip


def test_an_empty_value_is_the_default_and_false_is_one(parser):
    found = parser.parse(["north", "width:=", "twice:=false"])
    assert (found.width, found.twice, found.coats) == (3, False, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["north", "--width", "5"], "'--width' is no option (write width:=5)"),
        (["north", "--width=5"], "'--width=5' is no option (write width:=5)"),
        (["north", "--width"], "(write width:=<value>)"),
        (["--twice", "north"], "'--twice' is no option (write twice:=true)"),
        (["north", "--wdith", "5"], "did you mean width?"),
        (["north", "wdith:=5"], "did you mean width?"),
        (["north", "width:=5", "width:=6"], "width: given twice, '5' and '6'"),
        (["north", "width:=wide"], "width: invalid int value: 'wide'"),
        (["north", "only:=roof"], "only: invalid choice: 'roof'"),
        (["north", "twice:=yes"], "twice:=yes: is neither true nor false"),
        ([], "wall"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy_and_the_usage(parser, words, message):
    with pytest.raises(ConfigError) as raised:
        parser.parse(words)
    assert message in str(raised.value)
    assert str(raised.value).startswith("paint: ")
    assert "usage: expo-ft paint <wall> [coats ...] [name:=value ...]" in str(raised.value)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--steps", "300"],
        ["report", "--compare", "a", "b"],
        ["export", "out", "--only", "successes"],
        ["episodes", "play", "1", "--output", "a.webm"],
        ["episodes", "browse", "--port", "1234"],
        ["episodes", "list", "--run", "a"],
        ["episodes", "discard", "run:=a"],
        ["runs", "list", "--all"],
        ["bench", "core", "--turns", "3"],
        ["bench", "choice", "--jobs", "3"],
    ],
    ids=" ".join,
)
def test_another_form_is_refused_by_every_command(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    make_run(tmp_path / "a", [line(1, "rl")])
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert ":=" in err or "takes no options" in err


def test_a_value_that_is_written_as_an_option_is_to_be_written_alone(capsys):
    assert cli.main(["episodes", "list", "run:=2026-12-01_pick"]) == 2
    assert "write '2026-12-01_pick' alone" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [50, 80, 200])
@pytest.mark.parametrize(
    "words", [[], *([name] for name in cli.COMMANDS), ["episodes", "play"]], ids=" ".join
)
def test_help_is_as_wide_as_the_terminal(words, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main([*words, "--help"]) == 0
    shown = capsys.readouterr().out.splitlines()
    # A picture of the axes, a name and a path are not broken.
    wide = [text for text in shown if len(text) > columns and len(text.split()) > 2]
    assert not wide


def test_what_is_wrapped_goes_on_below_its_column(monkeypatch):
    monkeypatch.setenv("COLUMNS", "44")
    text = fitted("  name    one two three four five six seven eight\nplain")
    first, second, plain = text.split("\n")
    assert first == "  name    one two three four five six seven"
    assert second == " " * len("  name    ") + "eight"
    assert plain == "plain"
