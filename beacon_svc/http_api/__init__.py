"""REST door of beacon_svc: parse, call one command, answer."""
