"""Postgres side of identity_svc's ports. Whoever gives the connection owns the transaction."""
