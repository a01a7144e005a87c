"""People: their accounts, sessions, devices and tokens."""
