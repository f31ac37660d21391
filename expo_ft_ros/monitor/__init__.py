# SPDX-License-Identifier: Apache-2.0
"""What the operator sees: paths, colours, overlays and plots, for rviz, browser and report."""
