"""msg/SessionPlan both ways: from a plan of the session, and to one of those who follow it."""

from __future__ import annotations

from typing import Any, get_args

from expo_ft_ros.control.plan import STAGES, OperatorMode, Plan, PolicyMode
from expo_ft_ros.msg import SessionPlan
from expo_ft_ros.recording.messages import BadMessage


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
    )


def plan_from_msg(message: Any) -> Plan:
    """The plan of msg/SessionPlan.

    Raises:
        BadMessage: for a stage, a policy or an operator that is none, or an episode without steps.
    """
    known = {
        "stage": (*STAGES, "done"),
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
    )
