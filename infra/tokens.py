"""Access tokens: ES256 JWTs, signed by identity_svc for people and by beacon_svc for beacons, verified by everybody."""

import hashlib
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

from contracts.ids import canonical_uuid
from contracts.problems import MalformedError, UnauthenticatedError
from infra.canon import from_base64url, is_signed
from infra.strict_json import strict_loads

CallerType = Literal["student", "teacher", "admin", "dev", "beacon"]
USER_TYPES = frozenset(get_args(CallerType)) - {"beacon"}

LEEWAY = timedelta(seconds=30)
# Developers reach every school, so what is stolen from one shall be of use for half as long.
MAX_TTL_OF_DEVELOPERS = timedelta(seconds=300)
MAX_TOKEN_CHARS = 4096
KID = re.compile(r"[A-Za-z0-9_-]{16,64}")
# Each asks the verifier to trust something that the token itself names.
REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})
# All tokens of one key have the same header.
HEADERS_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
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


# What reading a text may raise that no issuer of ours wrote.
NOT_OURS = (MalformedError, ValueError, TypeError, AttributeError, OverflowError, KeyError)


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
        try:
            kid = kid_of_token(token, self._kind)
            key = await self._keys.find(kid)
            caller, issued_at = to_caller(read_claims(token, key, self._kind), self._kind)
        except NOT_OURS as error:
            raise UnauthenticatedError("token_invalid") from error
        max_ttl = MAX_TTL_OF_DEVELOPERS if caller.type == "dev" else self._kind.max_ttl
        if issued_at > self._now() + LEEWAY or caller.expires_at - issued_at > max_ttl:
            raise UnauthenticatedError("token_invalid")
        return caller, kid, issued_at


def kid_of_token(token: str, kind: TokenKind) -> str:
    """Return the name of the key that `token` says it was signed with. Raises: ValueError and its kin."""
    if len(token) > MAX_TOKEN_CHARS:
        raise ValueError("too long")
    return _kid_of_header(token.partition(".")[0], kind.type)


@lru_cache(maxsize=HEADERS_REMEMBERED)
def _kid_of_header(text: str, type_: str) -> str:
    header = strict_loads(from_base64url(text))
    kid = header["kid"]
    if header["alg"] != "ES256" or header["typ"] != type_ or REFUSED_HEADERS & header.keys():
        raise ValueError("another kind of token")
    if not isinstance(kid, str) or not KID.fullmatch(kid):
        raise ValueError("a kid is a plain word")
    return kid


def read_claims(token: str, key: ec.EllipticCurvePublicKey | None, kind: TokenKind) -> Mapping[str, Any]:
    """Return what `token` claims, when `key` signed it (None: nobody's) for us. Its header was read.

    Raises: ValueError and its kin. Source: RFC 7515 sections 3.1 and 5.2, RFC 7518 section 3.4.
    """
    message, _, signature = token.rpartition(".")
    if key is None or not is_signed(message.encode("ascii"), signature, key):
        raise ValueError("not signed")
    claims: Mapping[str, Any] = strict_loads(from_base64url(message.partition(".")[2]))
    if (claims["iss"], claims["aud"]) != (kind.issuer, kind.audience) or not isinstance(claims["jti"], str):
        raise ValueError("not for us")
    return claims


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
