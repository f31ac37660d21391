# SPDX-License-Identifier: Apache-2.0
"""The reward classifier of a task."""

from __future__ import annotations

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.robots import RobotConfig
from expo_ft_ros.tasks.config import TaskConfig
from expo_ft_ros.tasks.registry import load_part
from expo_ft_ros.tasks.reward import Classifier, names_a_view


def make_classifier(task: TaskConfig) -> Classifier:
    """A new classifier with the task's parameters; raises ConfigError as `load_part`."""
    made: Classifier = load_part(task, "reward", "Classifier")(task.classifier.parameters)
    return made


def needs_operator(task: TaskConfig) -> bool:
    """Whether nobody but the operator tells a success: its Classifier says NEEDS_OPERATOR. Raises
    ConfigError as `load_part`."""
    return bool(getattr(load_part(task, "reward", "Classifier"), "NEEDS_OPERATOR", False))


def require_views(task: TaskConfig, robot: RobotConfig) -> None:
    """Refuses a task whose classifier looks at a view that the robot hasn't.

    Raises:
        ConfigError: with the robot's views.
    """
    parameters = task.classifier.parameters
    for view in getattr(parameters, "views_seen", ()):
        if view not in robot.view_names:
            raise ConfigError(
                f"{task.file}: classifier.parameters: it was trained with the view {view}, which "
                f"the robot {robot.name} hasn't, its views are {', '.join(robot.view_names)} "
                "(train it with these)"
            )
    for name, field in type(parameters).model_fields.items():
        view = getattr(parameters, name)
        if names_a_view(field) and view not in robot.view_names:
            raise ConfigError(
                f"{task.file}: classifier.parameters.{name}: the robot {robot.name} has no view "
                f"{view}, its views are {', '.join(robot.view_names)} (name one of them)"
            )
