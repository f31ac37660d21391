"""Where the browser console is, and the secret that opens it from another machine."""

import os

from expo_ft_ros.configuration import ConfigError

TOKEN_VARIABLE = "EXPO_FT_CONSOLE_TOKEN"
"""Holds the console's token: an environment variable, so that no file and no command line does."""

CONSOLE_PORT = 8090


def console_token() -> str:
    """The token; "" where none is set."""
    return os.environ.get(TOKEN_VARIABLE, "")


def require_safe_console(host: str) -> None:
    """Checks that nobody from outside opens the console without a token.

    Raises:
        ConfigError: naming the variable that it goes into.
    """
    # It takes websockets, which no other command needs.
    from expo_ft_ros.monitor.gate import is_local

    if not is_local(host) and not console_token():
        raise ConfigError(
            f"console_host:={host}: others would reach the buttons without a token "
            f'(export {TOKEN_VARIABLE}=$(python3 -c "import secrets; '
            'print(secrets.token_urlsafe())"))'
        )


def console_address(host: str, port: int) -> str:
    """Where it is, in words for a terminal, which doesn't show the token."""
    token = f"/?token=... (of {TOKEN_VARIABLE})" if console_token() else ""
    return f"http://{host}:{port}{token}"
