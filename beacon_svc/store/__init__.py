"""Postgres side of beacon_svc: rows to values and back, on the connection that is given."""
