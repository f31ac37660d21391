# SPDX-License-Identifier: Apache-2.0
"""A second policy, added as a user would: one folder outside the package, named by a variable."""

from __future__ import annotations

import shutil
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "policies" / "pixel_vla"
KIND, SIZE = "pixel_vla", "pixel"


def add(folder: Path) -> Path:
    """Puts the policy's folder into one of the user's; gives that for EXPO_FT_POLICIES."""
    shutil.copytree(SOURCE, folder / KIND, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
