"""What identity_svc decides by itself. Pure: no I/O, no clock, no wire shapes."""
