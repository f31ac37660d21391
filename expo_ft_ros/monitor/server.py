# SPDX-License-Identifier: Apache-2.0
"""A viser server that only the gate can find."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import secrets
import socket
from pathlib import Path

import viser

from expo_ft_ros.configuration import ConfigError


class HiddenServer(viser.ViserServer):
    """Offers no public tunnel, prints nothing, and listens on an address of this machine that
    nobody can guess: viser lets in any page that a browser has open, and such a page can try every
    port of 127.0.0.1, but not of every address that begins with 127."""

    def __init__(self, title: str) -> None:
        """title: of its main panel. Raises ConfigError where there is but one local address."""
        self.address = str(ipaddress.IPv4Address(0x7F000000 + 2 + secrets.randbelow(0xFFFF00)))
        try:
            # viser tries for ever.
            with socket.create_server((self.address, 0)):
                pass
        except OSError as error:
            raise ConfigError(
                f"console: {self.address}: can't be bound: {error.strerror} (the console needs a "
                "Linux loopback device)"
            ) from error
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(host=self.address, port=0, label=title, verbose=False)

    @property
    def url(self) -> str:
        """Of its websocket."""
        return f"ws://{self.address}:{self.get_port()}"

    def request_share_url(self, verbose: bool = True) -> None:
        """Refused: any browser that is connected may ask for it."""

    def stop(self) -> None:
        """Ends it."""
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


def page() -> bytes:
    """The page that speaks to a viser server, in one piece."""
    return (Path(viser.__file__).parent / "client" / "build" / "index.html").read_bytes()
