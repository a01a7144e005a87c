"""Settings of academics_svc, read from ACADEMICS_* variables."""

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Missing or malformed variables stop the start, all named at once."""
