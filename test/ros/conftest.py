"""The same graph as in test/nodes."""

from test.nodes.conftest import graph

__all__ = ["graph"]
