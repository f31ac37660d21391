# SPDX-License-Identifier: Apache-2.0
"""What a person sees: paths, colours, overlays and plots, for rviz, the browser and the report."""
