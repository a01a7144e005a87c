"""Access tokens: ES256 JWTs, signed by identity_svc for people and by beacon_svc for beacons, verified by everybody."""

import hashlib
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Protocol, get_args
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.types import Options

from contracts.ids import canonical_uuid
from contracts.problems import UnauthenticatedError
from contracts.values import value
from infra.canon import from_base64url

CallerType = Literal["student", "teacher", "admin", "dev", "beacon"]
USER_TYPES = frozenset(get_args(CallerType)) - {"beacon"}

LEEWAY = timedelta(seconds=30)
# Developers reach every school, so what is stolen from one shall be of use for half as long.
MAX_TTL_OF_DEVELOPERS = timedelta(seconds=300)
MAX_TOKEN_CHARS = 4096
KID = re.compile(r"[A-Za-z0-9_-]{16,64}")
# PyJWT ignores these; each asks the verifier to trust something that the token itself names.
REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
CLAIM_RULES: Options = {
    "require": ["exp", "iat", "sub", "jti"],
    "strict_aud": True,
    # Times are checked against the Clock, not against PyJWT's own.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@value
class Caller:
    """Who a verified token speaks for; only a verifier makes one.

    school_id: None for developers, and for beacons (whose school beacon_svc knows). admin_role: admins only.
    """

    id: UUID
    type: CallerType
    school_id: UUID | None
    admin_role: str | None
    session_id: UUID | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKind:
    """What tokens of one kind have in common. type: the `typ` header. max_ttl: no honest token lives longer."""

    issuer: str
    audience: str
    type: str
    max_ttl: timedelta = timedelta(seconds=600)


USER_TOKEN = TokenKind(issuer="rollcall-identity", audience="rollcall-api", type="at+jwt")
BEACON_TOKEN = TokenKind(issuer="rollcall-beacon", audience="rollcall-beacon", type="bt+jwt")


class KeySource(Protocol):
    """Where verifying keys come from."""

    async def find(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        """Return the key named `kid`, None when the issuer has no such key.

        Raises: UnavailableError("keys_unavailable") while no keys could be loaded.
        """
        ...


class TokenSigner:
    """Signs tokens of one kind with one key."""

    def __init__(self, kind: TokenKind, *, key: ec.EllipticCurvePrivateKey, kid: str) -> None:
        self._kind, self._key, self._kid = kind, key, kid

    def sign(self, subject: UUID, *, now: datetime, ttl: timedelta, claims: Mapping[str, str | None]) -> str:
        """Return a token for `subject`, valid from `now`; claims that are None are left out."""
        issued_at = int(now.timestamp())
        payload: dict[str, Any] = {
            "iss": self._kind.issuer,
            "aud": self._kind.audience,
            "sub": str(subject),
            "iat": issued_at,
            "exp": issued_at + int(ttl.total_seconds()),
            "jti": secrets.token_urlsafe(16),
        }
        payload |= {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": self._kid, "typ": self._kind.type}
        return jwt.encode(payload, self._key, algorithm="ES256", headers=headers)


@dataclass
class Revocations:
    """Sessions, people and keys whose tokens are void before they expire; filled by identity's events."""

    sessions: dict[UUID, datetime] = field(default_factory=dict)
    people: dict[UUID, datetime] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)

    def cover(self, caller: Caller, kid: str, issued_at: datetime) -> bool:
        """Return whether a token of `caller`, issued then with that key, is void."""
        gone_at = self.people.get(caller.id)
        return caller.session_id in self.sessions or kid in self.keys or (gone_at is not None and issued_at <= gone_at)


class TokenVerifier:
    """Verifies tokens of one kind; remembers verified ones until they expire."""

    def __init__(
        self,
        kind: TokenKind,
        keys: KeySource,
        *,
        now: Callable[[], datetime],
        revoked: Revocations | None = None,
        remembered_count: int = 10_000,
    ) -> None:
        self._kind, self._keys, self._now = kind, keys, now
        self._revoked = revoked or Revocations()
        self._remembered_count = remembered_count
        self._seen: OrderedDict[bytes, tuple[Caller, str, datetime]] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """Return who `token` speaks for.

        Raises: UnauthenticatedError("token_invalid" | "token_expired" | "token_revoked"),
        UnavailableError("keys_unavailable").
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._seen.get(digest)
        if known is None:
            known = await self._verify(token)
            self._seen[digest] = known
            if len(self._seen) > self._remembered_count:
                self._seen.popitem(last=False)
        caller, kid, issued_at = known
        if caller.expires_at + LEEWAY < self._now():
            raise UnauthenticatedError("token_expired")
        if self._revoked.cover(caller, kid, issued_at):
            raise UnauthenticatedError("token_revoked")
        return caller

    async def _verify(self, token: str) -> tuple[Caller, str, datetime]:
        kid = check_header(token, self._kind)
        key = await self._keys.find(kid)
        if key is None:
            raise UnauthenticatedError("token_invalid")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                audience=self._kind.audience,
                issuer=self._kind.issuer,
                options=CLAIM_RULES,
            )
            caller, issued_at = to_caller(claims, self._kind)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, KeyError) as error:
            raise UnauthenticatedError("token_invalid") from error
        max_ttl = MAX_TTL_OF_DEVELOPERS if caller.type == "dev" else self._kind.max_ttl
        if issued_at > self._now() + LEEWAY or caller.expires_at - issued_at > max_ttl:
            raise UnauthenticatedError("token_invalid")
        return caller, kid, issued_at


def check_header(token: str, kind: TokenKind) -> str:
    """Return the kid that `token` names, when its header is of the given kind and its spelling canonical.

    Raises: UnauthenticatedError("token_invalid").
    """
    header, *others = token.split(".")
    if len(token) > MAX_TOKEN_CHARS or len(others) != 2:  # noqa: PLR2004 -- claims, signature
        raise UnauthenticatedError("token_invalid")
    try:
        for each in others:
            from_base64url(each)
        return _kid_in(header, kind.type)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnauthenticatedError("token_invalid") from error


# Tokens that one key signs begin alike.
@lru_cache(maxsize=256)
def _kid_in(text: str, type_: str) -> str:
    header = json.loads(from_base64url(text))
    kid: str = header["kid"]
    right = header["alg"] == "ES256" and header["typ"] == type_ and not REFUSED_HEADERS & header.keys()
    if not right or not KID.fullmatch(kid):
        raise ValueError("not a header of ours")
    return kid


def to_caller(claims: Mapping[str, Any], kind: TokenKind) -> tuple[Caller, datetime]:
    """Read the claims of a verified token. Raises: ValueError and its kin for claims no issuer of ours writes."""
    type_: CallerType
    issued_at, expires_at = (_moment(claims[name]) for name in ("iat", "exp"))
    if kind is BEACON_TOKEN:
        type_, school_id, session_id = "beacon", None, None
    else:
        type_, session_id = claims["user_type"], canonical_uuid(claims["sid"])
        if type_ not in USER_TYPES:
            raise ValueError("unknown user_type")
        school_id = canonical_uuid(claims["school_id"]) if type_ != "dev" else None
    if not isinstance(claims.get("admin_role"), str | None):
        raise TypeError("admin_role is a word")
    caller = Caller(
        id=canonical_uuid(claims["sub"]),
        type=type_,
        school_id=school_id,
        admin_role=claims.get("admin_role"),
        session_id=session_id,
        expires_at=expires_at,
    )
    return caller, issued_at


def _moment(value: object) -> datetime:
    if type(value) is not int:
        raise ValueError("times are whole seconds")
    return datetime.fromtimestamp(value, UTC)
