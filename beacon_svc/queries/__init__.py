"""Reads: SQL to dataclass."""
