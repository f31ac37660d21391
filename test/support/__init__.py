"""What tests share: builders of runs and recordings, nodes and whole graphs under test."""
