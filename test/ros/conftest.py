"""The same graph as in test/nodes."""

from test.nodes.conftest import _middleware, graph

__all__ = ["_middleware", "graph"]
