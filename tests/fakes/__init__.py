"""Hand-made stand-ins, held to the real ones by tests/contract."""
