"""Alembic revisions of beacon_svc's database; each body is plain SQL."""
