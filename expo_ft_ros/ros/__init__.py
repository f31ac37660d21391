"""What all nodes share: lifecycle, parameters, quality of service, heartbeat, messages."""
