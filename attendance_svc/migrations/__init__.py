"""How the schema of attendance_svc came to be: numbered, forward only."""
