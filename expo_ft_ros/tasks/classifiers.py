"""The reward classifier of a task."""

from __future__ import annotations

from expo_ft_ros.tasks.config import TaskConfig
from expo_ft_ros.tasks.registry import load_part
from expo_ft_ros.tasks.reward import Classifier


def make_classifier(task: TaskConfig) -> Classifier:
    """A new classifier with the task's parameters; raises ConfigError as `load_part`."""
    made: Classifier = load_part(task, "reward", "Classifier")(task.classifier.parameters)
    return made
