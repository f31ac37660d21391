# SPDX-License-Identifier: Apache-2.0
"""Where the browser console is, and the secret that opens it from another machine."""

import errno
import os
import socket

from expo_ft_ros.configuration import ConfigError

TOKEN_VARIABLE = "EXPO_FT_CONSOLE_TOKEN"
"""Holds the console's token: an environment variable, so that no file and no command line does."""

CONSOLE_PORT = 8090
"""Of a run's console."""

ALL_RUNS_PORT = 8088
"""Of the page of all runs."""


def console_token() -> str:
    """The token; "" where none is set."""
    return os.environ.get(TOKEN_VARIABLE, "")


def require_openable_console(host: str, port: int, form: str = "console_{}:={}") -> None:
    """Checks, before anything is started, that the console can be opened, and by nobody from
    outside without a token.

    Args:
        host: That it is to listen on.
        port: And at.
        form: Of the options that say so, with their name and value.

    Raises:
        ConfigError: naming the option or the variable that it goes into.
    """
    # It takes starlette, which no other command needs.
    from expo_ft_ros.monitor.gate import checked_token, is_local

    if not checked_token(console_token()) and not is_local(host):
        raise ConfigError(
            f"{form.format('host', host)}: others would reach the buttons without a token "
            f'(export {TOKEN_VARIABLE}=$(python3 -c "import secrets; '
            'print(secrets.token_urlsafe())"))'
        )
    try:
        address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(address[4][:2], family=address[0]):
            pass
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.EADDRINUSE, errno.EACCES):
            raise ConfigError(
                f"{form.format('port', port)}: {os.strerror(number).lower()} (give another one "
                "above 1023)"
            ) from None
        why = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{form.format('host', host)}: can't be listened on: {why} (take 127.0.0.1, or an "
            "address of this machine)"
        ) from None


def console_address(host: str, port: int) -> str:
    """Where it is, in words for a terminal, which doesn't show the token."""
    from expo_ft_ros.monitor.gate import address

    return address(host, port) + (f"?token=... (of {TOKEN_VARIABLE})" if console_token() else "")
