"""The keys of beacons' tokens."""

import time
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from contracts.problems import UnavailableError
from infra.jwks import keys_of
from infra.postgres import Pool
from infra.secret_box import SecretBox
from infra.signing_keys import jwks, load_or_make
from infra.tokens import BEACON_TOKEN, TokenSigner

REFRESH_S = 60
UNKNOWN_KEY_REFRESH_S = 30


class KeyRing:
    """Signs beacons' tokens, and verifies them (tokens.KeySource).

    Loads its keys at first use, so that a start needs no database, and anew each minute: another process may make one.
    """

    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box
        self._signer: TokenSigner | None = None
        self._public: dict[str, ec.EllipticCurvePublicKey] = {}
        self._loaded_at_s = float("-inf")

    async def signer(self) -> TokenSigner:
        """Return what signs. Raises: UnavailableError("database_down") until it could be loaded."""
        if self._signer is None:
            kid, key = await load_or_make(self._pool, self._box)
            self._signer = TokenSigner(BEACON_TOKEN, key=key, kid=kid)
        return self._signer

    async def jwks(self) -> Mapping[str, Any]:
        """Return the JWKS document; there is at least one key in it."""
        await self.signer()
        return await jwks(self._pool)

    async def find(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        max_age_s = REFRESH_S if kid in self._public else UNKNOWN_KEY_REFRESH_S
        if time.monotonic() - self._loaded_at_s > max_age_s:
            try:
                self._public = keys_of(await self.jwks())
                self._loaded_at_s = time.monotonic()
            except UnavailableError:
                if not self._public:
                    raise
        return self._public.get(kid)

    async def ready(self) -> bool:
        """Return whether tokens can be signed."""
        try:
            await self.signer()
        except UnavailableError:
            return False
        return True
