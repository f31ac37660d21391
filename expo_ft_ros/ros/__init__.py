# SPDX-License-Identifier: Apache-2.0
"""What all nodes share: lifecycle, parameters, quality of service, heartbeat, messages."""
