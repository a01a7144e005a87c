"""Beacons push proofs, one at a time, ten or a hundred: the hot path."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample
from tests.bench.load import NO_ANSWER, Call, Connection, Heard, closed_loop, open_connections, post
from tests.bench.names import BATCH, CROWD, ONE_PROCESS, SINGLE, WIDE
from tests.bench.running import System
from tests.bench.schools import Code, Room

OK = 200
# Stored, whatever became of it.
TAKEN = (200, 202)
MOST_TRIES = 5
# Tokens live for ten minutes.
TOKEN_S = 300.0


class BeaconFailedError(Exception):
    """A beacon could not log in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A way to push. requests: of each beacon. is_burst: all that is sent is sent at the same moment."""

    name: str
    per_request: int = 1
    requests: int = 1
    is_burst: bool = False

    @property
    def codes(self) -> int:
        """How many codes each room needs for it."""
        return self.per_request * self.requests


PROOFS_PER_BATCH = 100
A_CROWD = Piece(name=CROWD, per_request=10, is_burst=True)


def singles(requests: int) -> Piece:
    """One proof per request."""
    return Piece(name=SINGLE, requests=requests)


def wide(requests: int) -> Piece:
    """The same, from four times as many beacons."""
    return Piece(name=WIDE, requests=requests)


def batches(requests: int) -> Piece:
    """As many as a request may carry."""
    return Piece(name=BATCH, per_request=PROOFS_PER_BATCH, requests=requests)


def in_one_process(requests: int) -> Piece:
    """Single proofs, where beacon_svc and attendance_svc are one program."""
    return Piece(name=ONE_PROCESS, requests=requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request body that is ready to be sent. codes: what was seen. seq, prev: of the beacon before it signed."""

    body: bytes
    codes: Sequence[Code]
    seq: int
    prev: str


class Line:
    """What one beacon will push: signed beforehand: signing must not take from the machine that is measured."""

    def __init__(self, room: Room, piece: Piece) -> None:
        self.room = room
        codes, size = room.take_codes(piece.codes), piece.per_request
        self._ready = [self._sign(codes[start : start + size]) for start in range(0, len(codes), size)]
        self._ready.reverse()

    def _sign(self, codes: Sequence[Code]) -> Signed:
        beacon = self.room.beacon
        seq, prev = beacon.seq, beacon.prev
        proofs = [beacon.observe(code.number) for code in codes]
        body = json.dumps(proofs[0] if len(proofs) == 1 else {"proofs": proofs}).encode()
        return Signed(body=body, codes=codes, seq=seq, prev=prev)

    def __iter__(self) -> Iterator[bytes]:
        while self._ready:
            yield self._ready.pop().body

    def forget_unsent(self) -> None:
        """Take back what time did not suffice for: the beacon has not signed it, the codes were not seen."""
        if self._ready:
            beacon = self.room.beacon
            beacon.seq, beacon.prev = self._ready[-1].seq, self._ready[-1].prev
            self.room.codes.extendleft(code for signed in self._ready for code in reversed(signed.codes))
        self.room.beacon.queue.clear()


class ProofLoad:
    """Pushes proofs, each of a student who has not signed that course.

    acknowledged: signatures that were promised. most_s: after so long a piece ends with what it has.
    """

    def __init__(self, system: System, *, bystanders: list[int], most_s: float) -> None:
        self._system, self._bystanders, self._most_s = system, bystanders, most_s
        self.acknowledged: list[str] = []
        self._logged_in_s: dict[UUID, float] = {}
        # By beacon: what it pushed last and was not taken. Whatever it signed after that would be held.
        self._untaken: dict[UUID, bytes] = {}

    async def measure(self, piece: Piece, rooms: Sequence[Room]) -> Sample:
        """Push from all these rooms at once, one connection each."""
        async with AsyncExitStack() as stack:
            connections = await open_connections(stack, len(rooms), *self._system.door)
            pairs = list(zip(connections, rooms, strict=True))
            await asyncio.gather(*(self._get_ready(*pair) for pair in pairs))
            lines = [Line(room, piece) for room in rooms]
            pushes = [self._pushes_of(line, each) for line, each in zip(lines, connections, strict=True)]
            with CpuMeter(self._system.programs(), bystanders=self._bystanders) as used:
                load = await closed_loop(pushes, seconds=self._most_s)
                await self._system.drained()
        for line in lines:
            line.forget_unsent()
        return load.sample(piece.name, used, per_request=piece.per_request, is_burst=piece.is_burst)

    async def _get_ready(self, connection: Connection, room: Room) -> None:
        """Log in, and push what an earlier piece left behind. Raises: BeaconFailedError."""
        if time.monotonic() - self._logged_in_s.get(room.beacon.id, -TOKEN_S) >= TOKEN_S:
            await log_in(connection, room)
            self._logged_in_s[room.beacon.id] = time.monotonic()
        body = self._untaken.get(room.beacon.id)
        faults = [] if body is None else [await call() for call in self._pushes(connection, room, body)]
        if room.beacon.id in self._untaken:
            raise BeaconFailedError(faults[-1])

    def _pushes_of(self, line: Line, connection: Connection) -> Iterator[Call]:
        for body in line:
            yield from self._pushes(connection, line.room, body)
            if line.room.beacon.id in self._untaken:
                return

    def _pushes(self, connection: Connection, room: Room, body: bytes) -> Iterator[Call]:
        """Yield the same push until it is taken, or was tried often, as a beacon does."""
        self._untaken[room.beacon.id] = body
        request = post("/beacon/proofs", body, token=room.beacon.token)
        for _ in range(MOST_TRIES):
            yield partial(self._push, connection, room, request)
            if room.beacon.id not in self._untaken:
                return

    async def _push(self, connection: Connection, room: Room, request: bytes) -> str | None:
        heard = await connection.send(request)
        if heard.status not in TAKEN:
            return heard.fault()
        self._untaken.pop(room.beacon.id, None)
        results = heard.json()["results"]
        good = [result for result in results if result["signature_status"] == "ACCEPTED"]
        self.acknowledged += [result["signature_id"] for result in good]
        bad = next((result for result in results if result["signature_status"] != "ACCEPTED"), None)
        return bad and f"{bad['status']} {bad['reason']} {bad['signature_status']}"


async def log_in(connection: Connection, room: Room) -> None:
    """Get the room's beacon a token, which lasts longer than a round. Raises: BeaconFailedError."""
    beacon = room.beacon
    beacon.queue.clear()
    try:
        heard = await connection.send(post("/beacon/auth/token", json.dumps(beacon.login_body()).encode()))
    except NO_ANSWER as error:
        heard = Heard(0, type(error).__name__.encode())
    if heard.status != OK:
        raise BeaconFailedError(heard.fault())
    beacon.token = heard.json()["access_token"]
