"""Settings of identity_svc, read from IDENTITY_* variables."""

from typing import Annotated

from pydantic import Field

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Missing or malformed variables stop the start, all named at once.

    argon2_*: what a password hash costs; accounts are moved to a new cost when they log in.
    """

    argon2_memory_kib: Annotated[int, Field(ge=8, le=1_048_576)] = 19_456
    argon2_iterations: Annotated[int, Field(ge=1, le=16)] = 2
    argon2_waiting_count: Annotated[int, Field(ge=1)] = 32
