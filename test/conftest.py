"""What holds for all tests."""

from hypothesis import settings

# A machine that is busy is no finding; how fast things are is measured in benchmarks/.
settings.register_profile("expo_ft", deadline=None)
settings.load_profile("expo_ft")
