# SPDX-License-Identifier: Apache-2.0
"""What disturbs an episode in simulation, drawn from the scene's seed: see `perturbed.py`."""

from expo_ft_ros.sim.perturbations.perturbed import Perturbations, require_perturbable

__all__ = ["Perturbations", "require_perturbable"]
