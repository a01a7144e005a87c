"""People, their devices, sessions and tokens."""
