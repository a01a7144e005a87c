"""REST door of attendance_svc: parse, call one command or query, answer."""
