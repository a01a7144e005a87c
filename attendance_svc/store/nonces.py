"""The nonces of requests that students' devices signed."""

from collections.abc import Sequence
from datetime import datetime

from attendance_svc.ports import OwnPhone
from infra.coalescer import Coalescer
from infra.device_requests import NONCE_LIFE, Nonce, keep_nonces
from infra.postgres import Pool, connection


class PostgresNonces:
    """Satisfies ports.Nonces. Commits by itself: a nonce is used up even when what follows fails.

    Those of requests that come together are recorded together. What fails is not tried again here: when a commit was
    interrupted, nobody could tell a first use from a second one.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._keeping: Coalescer[tuple[Nonce, datetime], bool] = Coalescer(self._keep)

    async def keep(self, phone: OwnPhone, *, now: datetime) -> bool:
        return await self._keeping.submit(((phone.device_id, phone.nonce), now))

    async def _keep(self, wanted: Sequence[tuple[Nonce, datetime]]) -> Sequence[bool]:
        now = max(now for _, now in wanted)
        async with connection(self._pool) as lent:
            return await keep_nonces(lent, [nonce for nonce, _ in wanted], now=now, life=NONCE_LIFE)
