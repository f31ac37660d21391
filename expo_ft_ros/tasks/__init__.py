# SPDX-License-Identifier: Apache-2.0
"""Tasks: what is to be done, in which box, and how it is learned (config/tasks/*.yaml)."""

from expo_ft_ros.tasks.config import ClassifierConfig, TaskConfig
from expo_ft_ros.tasks.registry import TASKS, find_part, known_tasks, load_task

__all__ = [
    "TASKS",
    "ClassifierConfig",
    "TaskConfig",
    "find_part",
    "known_tasks",
    "load_task",
]
