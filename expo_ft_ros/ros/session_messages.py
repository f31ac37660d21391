# SPDX-License-Identifier: Apache-2.0
"""What session, arbitration and learner tell each other, both ways: plans, states, reports."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, get_args

from std_msgs.msg import Header

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.control.plan import SHADOW, STAGES, OperatorMode, Plan, PolicyMode
from expo_ft_ros.experiment.learner_report import LearnerReport
from expo_ft_ros.msg import EpisodeState, LearnerStatus, SessionPlan
from expo_ft_ros.recording.messages import BadMessage
from expo_ft_ros.ros.messages import to_array

_LEARNER_FIELDS = [field.name for field in fields(LearnerReport) if field.name != "metrics"]


def plan_to_msg(plan: Plan) -> SessionPlan:
    """msg/SessionPlan of a plan; its stamp is left to who publishes it."""
    return SessionPlan(
        stage=plan.stage,
        episode=plan.episode,
        seed=plan.seed,
        max_steps=plan.max_steps,
        policy=plan.policy,
        operator_mode=plan.operator,
        learn=plan.learn,
        redone=plan.redone,
    )


def plan_from_msg(message: Any) -> Plan:
    """The plan of msg/SessionPlan.

    Raises:
        BadMessage: for a stage, a policy or an operator that is none, or an episode without steps.
    """
    known = {
        "stage": (*STAGES, SHADOW, "done"),
        "policy": get_args(PolicyMode),
        "operator_mode": get_args(OperatorMode),
    }
    for name, values in known.items():
        if getattr(message, name) not in values:
            raise BadMessage(
                f"plan of episode {message.episode}: {name} {getattr(message, name)!r} is none of "
                f"{', '.join(values)}"
            )
    if message.episode > 0 and message.max_steps == 0:
        raise BadMessage(f"plan of episode {message.episode} allows no step (max_steps is 0)")
    return Plan(
        stage=message.stage,
        episode=message.episode,
        seed=message.seed,
        max_steps=message.max_steps,
        policy=message.policy,
        operator=message.operator_mode,
        learn=message.learn,
        redone=message.redone,
    )


def episode_to_msg(episode: EpisodeSnapshot, header: Header) -> EpisodeState:
    """msg/EpisodeState; header: when it changed."""
    return EpisodeState(header=header, **asdict(episode))


def episode_from_msg(message: EpisodeState) -> EpisodeSnapshot:
    """The state of msg/EpisodeState."""
    return EpisodeSnapshot(**{f.name: getattr(message, f.name) for f in fields(EpisodeSnapshot)})


def learner_to_msg(report: LearnerReport) -> LearnerStatus:
    """msg/LearnerStatus; its stamp is left to who publishes it."""
    counts = {name: getattr(report, name) for name in _LEARNER_FIELDS}
    return LearnerStatus(
        **counts,
        metric_names=list(report.metrics),
        metric_values=to_array(list(report.metrics.values()), "f"),
    )


def learner_from_msg(message: LearnerStatus) -> LearnerReport:
    """The report of msg/LearnerStatus.

    Raises:
        BadMessage: when it has more names of metrics than values, or fewer.
    """
    names, values = len(message.metric_names), len(message.metric_values)
    if names != values:
        raise BadMessage(f"{names} names of metrics, but {values} values")
    metrics = dict(zip(message.metric_names, map(float, message.metric_values), strict=True))
    counts = {name: getattr(message, name) for name in _LEARNER_FIELDS}
    return LearnerReport(**counts, metrics=metrics)
