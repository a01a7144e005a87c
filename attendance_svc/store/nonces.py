"""The nonces of requests that students' devices signed."""

from datetime import datetime

from attendance_svc.domain.attempts import DeviceRequest
from infra.device_requests import NONCE_LIFE, keep_nonce, read_signed_request
from infra.postgres import Pool, transaction


class PostgresNonces:
    """Satisfies ports.Nonces. Commits by itself: a nonce is used up even when what follows fails."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, request: DeviceRequest, *, now: datetime) -> bool:
        signed = read_signed_request(dict(request.headers), method=request.method, path=request.path, body=request.body)
        async with transaction(self._pool) as connection:
            return await keep_nonce(connection, owner_id=signed.device_id, nonce=signed.nonce, now=now, life=NONCE_LIFE)
