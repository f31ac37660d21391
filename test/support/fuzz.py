# SPDX-License-Identifier: Apache-2.0
"""How many examples a fuzz tries: the same ones in each run of the suite, others, and as many as
EXPO_FT_FUZZ says, where somebody looks for new ones."""

from __future__ import annotations

import os

_ASKED = os.environ.get("EXPO_FT_FUZZ")
EXAMPLES = int(_ASKED or 100)
ALWAYS_THE_SAME = _ASKED is None
