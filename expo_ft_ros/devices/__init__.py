"""Input devices: from what a SpaceMouse, gamepad or keyboard says to what the operator asks for."""
