# SPDX-License-Identifier: Apache-2.0
"""What tests share: builders of runs and recordings, nodes and whole graphs under test."""
