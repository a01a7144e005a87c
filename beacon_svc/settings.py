"""Settings of beacon_svc, read from BEACON_* variables."""

from typing import Annotated

from pydantic import Field

from infra.settings import ServiceSettings


class Settings(ServiceSettings):
    """Missing or malformed variables stop the start, all named at once.

    auth_window_s: how far a beacon's clock may be off when it logs in. *_per_minute_count: of one beacon, of one
    network address that fails to log in, of one student. flash_code_s: life of a flash code; quarantine_s: time after
    it until the number may be issued again. hand_over_*_s: pauses between tries while attendance is away.
    replica_name: of this process among its replicas, the same after a restart; empty: one is made up.
    """

    auth_window_s: Annotated[int, Field(ge=10, le=300)] = 60
    logins_per_minute_count: Annotated[int, Field(ge=1)] = 10
    failed_logins_per_minute_count: Annotated[int, Field(ge=1)] = 60
    flash_code_s: Annotated[int, Field(ge=5, le=60)] = 20
    flash_code_quarantine_s: Annotated[int, Field(ge=120)] = 120
    flash_codes_per_minute_count: Annotated[int, Field(ge=1)] = 6
    hand_over_first_pause_s: Annotated[float, Field(gt=0)] = 1.0
    hand_over_longest_pause_s: Annotated[float, Field(gt=0)] = 15.0
    replica_name: Annotated[str, Field(max_length=100)] = ""
    sweep_every_s: Annotated[float, Field(gt=0)] = 60.0
