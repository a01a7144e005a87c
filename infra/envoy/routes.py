"""What the edge serves: which path goes to which service, and whose token it wants. The first match wins."""

import re
from dataclasses import dataclass
from typing import Literal

from infra.envoy.limits import LimitName

Service = Literal["identity", "academics", "attendance", "beacon"]
Caller = Literal["anyone", "person", "beacon"]
Method = Literal["GET", "POST", "PUT", "PATCH"]

SERVICES: tuple[Service, ...] = ("identity", "academics", "attendance", "beacon")
# `/v1/...` is the same as the path without it.
VERSION = "(?:/v1)?"
REST = "(?:/.*)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """How a path is brought into the form that the services know. Source: RE2, `\\1` is the first group."""

    pattern: str
    into: str


WITHOUT_VERSION = Rewrite(pattern="^/v1/", into="/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the table.

    path: RE2, matches the whole path without the query. method: None takes any. caller: who may come, by the token
    that the edge demands. limit: how often one caller may come. timeout_s: for the whole answer, 0 for none.
    is_streamed: the body is passed on as it comes.
    """

    name: str
    to: Service
    path: str
    method: Method | None = None
    caller: Caller = "person"
    limit: LimitName | None = None
    rewrite: Rewrite = WITHOUT_VERSION
    timeout_s: int = 10
    is_streamed: bool = False

    def takes(self, method: str, path: str) -> bool:
        """Return whether the route serves `method` on `path`."""
        return self.method in (None, method) and re.fullmatch(self.path, path) is not None


def plural(*names: str) -> Rewrite:
    """Return the rewrite of `/name/…` and `/v1/names/…` to `/names/…`."""
    return Rewrite(pattern=f"^{VERSION}/({'|'.join(names)})s?(/.*)?$", into=r"/\1s\2")


def documents(service: Service) -> Route:
    """Return the route of a service's API document and the page that shows it."""
    path = f"{VERSION}/(?:docs/{service}{REST}|openapi/{service}\\.json)"
    return Route(name=f"{service}-documents", to=service, path=path, caller="anyone")


USERS = plural("user")
ACADEMICS = plural("school", "classroom", "group", "course")
SIGNATURES = plural("signature")
BEACONS = Rewrite(pattern=f"^{VERSION}/dev/beacons?(/.*)?$", into=r"/dev/beacons\1")

ROUTES: tuple[Route, ...] = (
    # What comes most often stands first: Envoy tries the patterns one after the other.
    Route(
        name="proofs",
        to="beacon",
        path=f"{VERSION}/beacon/(?:proofs|buzzLightyear|telemetry)",
        caller="beacon",
        limit="proofs",
    ),
    Route(
        name="sign",
        to="attendance",
        path=f"{VERSION}/signatures?",
        method="POST",
        rewrite=SIGNATURES,
        limit="signing",
    ),
    *(documents(service) for service in SERVICES),
    Route(name="login", to="identity", path=f"{VERSION}/auth/(?:login|refresh|password-reset)", caller="anyone"),
    Route(name="keys", to="identity", path=f"{VERSION}/(?:auth|\\.well-known)/jwks\\.json", caller="anyone"),
    Route(name="auth", to="identity", path=f"{VERSION}/auth{REST}"),
    Route(
        name="user-import",
        to="identity",
        path=f"{VERSION}/users?/import",
        rewrite=USERS,
        timeout_s=300,
        is_streamed=True,
    ),
    Route(name="user-names", to="identity", path=f"{VERSION}/users?/batch", method="GET", rewrite=USERS, limit="names"),
    Route(name="user-lists", to="identity", path=f"{VERSION}/users?", method="GET", rewrite=USERS, limit="lists"),
    Route(
        name="user-device",
        to="identity",
        path=f"{VERSION}/users?/[^/]+/device",
        method="PUT",
        rewrite=USERS,
        limit="phones",
    ),
    Route(name="users", to="identity", path=f"{VERSION}/users?{REST}", rewrite=USERS),
    Route(
        name="course-import",
        to="academics",
        path=f"{VERSION}/courses?/import",
        rewrite=ACADEMICS,
        timeout_s=300,
        is_streamed=True,
    ),
    # The URL itself is signed: calendar programs send no token.
    Route(
        name="calendar", to="academics", path=f"{VERSION}/courses?/calendar\\.ics", caller="anyone", rewrite=ACADEMICS
    ),
    Route(
        name="academics-lists",
        to="academics",
        path=f"{VERSION}/(?:(?:school|classroom|group|course)s?|groups?/[^/]+/members)",
        method="GET",
        rewrite=ACADEMICS,
        limit="lists",
    ),
    Route(
        name="academics",
        to="academics",
        path=f"{VERSION}/(?:school|classroom|group|course)s?{REST}",
        rewrite=ACADEMICS,
    ),
    # Empty pages that log in by themselves, and what the codes on walls and screens lead to.
    Route(name="board", to="attendance", path=f"{VERSION}/signatures?/board/.+", caller="anyone", rewrite=SIGNATURES),
    Route(name="codes", to="attendance", path=f"{VERSION}/[qQn]{REST}", caller="anyone"),
    Route(
        name="live",
        to="attendance",
        path=f"{VERSION}/signatures?/(?:live|qr/[^/]+/codes)",
        rewrite=SIGNATURES,
        timeout_s=0,
    ),
    Route(
        name="reports",
        to="attendance",
        path=f"{VERSION}/signatures?/report",
        method="GET",
        rewrite=SIGNATURES,
        limit="reports",
    ),
    Route(
        name="signature-lists",
        to="attendance",
        path=f"{VERSION}/signatures?(?:/sheet|/[^/]+/transitions)?",
        method="GET",
        rewrite=SIGNATURES,
        limit="lists",
    ),
    Route(
        name="corrections",
        to="attendance",
        path=f"{VERSION}/signatures?/[^/]+",
        method="PATCH",
        rewrite=SIGNATURES,
        limit="corrections",
    ),
    Route(name="signatures", to="attendance", path=f"{VERSION}/signatures?{REST}", rewrite=SIGNATURES),
    Route(name="beacon-public", to="beacon", path=f"{VERSION}/beacon/(?:auth/token|jwks\\.json|time)", caller="anyone"),
    Route(name="beacon", to="beacon", path=f"{VERSION}/beacon{REST}"),
    Route(
        name="beacon-lists", to="beacon", path=f"{VERSION}/dev/beacons?", method="GET", rewrite=BEACONS, limit="lists"
    ),
    Route(name="beacons", to="beacon", path=f"{VERSION}/dev/beacons?{REST}", rewrite=BEACONS),
)
