"""Read typed settings from the environment, once, at start. The only file that looks at the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

S = TypeVar("S", bound=BaseModel)
Part = Literal["http", "grpc", "relay", "consumers", "jobs"]
Port = Annotated[int, Field(ge=0, le=65535)]


def _words(value: object) -> object:
    return frozenset(value.split(",")) if isinstance(value, str) else value


class ServiceSettings(BaseModel):
    """What every service needs to run. A variable is `<SERVICE>_<FIELD>`; ports 0 mean: any free one.

    parts: which parts of the service this process runs. *_url: PostgreSQL, Redis and JWKS addresses.
    tls_*_file: PEM, the service's own certificate and the CA that signed its peers. *_grpc: a peer's host:port.
    key_file: 32 bytes in base64, encrypts private keys at rest. public_origin: the address that clients sign for.
    """

    model_config = ConfigDict(frozen=True)

    parts: Annotated[frozenset[Part], BeforeValidator(_words)] = frozenset(
        ("http", "grpc", "relay", "consumers", "jobs")
    )
    host: str = "127.0.0.1"
    http_port: Port = 0
    grpc_port: Port = 0
    database_url: SecretStr
    migrate_database_url: SecretStr | None = None
    redis_url: SecretStr
    tls_ca_file: Path
    tls_cert_file: Path
    tls_key_file: Path
    key_file: Path
    identity_jwks_url: str
    beacon_jwks_url: str
    public_origin: str
    identity_grpc: str = ""
    academics_grpc: str = ""
    attendance_grpc: str = ""
    beacon_grpc: str = ""
    shard_count: Annotated[int, Field(ge=1, le=1024)] = 4
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    database_pool_count: Annotated[int, Field(ge=1, le=100)] = 10
    max_requests_in_flight_count: Annotated[int, Field(ge=1)] = 1024
    max_event_streams_count: Annotated[int, Field(ge=0)] = 1000
    # Off only for throw-away servers: a database that forgets on power loss loses acknowledged signatures.
    require_durable_database: bool = True


def load(model: type[S], prefix: str, environ: Mapping[str, str] | None = None) -> S:
    """Build `model` from variables named `<prefix><FIELD>`; an empty variable counts as absent.

    Raises: pydantic.ValidationError naming every missing or malformed variable.
    """
    given = os.environ if environ is None else environ
    names = {field: prefix + field.upper() for field in model.model_fields}
    return model.model_validate({field: given[name] for field, name in names.items() if given.get(name)})


def environment() -> dict[str, str]:
    """Return a copy of this process's environment, to start child processes with."""
    return dict(os.environ)
