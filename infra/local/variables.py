"""The variables by which a service finds everything; the contract with infra/settings.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.envoy.routes import SERVICES, Service

HOST = "127.0.0.1"
SHARD_COUNT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The ports of one service."""

    http: int
    grpc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything is. origin: of the edge, None when there is none."""

    doors: Mapping[Service, Doors]
    certificates: Path
    keys: Path
    origin: str | None

    def http_url(self, service: Service) -> str:
        """Return the base URL of a service's own REST door."""
        return f"http://{HOST}:{self.doors[service].http}"

    def variables(self, service: Service) -> dict[str, str]:
        """Return the variables of `service`, without its databases."""
        found = {
            "HOST": HOST,
            "HTTP_PORT": str(self.doors[service].http),
            "GRPC_PORT": str(self.doors[service].grpc),
            "TLS_CA_FILE": str(self.certificates / "ca.pem"),
            "TLS_CERT_FILE": str(self.certificates / f"{service}.pem"),
            "TLS_KEY_FILE": str(self.certificates / f"{service}-key.pem"),
            "KEY_FILE": str(self.keys / service),
            "IDENTITY_JWKS_URL": f"{self.http_url('identity')}/.well-known/jwks.json",
            "BEACON_JWKS_URL": f"{self.http_url('beacon')}/beacon/jwks.json",
            "PUBLIC_ORIGIN": self.origin or self.http_url(service),
            "SHARD_COUNT": str(SHARD_COUNT),
            # A restarted service is known by the same name and takes its leases back at once.
            "REPLICA_NAME": f"{service}-local",
            "LOG_LEVEL": "info",
        }
        peers = {f"{peer.upper()}_GRPC": f"{HOST}:{self.doors[peer].grpc}" for peer in SERVICES}
        return prefixed(service, found | peers)


def prefixed(service: Service, found: Mapping[str, str]) -> dict[str, str]:
    """Return variables with the prefix of the service."""
    return {f"{service.upper()}_{name}": value for name, value in found.items()}


def given_to_all(given: Mapping[str, str], name: str) -> bool:
    """Return whether the user has set the variable for every service."""
    return all(given.get(f"{service.upper()}_{name}") for service in SERVICES)
