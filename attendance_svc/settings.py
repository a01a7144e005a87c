"""Settings of attendance_svc, read from ATTENDANCE_* variables."""

from typing import Annotated

from pydantic import Field

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Missing or malformed variables stop the start, all named at once.

    replica_name: of this process among its replicas, the same after a restart; empty: one is made up, and a restart
    waits for its predecessor's lease to run out.
    """

    replica_name: Annotated[str, Field(max_length=100)] = ""
