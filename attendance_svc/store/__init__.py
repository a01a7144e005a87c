"""Postgres side of attendance: rows to values and back, on the connection it is given."""
