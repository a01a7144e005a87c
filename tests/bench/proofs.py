"""Beacons push proofs, one at a time or a hundred: the hot path."""

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial

from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample
from tests.bench.load import NO_ANSWER, Call, Connection, Heard, closed_loop, open_connections, post
from tests.bench.running import System
from tests.bench.schools import Room

SINGLE = "a proof by itself"
BATCH = "a proof among 100"
PROOFS_PER_BATCH = 100
OK = 200


class BeaconFailedError(Exception):
    """A beacon could not log in."""


class ProofLoad:
    """Pushes proofs, each of a student who has not signed that course. acknowledged: signatures that were promised."""

    def __init__(self, system: System, *, bystanders: list[int]) -> None:
        self._system, self._bystanders = system, bystanders
        self.acknowledged: list[str] = []

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
            lines = [self._line(connection, room, per_request, requests) for connection, room in pairs]
            with CpuMeter(self._system.programs(), bystanders=self._bystanders) as used:
                load = await closed_loop(lines)
                await self._system.drained()
        return load.sample(name, used, per_request=per_request)

    def _line(self, connection: Connection, room: Room, per_request: int, requests: int) -> Iterator[Call]:
        """Signs each request when it is asked for it, so that single proofs are as fresh as they would be."""
        codes = room.take_codes(per_request * requests)
        for start in range(0, len(codes), per_request):
            proofs = [room.beacon.observe(code.number) for code in codes[start : start + per_request]]
            body = proofs[0] if per_request == 1 else {"proofs": proofs}
            request = post("/beacon/proofs", json.dumps(body).encode(), token=room.beacon.token)
            yield partial(self._push, connection, request)

    async def _push(self, connection: Connection, request: bytes) -> str | None:
        heard = await connection.send(request)
        if heard.status != OK:
            return heard.fault()
        results = heard.json()["results"]
        for result in results:
            if (result["status"], result["signature_status"]) != ("accepted", "ACCEPTED"):
                return f"{result['status']} {result['reason']} {result['signature_status']}"
        self.acknowledged += [result["signature_id"] for result in results]
        return None


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
