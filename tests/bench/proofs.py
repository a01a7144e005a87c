"""Beacons push proofs, one at a time or a hundred: the hot path."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample
from tests.bench.load import NO_ANSWER, Call, Connection, Heard, closed_loop, open_connections, post
from tests.bench.running import System
from tests.bench.schools import Room

SINGLE = "a proof by itself"
BATCH = "a proof among 100"
PROOFS_PER_BATCH = 100
OK = 200
# Stored, whatever became of it.
TAKEN = (200, 202)
MOST_TRIES = 5


class BeaconFailedError(Exception):
    """A beacon could not log in."""


class ProofLoad:
    """Pushes proofs, each of a student who has not signed that course.

    acknowledged: signatures that were promised. most_s: after so long a piece ends with what it has.
    """

    def __init__(self, system: System, *, bystanders: list[int], most_s: float) -> None:
        self._system, self._bystanders, self._most_s = system, bystanders, most_s
        self.acknowledged: list[str] = []
        # By beacon: what it pushed last and was not taken. Whatever it signed after that would be held.
        self._untaken: dict[UUID, bytes] = {}

    async def singles(self, rooms: list[Room], *, per_room: int) -> Sample:
        """Push from all rooms at once, one connection each."""
        return await self._measure(SINGLE, rooms, per_request=1, requests=per_room)

    async def batches(self, rooms: list[Room], *, per_room: int) -> Sample:
        """The same, a hundred in a request."""
        return await self._measure(BATCH, rooms, per_request=PROOFS_PER_BATCH, requests=per_room)

    async def _measure(self, name: str, rooms: list[Room], *, per_request: int, requests: int) -> Sample:
        async with AsyncExitStack() as stack:
            connections = await open_connections(stack, len(rooms), *self._system.door)
            pairs = list(zip(connections, rooms, strict=True))
            for connection, room in pairs:
                await log_in(connection, room)
                await self._catch_up(connection, room)
            lines = [self._line(connection, room, per_request, requests) for connection, room in pairs]
            with CpuMeter(self._system.programs(), bystanders=self._bystanders) as used:
                load = await closed_loop(lines, seconds=self._most_s)
                await self._system.drained()
        return load.sample(name, used, per_request=per_request)

    async def _catch_up(self, connection: Connection, room: Room) -> None:
        """Push what an earlier piece left behind. Raises: BeaconFailedError."""
        body = self._untaken.get(room.beacon.id)
        faults = [] if body is None else [await call() for call in self._pushes(connection, room, body)]
        if room.beacon.id in self._untaken:
            raise BeaconFailedError(faults[-1])

    def _line(self, connection: Connection, room: Room, per_request: int, requests: int) -> Iterator[Call]:
        """Sign each request when it is asked for, so that single proofs are as fresh as they would be."""
        codes = room.take_codes(per_request * requests)
        for start in range(0, len(codes), per_request):
            proofs = [room.beacon.observe(code.number) for code in codes[start : start + per_request]]
            body = json.dumps(proofs[0] if per_request == 1 else {"proofs": proofs}).encode()
            yield from self._pushes(connection, room, body)
            if room.beacon.id in self._untaken:
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
