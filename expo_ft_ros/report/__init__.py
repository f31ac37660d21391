# SPDX-License-Identifier: Apache-2.0
"""What came of a run, to look at and to show: pages, figures and videos."""
