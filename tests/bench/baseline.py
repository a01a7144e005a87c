"""Baseline A: a single proof through the naive variant, to be compared with ours."""

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.ids import new_id
from infra.canon import kid_of, to_spki
from infra.certs import renew
from infra.clock import utc_now
from infra.demo.devices import Beacon, new_key
from infra.tokens import BEACON_TOKEN, TokenSigner
from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample
from tests.bench.floors import Ground, child
from tests.bench.load import CONNECTIONS, Call, Connection, closed_loop, open_connections, post
from tests.bench.naive_servers import HOST, Setup
from tests.bench.names import BASELINE

OK = 200
CODE_BITS = 27
SCHEMA = """
CREATE TABLE naive_signature (
    id uuid PRIMARY KEY, course_id uuid NOT NULL, subject_id uuid NOT NULL, status text NOT NULL, method text NOT NULL,
    t timestamptz NOT NULL, received_at timestamptz NOT NULL, beacon_id uuid, classroom_id uuid,
    key text NOT NULL UNIQUE
);
CREATE UNIQUE INDEX naive_signature_standing ON naive_signature (course_id, subject_id) WHERE status = 'ACCEPTED';
CREATE TABLE naive_student_signature (
    signature_id uuid PRIMARY KEY REFERENCES naive_signature, uncertainty_ms bigint NOT NULL, proof bytea NOT NULL
);
CREATE TABLE naive_transition (
    signature_id uuid NOT NULL REFERENCES naive_signature, n bigint NOT NULL, to_status text NOT NULL,
    reason text NOT NULL, actor_id uuid, at timestamptz NOT NULL, PRIMARY KEY (signature_id, n)
);
CREATE TABLE naive_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text NOT NULL, body bytea NOT NULL
);
"""
COUNT = "SELECT count(*) FROM naive_outbox"


class NaiveLossError(Exception):
    """The baseline answered for more than it kept, so it is no baseline."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The running variant, and the beacons that push to it. signer: of their tokens."""

    programs: dict[str, list[int]]
    door: tuple[str, int]
    beacons: Sequence[Beacon]
    signer: TokenSigner
    bystanders: Sequence[int]
    database_url: str

    async def measure(self, requests: int, *, most_s: float) -> Sample:
        """Push so many proofs from each beacon, one connection each. Raises: NaiveLossError."""
        kept_before = await self._count()
        async with AsyncExitStack() as stack:
            connections = await open_connections(stack, len(self.beacons), *self.door)
            pairs = zip(self.beacons, connections, strict=True)
            lines = [list(self._line(beacon, each, requests)) for beacon, each in pairs]
            with CpuMeter(self.programs, bystanders=self.bystanders) as used:
                load = await closed_loop(lines, seconds=most_s)
        if await self._count() - kept_before < len(load.latencies_s):
            raise NaiveLossError("the baseline lost signatures")
        return load.sample(BASELINE, used)

    async def _count(self) -> int:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(COUNT)
        finally:
            await connection.close()

    def _line(self, beacon: Beacon, connection: Connection, requests: int) -> Iterator[Call]:
        token = self.signer.sign(beacon.id, now=utc_now(), ttl=BEACON_TOKEN.max_ttl, claims={})
        for _ in range(requests):
            proof = json.dumps(beacon.observe(secrets.randbits(CODE_BITS))).encode()
            yield partial(push, connection, post("/beacon/proofs", proof, token=token))
        beacon.queue.clear()


async def push(connection: Connection, request: bytes) -> str | None:
    heard = await connection.send(request)
    return None if heard.status == OK and heard.json()["status"] == "ACCEPTED" else heard.fault()


@asynccontextmanager
async def baseline(folder: Path, on: Ground) -> AsyncIterator[Baseline]:
    """Start the three servers on the floors' PostgreSQL, which keeps every commit as the system's does."""
    beacon_key, token_key = new_key(), new_key()
    renew(folder / "naive")
    url = on.postgres.admin_url
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()
    setup = Setup(
        identity_folder=folder / "naive",
        database_url=url,
        kid=kid_of(token_key.public_key()),
        token_spki=spki(token_key),
        beacon_spki=spki(beacon_key),
    )
    async with AsyncExitStack() as stack:
        programs = {"postgres": [on.postgres.child.pid]}
        port = 0
        for name in ("academics", "attendance", "beacon"):
            told = setup.model_copy(update={"next_port": port}).model_dump_json()
            pid, port = await stack.enter_async_context(child(name, told, module="naive_servers"))
            programs[f"naive {name}"] = [pid]
        yield Baseline(
            programs=programs,
            door=(HOST, port),
            beacons=[
                Beacon(id=new_id(), serial=f"NAIVE-{n}", origin=BASELINE, key=beacon_key) for n in range(CONNECTIONS)
            ],
            signer=TokenSigner(BEACON_TOKEN, key=token_key, kid=setup.kid),
            bystanders=[*on.bystanders, *on.pids],
            database_url=url,
        )


def spki(key: ec.EllipticCurvePrivateKey) -> str:
    return to_spki(key.public_key()).hex()
