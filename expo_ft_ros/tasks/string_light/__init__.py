# SPDX-License-Identifier: Apache-2.0
"""What the tasks with the string of lights share; it is no task itself."""
