# SPDX-License-Identifier: Apache-2.0
"""How many examples a fuzz tries: some in each run of the suite, other ones each time, and as many
as EXPO_FT_FUZZ says where somebody has the time."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("EXPO_FT_FUZZ", "100"))
