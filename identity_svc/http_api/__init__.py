"""REST door of identity_svc: parse, call one command or query, answer."""
