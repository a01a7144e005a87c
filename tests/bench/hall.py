"""A hall full of students at once: they sign by NFC, and they ask for codes to blink."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from uuid import uuid4

import asyncpg

from infra.clock import utc_now
from infra.demo.devices import Phone
from infra.local.databases import with_database
from infra.secret_box import SecretBox
from infra.signing_keys import load_or_make
from infra.tokens import USER_TOKEN, TokenSigner
from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample
from tests.bench.load import (
    CONNECTIONS,
    NO_ANSWER,
    Call,
    Connection,
    Load,
    closed_loop,
    open_connections,
    post,
)
from tests.bench.names import BURST, CODES
from tests.bench.running import System
from tests.bench.schools import Room

TOKEN_TTL = timedelta(minutes=5)
CREATED = 201


class HallLoad:
    """Students of one hall, none of whom any service has heard of before. acknowledged: signatures promised."""

    def __init__(self, system: System, signer: TokenSigner, *, bystanders: list[int]) -> None:
        self._system, self._signer, self._bystanders = system, signer, bystanders
        self.acknowledged: list[str] = []

    @classmethod
    @asynccontextmanager
    async def opened(cls, system: System, *, bystanders: list[int]):
        """Take identity's own key to sign the students' tokens with: three hundred logins would only heat the room."""
        url = with_database(system.stack.postgres.admin_url, "identity")
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            kid, key = await load_or_make(pool, SecretBox.from_file(system.stack.place.keys / "identity"))
        yield cls(system, TokenSigner(USER_TOKEN, key=key, kid=kid), bystanders=bystanders)

    async def burst(self, hall: Room) -> Sample:
        """All at the same moment, each on a connection that is open already."""
        course_id = str(hall.course_ids[0])
        body = {"course_id": course_id, "method": "nfc", "serial": hall.beacon.serial, "code": hall.beacon.nfc_code()}
        requests = [self._signed(hall, phone, "/signatures", body) for phone in hall.phones]
        load = Load()
        async with AsyncExitStack() as stack:
            connections = await open_connections(stack, len(requests), *self._system.door)
            with CpuMeter(self._system.programs(), bystanders=self._bystanders) as used:
                started = time.perf_counter()
                calls = (
                    self._sign(connection, request, load, started)
                    for connection, request in zip(connections, requests, strict=True)
                )
                await asyncio.gather(*calls)
                load.elapsed_s = time.perf_counter() - started
                await self._system.drained()
        return load.sample(BURST, used, is_burst=True)

    async def codes(self, hall: Room) -> Sample:
        """Every student once, 64 at a time."""
        body = {"course_id": str(hall.course_ids[0])}
        requests = [self._signed(hall, phone, "/beacon/flash-codes", body) for phone in hall.phones]
        async with AsyncExitStack() as stack:
            connections = await open_connections(stack, CONNECTIONS, *self._system.door)
            lines = [line(each, requests[n::CONNECTIONS]) for n, each in enumerate(connections)]
            with CpuMeter(self._system.programs(), bystanders=self._bystanders) as used:
                load = await closed_loop(lines)
                await self._system.drained()
        return load.sample(CODES, used)

    def _signed(self, hall: Room, phone: Phone, path: str, body: dict[str, str]) -> bytes:
        claims = {"sid": str(uuid4()), "user_type": "student", "school_id": str(hall.school_id)}
        token = self._signer.sign(phone.student_id, now=utc_now(), ttl=TOKEN_TTL, claims=claims)
        raw = json.dumps(body).encode()
        return post(path, raw, token=token, headers=phone.sign("POST", path, raw))

    async def _sign(self, connection: Connection, request: bytes, load: Load, started: float) -> None:
        try:
            heard = await connection.send(request)
        except NO_ANSWER as error:
            load.failures.append(type(error).__name__)
            return
        if heard.status != CREATED:
            load.failures.append(heard.fault())
            return
        signature = heard.json()
        if signature["status"] != "ACCEPTED":
            load.failures.append(f"{signature['status']} {signature['reason']}")
            return
        load.latencies_s.append(time.perf_counter() - started)
        self.acknowledged.append(signature["id"])


def line(connection: Connection, requests: list[bytes]) -> Iterator[Call]:
    return (partial(ask_code, connection, request) for request in requests)


async def ask_code(connection: Connection, request: bytes) -> str | None:
    heard = await connection.send(request)
    return None if heard.status == CREATED else heard.fault()
