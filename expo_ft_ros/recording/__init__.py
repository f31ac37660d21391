# SPDX-License-Identifier: Apache-2.0
"""Episodes on disk: MCAP files, LeRobot datasets, and the messages that both are made of."""
