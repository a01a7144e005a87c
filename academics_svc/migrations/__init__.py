"""How the schema of academics_svc came to be: numbered, forward only."""
