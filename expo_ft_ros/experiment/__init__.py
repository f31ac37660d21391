# SPDX-License-Identifier: Apache-2.0
"""A run: its stages, budget, folder and progress, and a rollout of it in one process."""
