"""Arguments of the commands that take flags, with errors as everywhere else."""

import argparse
from typing import NoReturn

from expo_ft_ros.configuration import ConfigError


class Parser(argparse.ArgumentParser):
    """Raises ConfigError for wrong arguments, naming the command and its usage."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, in one line."""
        command = self.prog.removeprefix("expo-ft ")
        raise ConfigError(f"{command}: {message} ({' '.join(self.format_usage().split())})")
