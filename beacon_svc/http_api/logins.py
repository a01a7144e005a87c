"""The doors through which a beacon logs in."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from beacon_svc.commands.logins import LoginRules, admit_beacon
from beacon_svc.domain.logins import Login
from beacon_svc.http_api.beacon_bodies import Kid
from beacon_svc.http_api.failures import FailureLimit, address_of
from beacon_svc.ports import BeaconLogins
from contracts.ids import BeaconId
from contracts.problems import UnauthenticatedError
from infra.clock import Clock
from infra.http_bodies import Answer, Body, Id, NoBody, NoQuery
from infra.http_routes import ANYONE, AnyRoute, Call, Reply, Route
from infra.tokens import TokenSigner

TOKEN_TTL = timedelta(seconds=600)
JWKS_MAX_AGE_S = 300
MAX_LOGIN_BYTES = 2048
# 2100-01-01. Later times are typing errors, and sums with them may leave what a datetime can hold.
LATEST_MS = 4_102_444_800_000


# Not Literal[1]: true equals 1.
FormatVersion = Annotated[int, Field(ge=1, le=1)]
UnixMs = Annotated[int, Field(ge=0, le=LATEST_MS)]
Counter = Annotated[int, Field(ge=0, lt=2**53)]
# 16 bytes in canonical base64url: the last character carries two bits, and four that are zero.
Nonce = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{21}[AQgw]$")]
Signature = Annotated[str, StringConstraints(min_length=86, max_length=86)]


class LoginBody(Body):
    """JSON of POST /beacon/auth/token. ts: Unix ms by the beacon's clock. nonce: 16 bytes, sig: 64 bytes, base64url."""

    v: FormatVersion
    beacon_id: Id
    kid: Kid
    ts: UnixMs
    boot: Counter
    uptime_ms: Annotated[int, Field(ge=0, le=LATEST_MS)]
    nonce: Nonce
    sig: Signature


class TokenAnswer(Answer):
    """A beacon's token. config_version: rises when the beacon's settings change."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- a kind of token
    expires_in: int
    server_time_ms: int
    config_version: int


class TimeAnswer(Answer):
    """The server's time, for a beacon whose clock was never set."""

    server_time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginParts:
    """What the login doors need. signer: of tokens. jwks: the document with the keys that verify them."""

    open_logins: Callable[[], AbstractAsyncContextManager[BeaconLogins]]
    signer: Callable[[], Awaitable[TokenSigner]]
    rules: LoginRules
    failures: FailureLimit
    jwks: Callable[[], Awaitable[Mapping[str, Any]]]
    now: Clock


class LoginApi:
    """Routes under `/beacon` that need no token."""

    def __init__(self, parts: LoginParts) -> None:
        self._parts = parts

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        return [
            Route(
                method="POST", path="/beacon/auth/token", handler=self.post_token, who=ANYONE, body=LoginBody,
                answer=TokenAnswer, summary="Log a beacon in by a signed timestamp", max_body_bytes=MAX_LOGIN_BYTES,
            ),
            Route(
                method="GET", path="/beacon/jwks.json", handler=self.get_jwks, who=ANYONE,
                summary="The keys that beacons' tokens are verified with",
            ),
            Route(
                method="GET", path="/beacon/time", handler=self.get_time, who=ANYONE, answer=TimeAnswer,
                summary="The server's time",
            ),
        ]  # fmt: skip

    async def post_token(self, call: Call[LoginBody, NoQuery]) -> Reply:
        parts, now, address = self._parts, self._parts.now(), address_of(call.request)
        parts.failures.check(address)
        try:
            async with parts.open_logins() as logins:
                beacon = await admit_beacon(
                    login_of(call.body), call.body.sig, rules=parts.rules, logins=logins, now=now
                )
        except UnauthenticatedError:
            parts.failures.count(address)
            raise
        signer = await parts.signer()
        token = signer.sign(beacon.id, now=now, ttl=TOKEN_TTL, claims={"kid": call.body.kid})
        answer = TokenAnswer(
            access_token=token,
            expires_in=int(TOKEN_TTL.total_seconds()),
            server_time_ms=int(now.timestamp() * 1000),
            config_version=beacon.version,
        )
        return Reply(body=answer, headers={"Cache-Control": "no-store"})

    async def get_jwks(self, _call: Call[NoBody, NoQuery]) -> Reply:
        return Reply(body=await self._parts.jwks(), headers={"Cache-Control": f"public, max-age={JWKS_MAX_AGE_S}"})

    async def get_time(self, _call: Call[NoBody, NoQuery]) -> Reply:
        answer = TimeAnswer(server_time_ms=int(self._parts.now().timestamp() * 1000))
        return Reply(body=answer, headers={"Cache-Control": "no-store"})


def login_of(body: LoginBody) -> Login:
    """Say in the service's terms what a beacon sent."""
    return Login(
        beacon_id=BeaconId(body.beacon_id),
        kid=body.kid,
        ts_ms=body.ts,
        boot=body.boot,
        uptime_ms=body.uptime_ms,
        nonce=body.nonce,
    )
