# SPDX-License-Identifier: Apache-2.0
"""Input devices: from what an operator moves to what the operator asks for."""
