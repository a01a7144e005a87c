"""REST door of academics_svc: parse, call one command or query, answer."""
