"""The same task and world as in test/sim."""

from test.sim.conftest import task, world

__all__ = ["task", "world"]
