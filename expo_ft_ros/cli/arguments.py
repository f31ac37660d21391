# SPDX-License-Identifier: Apache-2.0
"""What the commands' files share: help that fits the terminal, and one form of options.

An option is written name:=value in every command, as in ros2 launch; what else a command needs (a
run, an episode's number) are words. Another form is refused with the right one.
"""

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

from expo_ft_ros.configuration import ConfigError, nearest

if TYPE_CHECKING:
    from expo_ft_ros.experiment.options import TaskOptions


_NAMES, _WIDEST, _NARROWEST = 22, 110, 40
_LEAST = 16  # width of a second column
_TRUTHS = {"true": True, "false": False}
# An indented text, its first column, and where the second one begins.
_COLUMNS = re.compile(r" *\S.*?  +(?=\S)| +")


def wants_help(words: Sequence[str]) -> bool:
    """Whether help was asked for."""
    return any(word in ("-h", "--help") for word in words)


def fitted(text: str) -> str:
    """A text whose lines are as wide as the terminal at most; what is wrapped goes on below its
    column."""
    width = max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))
    return "\n".join(_fitted_line(line, width) for line in text.split("\n"))


def _fitted_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    found = _COLUMNS.match(line)
    begin = found[0] if found and width - len(found[0]) >= _LEAST else ""
    return textwrap.fill(
        line[len(begin) :],
        width,
        initial_indent=begin,
        subsequent_indent=" " * (len(begin) or 4),
        break_on_hyphens=False,
        break_long_words=False,
    )


def option_lines(rows: Iterable[tuple[str, str, str]]) -> str:
    """A line for each option, of (name, default as typed, description); ends with a newline."""
    lines = []
    for name, default, text in rows:
        begin = f"  {f'{name}:={default}':<{_NAMES}}  "
        lines.append(begin + " ".join(text.split()) + "\n")
    return "".join(lines)


def print_options(command: str, model: "type[TaskOptions]") -> int:
    """Prints the help of a command that takes `name:=value`; returns the exit code."""
    from expo_ft_ros.experiment.arguments import describe

    usage = f"usage: expo-ft {command} [name:=value ...]\n\n"
    print(fitted(usage + option_lines(describe(model))), end="")
    return 0


def plain_words(command: str, words: Sequence[str]) -> list[str]:
    """The words of a command that has no options.

    Raises:
        ConfigError: for one that is written as an option.
    """
    for word in words:
        if word.startswith("--") or _is_option(word):
            value = word.partition(":=")[2]
            instead = f"write {value!r} alone" if value else "leave it out"
            raise ConfigError(f"{command} takes no options, got {word!r} ({instead})")
    return list(words)


def _is_option(word: str) -> bool:
    name, separator, _ = word.partition(":=")
    return bool(separator) and name.isidentifier()


class Parser(argparse.ArgumentParser):
    """Words and options of a command; an error is a ConfigError that names command and usage.

    An argument that is added as "--name" is typed name:=value, and one of `store_true` name:=true.
    """

    def __init__(self, prog: str, description: str) -> None:
        """A parser without arguments but for --help."""
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """What the words say.

        Raises:
            ConfigError: for an unknown option, with the nearest known one, for one that is given
                twice, of another form or with a wrong value, and for a word too much.
        """
        plain: list[str] = []
        given: dict[str, str] = {}
        for place, word in enumerate(words):
            name, _, value = word.partition(":=")
            if word.startswith("--"):
                self._refuse_form(word, words[place + 1 :])
            elif not _is_option(word):
                plain.append(word)
            elif name not in self._options():
                self.error(f"unknown option {name!r} ({nearest(name, self._options())})")
            elif name in given:
                self.error(f"{name}: given twice, {given[name]!r} and {value!r} (keep one)")
            else:
                given[name] = value
        flags = [flag for name, value in given.items() if value for flag in self._flag(name, value)]
        found, unknown = self.parse_known_args([*flags, *(["--", *plain] if plain else [])])
        if unknown:
            self.error(f"unknown argument {unknown[-1]!r} (too much)")
        return found

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, in one line."""
        command = self.prog.removeprefix("expo-ft ")
        told = re.sub(r"^argument --(\w+)", r"\1", message)
        raise ConfigError(f"{command}: {told} ({' '.join(self.format_usage().split())})")

    def format_usage(self) -> str:
        """The words in their order, then the options."""
        shown: dict[object, str] = {None: "<{}>", "?": "[{}]", "*": "[{} ...]"}
        words = [shown[word.nargs].format(word.metavar or word.dest) for word in self._words()]
        options = ["[name:=value ...]"] if self._options() else []
        return " ".join(["usage:", self.prog, *words, *options]) + "\n"

    def format_help(self) -> str:
        """Usage, what the command does, and a line for each word and option."""
        words = "".join(
            f"  {word.metavar or word.dest!s:<{_NAMES}}  {word.help}\n" for word in self._words()
        )
        options = option_lines(
            (name, _default(action), action.help or "") for name, action in self._options().items()
        )
        parts = (self.format_usage(), f"{self.description}\n", words, options)
        return fitted("\n".join(filter(None, parts)))

    def _options(self) -> dict[str, argparse.Action]:
        """By name, without --help."""
        return {
            action.dest: action
            for action in self._actions
            if action.option_strings and action.dest != "help"
        }

    def _words(self) -> list[argparse.Action]:
        return [action for action in self._actions if not action.option_strings]

    def _flag(self, name: str, value: str) -> list[str]:
        """As argparse has it."""
        if self._options()[name].nargs != 0:
            return [f"--{name}={value}"]
        if value not in _TRUTHS:
            self.error(f"{name}:={value}: is neither true nor false")
        return [f"--{name}"] if _TRUTHS[value] else []

    def _refuse_form(self, word: str, after: Sequence[str]) -> NoReturn:
        """Names the form that it should have."""
        name, separator, value = word.lstrip("-").partition("=")
        option = self._options().get(name)
        if option is None:
            self.error(
                f"unknown option {word!r} ({nearest(name, self._options())}; options are written "
                "name:=value)"
            )
        if option.nargs == 0:
            value = value or "true"
        elif not separator and after and not after[0].startswith("-"):
            value = after[0]
        self.error(f"{word!r} is no option (write {name}:={value or '<value>'})")


def _default(action: argparse.Action) -> str:
    if action.default is None:
        return ""
    return str(action.default).lower() if isinstance(action.default, bool) else str(action.default)
