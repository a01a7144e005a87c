"""Alembic revisions of identity_svc: plain SQL, forward only, safe beside the running version."""
