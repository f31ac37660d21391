"""Reward classifiers by name. A new task adds its file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from expo_ft_ros.tasks.candy_scoop.reward import CandyScoop
from expo_ft_ros.tasks.cube_pick.reward import GripperLift
from expo_ft_ros.tasks.reward import Classifier

__all__ = ["CLASSIFIERS", "Classifier", "make_classifier"]

CLASSIFIERS: dict[str, Callable[[Mapping[str, Any]], Classifier]] = {
    "candy_scoop": CandyScoop,
    "gripper_lift": GripperLift,
}


def make_classifier(name: str, parameters: Mapping[str, Any]) -> Classifier:
    """Returns a new classifier; raises ValueError with the known names for another one."""
    if name not in CLASSIFIERS:
        raise ValueError(f"unknown classifier {name!r}; known: {', '.join(sorted(CLASSIFIERS))}")
    return CLASSIFIERS[name](parameters)
