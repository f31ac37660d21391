# SPDX-License-Identifier: Apache-2.0
"""YAML as people write it: what is a number, and what is text."""

from __future__ import annotations

import re

import yaml

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def is_number(text: str) -> bool:
    """Whether the text is a number, and nothing but one."""
    return bool(_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text))


def number(text: str) -> int | float:
    """What text means that is a number. Raises ValueError for more than 4300 digits."""
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        return int(digits, {"0x": 16, "0o": 8}.get(digits[:2], 10))
    return float(re.sub(r"\.(?=inf|nan)", "", digits.lower()))


class Loader(yaml.SafeLoader):
    """Plain scalars as YAML 1.2 has them: 12e-2 is a number, 010 is ten; 1:30, off and
    2026-11-29 are text. To SafeLoader, of 1.1, they are the other thing."""

    def construct_number(self, node: yaml.Node) -> int | float:
        """An int or a float."""
        text = self._scalar(node)
        try:
            return number(text)
        except ValueError as error:
            raise self._refused(node, f"no number: {str(error).splitlines()[0]}") from None

    def construct_bool(self, node: yaml.Node) -> bool:
        """True or false."""
        words, text = {"true": True, "false": False}, self._scalar(node).lower()
        if text not in words:
            raise self._refused(node, "neither true nor false")
        return words[text]

    def construct_text(self, node: yaml.Node) -> str:
        """Text that can be written and sent again."""
        text = self._scalar(node)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self._refused(node, f"no text: {error.reason}") from None
        return text

    def _scalar(self, node: yaml.Node) -> str:
        """What a tag stands before, as !!int: a list or a mapping is none of these."""
        if not isinstance(node, yaml.ScalarNode):
            kind = "list" if isinstance(node, yaml.SequenceNode) else "mapping"
            raise self._refused(node, f"a {kind} where a single value is needed")
        return str(node.value)

    @staticmethod
    def _refused(node: yaml.Node, problem: str) -> yaml.YAMLError:
        return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_YAML = "tag:yaml.org,2002:"
Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", "~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", _INTEGER.pattern, [*"-+0123456789"]),
    ("float", _FLOAT.pattern, [*"-+.0123456789"]),
    ("merge", "<<", ["<"]),
):
    Loader.add_implicit_resolver(_YAML + _tag, re.compile(f"(?:{_pattern})$"), _first)
yaml.add_constructor(f"{_YAML}str", Loader.construct_text, Loader=Loader)
yaml.add_constructor(f"{_YAML}int", Loader.construct_number, Loader=Loader)
yaml.add_constructor(f"{_YAML}float", Loader.construct_number, Loader=Loader)
yaml.add_constructor(f"{_YAML}bool", Loader.construct_bool, Loader=Loader)
for _tag in ("timestamp", "binary", "set", "omap", "pairs"):
    yaml.add_constructor(_YAML + _tag, Loader.construct_undefined, Loader=Loader)
