# SPDX-License-Identifier: Apache-2.0
"""Where the joints of an FR3 are, and what each of its links looks like."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.rotation import compose, matrix_of, rotation_of
from expo_ft_ros.monitor.paths import Colour
from expo_ft_ros.monitor.solids import Mesh, box, drum, joined, tube

# Of each joint's frame in the one before: x, y, z [m] and the turn about x in quarters of a circle
# (the published kinematics of Franka's arms).
_JOINTS = (
    ((0.0, 0.0, 0.333), 0),
    ((0.0, 0.0, 0.0), -1),
    ((0.0, -0.316, 0.0), 1),
    ((0.0825, 0.0, 0.0), 1),
    ((-0.0825, 0.384, 0.0), -1),
    ((0.0, 0.0, 0.0), 1),
    ((0.088, 0.0, 0.0), 1),
)
_FLANGE = (0.0, 0.0, 0.107)
_TO_FLANGE = 0.1034  # from the tool centre point back [m]

ARM_JOINTS = len(_JOINTS)

WHITE, DARK = "white", "dark"
"""What parts of a link are made of."""

COLOURS: Mapping[str, Colour] = MappingProxyType({WHITE: (226, 230, 235), DARK: (62, 68, 78)})

Parts = Mapping[str, Mesh]


def arm_frames(
    joints: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(9, 3) origins [m] and (9, 4) x, y, z, w of the frames of base, seven links and flange, in
    the base's; joints: (7,) [rad]."""
    place, turn = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])
    places, turns = [place], [turn]
    for (offset, quarters), angle in zip(_JOINTS, joints, strict=True):
        place = place + matrix_of(turn) @ np.array(offset)
        about_x = rotation_of(np.array([quarters * np.pi / 2, 0.0, 0.0]))
        turn = compose(compose(turn, about_x), rotation_of(np.array([0.0, 0.0, angle])))
        places.append(place)
        turns.append(turn)
    places.append(place + matrix_of(turn) @ np.array(_FLANGE))
    return np.stack(places), np.stack([*turns, turn])


def link_shapes() -> tuple[Parts, ...]:
    """Of base and seven links, each in its own frame of `arm_frames`: an own, simpler shape of the
    FR3's proportions."""
    shoulder = joined([_axle(0.066, 0.078), tube([[0, 0, 0], [0, -0.18, 0]], [0.062, 0.058])])
    elbow = joined(
        [_axle(0.059, 0.066), tube([[0, 0, 0], [-0.07, 0.04, 0], [-0.0825, 0.1, 0]], [0.05] * 3)]
    )
    wrist = joined(
        [
            _axle(0.051, 0.058),
            tube([[0, 0, 0], [0.088, 0, 0]], [0.043, 0.043]),
            drum([0.088, 0.052, 0], [0.088, -0.048, 0], 0.048, 0.018),
        ]
    )
    return (
        _parts(
            joined(
                [
                    drum([0, 0, 0], [0, 0, 0.137], 0.068, 0.012),
                    tube([[-0.11, 0, 0.045], [0, 0, 0.055]], [0.044, 0.055]),
                    drum([0, 0, 0], [0, 0, 0.02], 0.092, 0.006),
                ]
            ),
            drum([0, 0, 0.13], [0, 0, 0.146], 0.0605, 0.003),
        ),
        _parts(tube([[0, 0, -0.129], [0, 0, 0]], [0.06, 0.06])),
        _parts(shoulder, _caps(0.066, 0.078)),
        _parts(
            tube([[0, 0, -0.07], [0, 0, -0.04], [0.0825, 0, 0]], [0.058, 0.058, 0.05]),
            drum([0, 0, -0.092], [0, 0, -0.078], 0.0595, 0.003),
        ),
        _parts(elbow, _caps(0.059, 0.066)),
        _parts(
            tube(
                [[0, 0, -0.2], [0, 0, -0.15], [0, 0.03, -0.06], [0, 0, 0]],
                [0.055, 0.055, 0.046, 0.044],
            ),
            drum([0, 0, -0.252], [0, 0, -0.238], 0.0505, 0.003),
        ),
        _parts(wrist, _caps(0.051, 0.058)),
        _parts(
            drum([0, 0, 0.056], [0, 0, 0.094], 0.044, 0.01),
            joined(
                [
                    drum([0, 0, 0.046], [0, 0, 0.058], 0.0425, 0.003),
                    drum([0, 0, 0.09], [0, 0, 0.107], 0.034, 0.003),
                ]
            ),
        ),
    )


def hand_shape() -> Parts:
    """In the frame of the tool centre point, whose fingers open along y."""
    palm = -_TO_FLANGE + 0.034
    return _parts(
        joined(
            [
                tube([[0, -0.068, palm], [0, 0.068, palm]], [0.031, 0.031]),
                drum([0, 0, -_TO_FLANGE], [0, 0, palm], 0.038, 0.006),
            ]
        ),
        box([-0.012, -0.085, palm + 0.022], [0.012, 0.085, palm + 0.034]),
    )


def finger_shapes() -> Mapping[int, Parts]:
    """Of the finger at y > 0, whose key is 1, and of the other one, -1, in the frame of the tool
    centre point where the gripper is closed."""
    one = _parts(
        box([-0.0105, 0.002, -0.046], [0.0105, 0.016, -0.02]),
        box([-0.0095, 0.0, -0.024], [0.0095, 0.009, 0.009]),
    )
    return {side: _mirrored(one, side) for side in (1, -1)}


def finger_place(side: int, width: float) -> NDArray[np.float64]:
    """(3,) of a finger's frame in the tool's [m].

    Args:
        side: A key of `finger_shapes`.
        width: Of the opening [m].
    """
    return np.array([0.0, side * width / 2, 0.0])


def _parts(white: Mesh, dark: Mesh | None = None) -> Parts:
    return MappingProxyType({WHITE: white, **({} if dark is None else {DARK: dark})})


def _mirrored(parts: Parts, side: int) -> Parts:
    """On the other side of the tool where side is -1."""
    turned = np.array([1.0, side, 1.0])
    return {of: Mesh(m.vertices * turned, m.faces[:, ::side]) for of, m in parts.items()}


def _axle(radius: float, half: float) -> Mesh:
    """A joint's housing about z, from -half to half [m]."""
    return drum([0, 0, -half], [0, 0, half], radius, 0.016)


def _caps(radius: float, half: float) -> Mesh:
    """What is seen at both ends of that housing."""
    return drum([0, 0, -half - 0.003], [0, 0, half + 0.003], radius - 0.022, 0.003)
