# SPDX-License-Identifier: Apache-2.0
"""`python -m expo_ft_ros.cli`."""

import sys

from expo_ft_ros.cli.main import main

sys.exit(main())
