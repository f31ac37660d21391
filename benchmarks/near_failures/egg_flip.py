# SPDX-License-Identifier: Apache-2.0
"""Egg Flip, nearly.

A hand hardly fails in these ways on demand, so most mistakes meddle with the egg itself.
"""

from __future__ import annotations

import numpy as np

from expo_ft_ros.data.rotation import compose, rotation_of
from expo_ft_ros.sim.scene import ObjectPose, body_pose
from expo_ft_ros.sim.world import World
from expo_ft_ros.tasks.egg_flip.scene import (
    BLADE,
    EGG,
    PAN_AT,
    PAN_RADIUS,
    RADIUS,
    THICKNESS,
    WALL_SLOPE,
)
from expo_ft_ros.tasks.egg_flip.sight import EggSight
from expo_ft_ros.tasks.expert import Vector
from expo_ft_ros.tasks.experts import IDLE, Expert, OperatorCommand, OperatorView
from expo_ft_ros.tasks.scripted_expert import limited
from near_failures import Mistake

STEPS = 100
_RAISED = 0.205  # the tool's height at which the blade is [m]
_LIES = np.array([0.0, 0.0, THICKNESS / 2])  # the egg's middle above where it lies
_OVER = rotation_of(np.array([np.pi, 0.0, 0.0]))


def _egg(world: World) -> ObjectPose:
    """The egg's place (3,) and quaternion (4,), its yolk towards +z."""
    return body_pose(world.model, world.data, EGG)


def _level(world: World) -> Vector:
    """(4,) the egg's orientation, made level."""
    return _OVER if world.data.body(EGG).xmat[8] < 0 else rotation_of(np.zeros(3))


def _outwards(angle: float) -> Vector:
    """(3,) level, from the pan's middle."""
    return np.array([np.cos(angle), np.sin(angle), 0.0])


def _hang(world: World) -> None:
    """Keeps the egg in the air where it is, to the episode's end."""
    body = world.model.body(EGG)
    world.data.xfrc_applied[body.id, :3] = -body.mass * world.model.opt.gravity


def turned_back(rng: np.random.Generator) -> Mistake:
    """Lets the egg fall back each time that it has been lifted."""
    start: list[Vector] = []

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        start.append(_level(world))
        if EggSight(view).up < -0.2:
            inwards = _egg(world)[0][:2] * 0.7 + PAN_AT[:2] * 0.3
            world.place(EGG, np.array([*inwards, _LIES[2]]), start[0])
        return expert.act(view)

    return act


def out(rng: np.random.Generator) -> Mistake:
    """Throws the egg out of the pan as it turns over; it lies on the stove, flipped."""
    away = _outwards(rng.uniform(-np.pi, np.pi))
    away = away * (PAN_RADIUS + RADIUS + rng.uniform(0.02, 0.05))

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        sight = EggSight(view)
        if sight.in_pan and sight.up < -0.2:
            world.place(EGG, PAN_AT + away + _LIES, _level(world))
        return expert.act(view)

    return act


def leaning(rng: np.random.Generator) -> Mistake:
    """The egg sticks to the wall that it was turned over at."""
    outwards = _outwards(rng.uniform(-np.pi, np.pi))
    stuck: list[Vector] = []
    place = PAN_AT + outwards * (PAN_RADIUS + 0.008) + [0.0, 0.0, 0.042]
    across = np.array([outwards[1], -outwards[0], 0.0])
    tilt = rotation_of(across * (np.pi / 2 - WALL_SLOPE))

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        if not stuck and EggSight(view).up < -0.2:
            stuck.append(compose(tilt, _level(world)))
        if stuck:
            world.place(EGG, place, stuck[0])
            _hang(world)
        return expert.act(view)

    return act


def beside(rng: np.random.Generator) -> Mistake:
    """Goes through all of it while the egg stays where it is."""
    start: list[ObjectPose] = []

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        start.append(_egg(world))
        world.place(EGG, *start[0])
        return expert.act(view)

    return act


def held(rng: np.random.Generator) -> Mistake:
    """Holds the flipped egg on the blade above the pan."""
    holds: list[Vector] = []

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        sight = EggSight(view)
        if sight.flipped and sight.tool[2] > _RAISED and not holds:
            holds.append(_level(world))
        if not holds:
            return expert.act(view)
        world.place(EGG, sight.tip + PAN_AT + [0.0, 0.0, 0.04], holds[0])
        _hang(world)
        return IDLE

    return act


def hidden(rng: np.random.Generator) -> Mistake:
    """Stops with the raised blade between the camera and the egg, which was never turned."""
    aside, stopped = rng.normal(0.0, 0.02, 2), False

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        nonlocal stopped
        sight = EggSight(view)
        if sight.step > 30 and sight.tool[2] > _RAISED and not stopped:
            stopped = True
            behind = limited(_behind_blade(world, sight) + aside, PAN_RADIUS - RADIUS)
            world.place(EGG, PAN_AT + np.array([*behind, _LIES[2]]), _level(world))
        elif sight.up < 0.9:
            world.place(EGG, np.array([*_egg(world)[0][:2], _LIES[2]]), _level(world))
        return IDLE if stopped else expert.act(view)

    return act


def _behind_blade(world: World, sight: EggSight) -> Vector:
    """(2,) what the blade's middle hides of the pan's floor, from its middle [m]."""
    eye, blade = world.camera_mount("side").position, world.data.body(BLADE).xpos
    middle = (blade + sight.tip + PAN_AT) / 2
    hides = eye + (middle - eye) * eye[2] / (eye[2] - middle[2])
    behind: Vector = (hides - PAN_AT)[:2]
    return behind


def twice(rng: np.random.Generator) -> Mistake:
    """Turns the egg over and, before the blade is up, back."""

    def act(world: World, view: OperatorView, expert: Expert) -> OperatorCommand:
        sight = EggSight(view)
        if sight.flipped and sight.lies:
            place, quaternion = _egg(world)
            world.place(EGG, place, compose(quaternion, _OVER))
        return expert.act(view)

    return act


NEAR_FAILURES = (turned_back, out, leaning, beside, held, hidden, twice)
