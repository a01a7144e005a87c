"""The keys that access tokens are signed with: shown before they are used, and for a while after."""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from cryptography.hazmat.primitives.asymmetric import ec

from contracts.events.envelope import Cause, Event
from contracts.events.identity import KeyRevoked, KeyRotated
from contracts.problems import NotFoundError, UnavailableError
from identity_svc.domain.accounts import Account
from identity_svc.domain.sessions import Session, access_life
from identity_svc.store.news import News
from infra.jwks import keys_of
from infra.postgres import Connection, Pool, transaction
from infra.secret_box import SecretBox
from infra.signing_keys import jwks, load_or_make, make
from infra.telemetry import logger
from infra.tokens import USER_TOKEN, TokenSigner
from streams.outbox import Outbox

# A key that an operator revokes is to be out of use within seconds; until then it signs tokens that nobody honours.
REFRESH_S = 2
# Verifiers that cache the JWKS must have seen a key before it signs, and keep it until its last token has expired.
SHOWN_BEFORE = SHOWN_AFTER = timedelta(hours=24)
ACTIVE_LIFE = timedelta(days=30)

LOCK_KEYS = "SELECT kid, state, state_since FROM signing_key WHERE state <> 'gone' ORDER BY kid FOR UPDATE"
SET_STATE = "UPDATE signing_key SET state = $2, state_since = $3 WHERE kid = $1"
COUNT_EVENT = "UPDATE signing_key SET version = version + 1 WHERE kid = $1 RETURNING version"

log = logger(__name__)


class KeyRing:
    """Satisfies ports.TokenMint and tokens.KeySource. Reads the keys anew all the time; keeps them while it cannot."""

    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box
        self._signer: TokenSigner | None = None
        self._document: dict[str, Any] = {"keys": []}
        self._public: dict[str, ec.EllipticCurvePublicKey] = {}
        self._tried_at_s = float("-inf")

    async def issue(self, account: Account, session: Session, *, now: datetime) -> str:
        await self._refresh()
        if self._signer is None:
            raise UnavailableError("keys_unavailable")
        claims = {
            "sid": str(session.id),
            "user_type": account.type,
            "school_id": str(account.school_id) if account.school_id else None,
            "admin_role": account.admin_role,
        }
        return self._signer.sign(account.id, now=now, ttl=access_life(session, account.type, now=now), claims=claims)

    async def jwks(self) -> dict[str, Any]:
        await self._refresh()
        return self._document

    async def find(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        await self._refresh()
        return self._public.get(kid)

    async def _refresh(self) -> None:
        if self._signer is not None and time.monotonic() - self._tried_at_s < REFRESH_S:
            return
        self._tried_at_s = time.monotonic()
        try:
            kid, key = await load_or_make(self._pool, self._box)
            self._document = await jwks(self._pool)
        except UnavailableError:
            if self._signer is None:
                raise
            log.warning("signing keys could not be read anew", action="keys")
            return
        self._signer, self._public = TokenSigner(USER_TOKEN, key=key, kid=kid), keys_of(self._document)

    async def ready(self) -> bool:
        """Return whether there is a key to sign with."""
        try:
            await self._refresh()
        except UnavailableError:
            return False
        return True


class KeyCupboard:
    """Moves the keys through their states: next, active, retired, gone."""

    def __init__(self, pool: Pool, *, box: SecretBox, outbox: Outbox) -> None:
        self._pool, self._box, self._outbox = pool, box, outbox

    async def maintain(self, *, now: datetime) -> None:
        """Show the next key, let it take over from one that has signed for 30 days, and drop retired ones."""
        async with transaction(self._pool) as lent:
            keys = {row["kid"]: row for row in await lent.fetch(LOCK_KEYS)}
            active, next_ = (_in_state(keys, state) for state in ("active", "next"))
            for kid, row in keys.items():
                if row["state"] == "retired" and now - row["state_since"] > SHOWN_AFTER:
                    await lent.execute(SET_STATE, kid, "gone", now)
            is_old = active is not None and now - keys[active]["state_since"] >= ACTIVE_LIFE - SHOWN_BEFORE
            if is_old and next_ is None:
                await self._make_next(lent, now=now)
            elif is_old and next_ is not None and now - keys[next_]["state_since"] >= SHOWN_BEFORE:
                await self._replace(lent, active, next_, now=now)

    async def revoke(self, kid: str, *, now: datetime) -> None:
        """Stop trusting a key at once; if it was the active one, another takes its place.

        Raises: NotFoundError.
        """
        async with transaction(self._pool) as lent:
            keys = {row["kid"]: row for row in await lent.fetch(LOCK_KEYS)}
            if kid not in keys:
                raise NotFoundError("not_found")
            await lent.execute(SET_STATE, kid, "gone", now)
            await self._announce(lent, kid, KeyRevoked(kid=kid), now=now)
            if keys[kid]["state"] == "active":
                next_ = _in_state(keys, "next") or await self._make_next(lent, now=now)
                await self._replace(lent, None, next_, now=now)

    async def _make_next(self, lent: Connection, *, now: datetime) -> str:
        kid = await make(lent, self._box, state="next")
        await lent.execute(SET_STATE, kid, "next", now)
        return kid

    async def _replace(self, lent: Connection, active: str | None, next_: str, *, now: datetime) -> None:
        if active is not None:
            await lent.execute(SET_STATE, active, "retired", now)
        await lent.execute(SET_STATE, next_, "active", now)
        await self._announce(lent, next_, KeyRotated(kid=next_), now=now)

    async def _announce(self, lent: Connection, kid: str, event: Event, *, now: datetime) -> None:
        version = await lent.fetchval(COUNT_EVENT, kid)
        news = News(lent, outbox=self._outbox, cause=Cause(at=now, actor_type="service"))
        await news.announce("key", key_id(kid), (version, event), school_id=None)


def _in_state(keys: dict[str, Any], state: str) -> str | None:
    return next((kid for kid, row in keys.items() if row["state"] == state), None)


def key_id(kid: str) -> UUID:
    """Return the id by which the log knows the key named `kid`."""
    return uuid5(NAMESPACE_URL, f"urn:rollcall:signing-key:{kid}")
