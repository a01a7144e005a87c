"""Streams played step by step, by one seed."""
