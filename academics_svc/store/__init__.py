"""Postgres side of academics: each book works on the connection it is given."""
