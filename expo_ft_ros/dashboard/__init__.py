# SPDX-License-Identifier: Apache-2.0
"""The server of all runs: lists them, starts and stops them, shows what came of them."""
