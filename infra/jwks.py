"""Verifying keys of another service, loaded over HTTP and kept while their issuer is away."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.problems import UnavailableError
from infra.telemetry import logger

REFRESH_S = 300
# However many tokens name an unknown key, their issuer is asked this seldom.
UNKNOWN_KEY_REFRESH_S = 30
# Of a key that the issuer has announced; also while there are no keys at all, where everybody would wait for a fetch.
WANTED_KEY_REFRESH_S = 1
FETCH_TIMEOUT_S = 2

log = logger(__name__)


class RemoteKeys:
    """Satisfies tokens.KeySource from a JWKS document. Keeps the last good one when its issuer is away."""

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._url, self._monotonic = url, monotonic
        self._keys: dict[str, ec.EllipticCurvePublicKey] | None = None
        self._loaded_at_s = self._tried_at_s = float("-inf")
        self._announced: set[str] = set()
        self._loading = asyncio.Lock()

    def announce(self, kid: str) -> None:
        """Ask for this key without delay once a token names it: its issuer says that it signs with it now."""
        self._announced.add(kid)

    async def find(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        known = self._keys is not None and kid in self._keys
        is_wanted = self._keys is None or (not known and kid in self._announced)
        pause_s = WANTED_KEY_REFRESH_S if is_wanted else UNKNOWN_KEY_REFRESH_S
        is_old = self._monotonic() - self._loaded_at_s > (REFRESH_S if known else pause_s)
        # One caller waits for an issuer that hangs; who knows the key goes on.
        if self._keys is None or (is_old and not (known and self._loading.locked())):
            await self._refresh(pause_s)
        if self._keys is None:
            raise UnavailableError("keys_unavailable")
        return self._keys.get(kid)

    async def ready(self) -> bool:
        """Return whether keys are there to verify with; tries to load them when not."""
        if self._keys is None:
            await self._refresh(WANTED_KEY_REFRESH_S)
        return self._keys is not None

    async def _refresh(self, pause_s: float) -> None:
        async with self._loading:
            if self._monotonic() - self._tried_at_s < pause_s:
                return
            self._tried_at_s = self._monotonic()
            try:
                self._keys = keys_of(await self._fetch())
                self._loaded_at_s = self._monotonic()
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                log.warning("keys could not be loaded", action="jwks", url=self._url, error=type(error).__name__)

    async def _fetch(self) -> Any:  # noqa: ANN401 -- any JSON value
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._url) as answer:
            answer.raise_for_status()
            return await answer.json()


class LocalKeys:
    """Satisfies tokens.KeySource from keys that this process holds."""

    def __init__(self, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> None:
        self._keys = keys

    async def find(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        return self._keys.get(kid)


def keys_of(document: Any) -> dict[str, ec.EllipticCurvePublicKey]:  # noqa: ANN401 -- any JSON value
    """Return the P-256 keys of a JWKS document by kid. Raises: ValueError when it has none, or one is malformed."""
    found: dict[str, ec.EllipticCurvePublicKey] = {}
    try:
        for jwk in document["keys"]:
            if (jwk["kty"], jwk.get("crv")) == ("EC", "P-256"):
                key = jwt.PyJWK(jwk, "ES256").key
                if isinstance(key, ec.EllipticCurvePublicKey):
                    found[str(jwk["kid"])] = key
    except (jwt.PyJWTError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("not a JWKS document") from error
    if not found:
        raise ValueError("no keys")
    return found
