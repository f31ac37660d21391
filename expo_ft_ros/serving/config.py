# SPDX-License-Identifier: Apache-2.0
"""How a policy server names what it is sent, and how long it may take: config/policy_servers/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from expo_ft_ros.configuration import Config, ConfigError, load_yaml, nearest
from expo_ft_ros.named_files import NamedFiles
from expo_ft_ros.robots import ViewConfig
from expo_ft_ros.robots.config import Role

SERVERS = NamedFiles(
    kind="policy server", folder="policy_servers", variable="EXPO_FT_POLICY_SERVERS"
)

DEFAULT_KEYS = "openpi"
"""Whose keys are spoken where nothing else is said."""

LONGEST_ANSWER = 1.5
"""In real time [s]: a node whose callback takes two seconds counts as hanging."""

Key = Annotated[str, Field(min_length=1, max_length=200)]
StatePart = Literal["vector", "joints", "position", "quaternion", "gripper_width", "gripper_closed"]
"""vector: (10,) as policies of this project see it (`Proprio.vector`); joints: (n,) [rad];
position: (3,) of the tool, base frame [m]; quaternion: (4,) x, y, z, w of the tool; gripper_width:
(1,) [m]; gripper_closed: (1,) 0 fully open, 1 closed."""


class PolicyServerConfig(Config):
    """One kind of policy server: the keys of an observation, the size of its images, time-outs."""

    images: dict[str, Key] = Field(
        min_length=1,
        description="a view's name, or its role in the robot's file -> the key of its image, "
        "(h, w, 3) uint8 RGB; a view that isn't named is not sent",
    )
    state: dict[Key, tuple[StatePart, ...]] = Field(
        description="key -> what of the robot's state is there, float32, one after the other: "
        f"{', '.join(get_args(StatePart))}"
    )
    instruction: Key = Field("prompt", description="key of the instruction's text")
    steps_left: Key | None = Field(
        None,
        description="key of the steps until the episode times out; sent only to a server whose "
        "metadata names it",
    )
    image_size: int | None = Field(
        224,
        ge=16,
        le=1024,
        description="side of the images that are sent [px]; null: as the camera node makes them, "
        "which are square",
    )
    timeout: float = Field(
        1.0,
        gt=0,
        le=600,
        description="an answer that takes longer is none, and the server counts as lost [s]; in "
        f"real time at most {LONGEST_ANSWER:g}",
    )
    first_timeout: float = Field(
        120.0,
        gt=0,
        le=3600,
        description="the same for the first answer, before anything moves: a server may "
        "compile then [s]",
    )
    connect_timeout: float = Field(
        1.0,
        gt=0,
        le=LONGEST_ANSWER,
        description="for a connection and the server's metadata, where one was lost [s]; for the "
        "first, before anything moves, ten seconds at least",
    )
    give_up_after: float = Field(
        60.0, gt=0, le=3600, description="a server that is lost for so long ends the run [s]"
    )

    _file: Path = PrivateAttr(default=Path())

    @property
    def file(self) -> Path:
        """Where it was read from."""
        return self._file

    @model_validator(mode="after")
    def _is_unambiguous(self) -> PolicyServerConfig:
        keys = [*self.images.values(), *self.state, self.instruction, self.steps_left]
        for key in keys:
            if key is not None and keys.count(key) > 1:
                raise ValueError(f"key {key!r} is given twice: each thing has a key of its own")
        return self

    def image_keys(self, views: tuple[ViewConfig, ...]) -> Mapping[str, str]:
        """View -> key of each of a robot's views that a server is sent.

        Raises:
            ConfigError: where there is none, or `images` names what is neither a view of the robot
                nor a role.
        """
        found = {}
        for view in views:
            key = self.images.get(view.name) or self.images.get(view.role or "")
            if key is not None:
                found[view.name] = key
        names = [view.name for view in views]
        for name in self.images:
            if name not in names and name not in get_args(Role):
                raise ConfigError(
                    f"{self.file}: images: {name}: neither a view of the robot nor a role "
                    f"({nearest(name, [*names, *get_args(Role)])})"
                )
        if not found:
            raise ConfigError(
                f"{self.file}: images: {', '.join(self.images)}: the robot has no such view (its "
                f"views are {', '.join(names)}: name them there)"
            )
        return found


def load_server_config(name_or_path: str | Path) -> PolicyServerConfig:
    """The configuration of a name of config/policy_servers, or of a file.

    Raises:
        ConfigError: for an unknown name, with the known ones, or a file that is not valid.
    """
    path = SERVERS.find(name_or_path)
    made = load_yaml(PolicyServerConfig, path)
    made._file = path
    return made


def require_address(text: str) -> str:
    """A policy server's address as it was given.

    Raises:
        ValueError: where it isn't ws://<host>:<port>, or wss:// for one behind TLS.
    """
    try:
        parts = urlsplit(text)
        # A name that no look-up takes is an error of encoding.
        good = parts.scheme in ("ws", "wss") and bool((parts.hostname or "").encode("idna"))
        good = good and (parts.port is not None or parts.scheme == "wss")
    except ValueError:
        good = False
    if not good or parts.username or parts.fragment or any(c.isspace() for c in text):
        raise ValueError("is not ws://<host>:<port>")
    return text
