# SPDX-License-Identifier: Apache-2.0
"""A classifier for any task, learned from labelled episodes; it is no task itself."""
