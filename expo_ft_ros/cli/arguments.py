# SPDX-License-Identifier: Apache-2.0
"""What the commands' files share: help, and flags with errors as everywhere else."""

import argparse
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from expo_ft_ros.configuration import ConfigError, nearest

if TYPE_CHECKING:
    from expo_ft_ros.experiment.options import TaskOptions


_NAMES, _WIDEST = 22, 110


def wants_help(words: Sequence[str]) -> bool:
    """Whether help was asked for."""
    return any(word in ("-h", "--help") for word in words)


def print_options(command: str, model: "type[TaskOptions]") -> int:
    """Prints the help of a command that takes `name:=value`; returns the exit code."""
    from expo_ft_ros.experiment.arguments import describe

    print(f"usage: expo-ft {command} [name:=value ...]\n")
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    for name, default, text in describe(model):
        begin = f"  {f'{name}:={default}':<{_NAMES}}  "
        print(
            textwrap.fill(text, width, initial_indent=begin, subsequent_indent=" " * (_NAMES + 4))
        )
    return 0


class Parser(argparse.ArgumentParser):
    """Flags and words of a command; an error is a ConfigError that names command and usage."""

    def __init__(self, prog: str, description: str) -> None:
        """A parser that takes flags as they are written in full."""
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """What the words say.

        Raises:
            ConfigError: for an unknown flag, with the nearest known one, and for name:=value.
        """
        actions = self._option_string_actions
        flags = [flag for flag in actions if flag.startswith("--")]
        for word in words:
            name, separator, value = word.partition(":=")
            if separator and name.isidentifier():
                flag = f"--{name}" if f"--{name}" in flags else ""
                form = flag if flag and actions[flag].nargs == 0 else f"{flag} {value}".strip()
                self.error(f"{word!r} is of the commands that start a graph (write {form})")
        found, unknown = self.parse_known_args(list(words))
        if unknown:
            flag = unknown[0].partition("=")[0]
            hint = nearest(flag, flags) if flag.startswith("-") else "too much"
            self.error(f"unknown argument {unknown[0]!r} ({hint})")
        return found

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, in one line."""
        command = self.prog.removeprefix("expo-ft ")
        raise ConfigError(f"{command}: {message} ({' '.join(self.format_usage().split())})")
