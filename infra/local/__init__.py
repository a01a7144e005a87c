"""PostgreSQL, Valkey and Envoy from wheels, as child processes: a whole stack without root, Docker or a server."""
