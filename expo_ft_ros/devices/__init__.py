# SPDX-License-Identifier: Apache-2.0
"""Input devices: from what a SpaceMouse, gamepad or keyboard says to what the operator asks for."""
