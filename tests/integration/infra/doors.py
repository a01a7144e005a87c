"""A small REST door for the tests: every kind of route, and tokens for every kind of caller."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.problems import NotFoundError, PreconditionFailedError, TooManyRequestsError, UnavailableError
from infra.http_bodies import Answer, Body, Id, Moment, Name, PageQuery
from infra.http_events import Event
from infra.http_routes import ANYONE, BEACONS, PEOPLE, Call, Reply, Route
from infra.http_server import Doorkeeper, build_app, serve_app
from infra.jwks import LocalKeys
from infra.signing_keys import public_jwk
from infra.tokens import BEACON_TOKEN, USER_TOKEN, Revocations, TokenSigner, TokenVerifier

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
KID = public_jwk(KEY.public_key())["kid"]
PERSON, SCHOOL, ROOM = (UUID(int=n << 64 | 4 << 76 | 2 << 62) for n in (1, 2, 3))
PROBLEMS = {
    "missing": NotFoundError("not_found"),
    "stale": PreconditionFailedError("version_stale"),
    "busy": TooManyRequestsError("rate_limited", retry_after_s=7),
    "down": UnavailableError("database_down", "secret host name"),
    "bug": ZeroDivisionError("secret detail"),
}


class RoomBody(Body):
    name: Name
    opens_at: Moment | None = None
    beacon_ids: Sequence[Id] = ()


class HoursBody(Body):
    open: bool = True


class RoomAnswer(Answer):
    name: str


class RoomQuery(PageQuery):
    word: str | None = None


@dataclass
class Door:
    """What the handlers saw and how they answer. entered: one entry per call that reached a handler.

    readers: of each stream that is open, what it is told; None ends it.
    """

    entered: list = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    revoked: Revocations = field(default_factory=Revocations)
    readers: list = field(default_factory=list)
    now: datetime = NOW

    def routes(self):
        room = "/rooms/{room_id}"
        return [
            Route(method="GET", path="/open", handler=self.get, who=ANYONE),
            Route(method="GET", path="/rooms", handler=self.get, who=PEOPLE, query=RoomQuery),
            Route(method="POST", path="/rooms", handler=self.post, who=PEOPLE, body=RoomBody, status=201),
            Route(method="GET", path=room, handler=self.get, who=PEOPLE, answer=RoomAnswer),
            Route(method="PATCH", path=room, handler=self.patch, who=PEOPLE, body=RoomBody),
            Route(method="DELETE", path=room, handler=self.delete, who=frozenset(("admin",))),
            Route(method="POST", path="/hours", handler=self.post, who=PEOPLE, body=HoursBody, accepts_empty=True),
            Route(method="GET", path="/tags/{tag}", handler=self.get, who=ANYONE),
            Route(method="POST", path="/proofs", handler=self.post, who=BEACONS, body=RoomBody, max_body_bytes=256),
            Route(method="POST", path="/import", handler=self.post, who=PEOPLE, media_types=("text/csv",)),
            Route(method="GET", path="/problems/{name}", handler=self.fail, who=ANYONE),
            Route(method="GET", path="/slow", handler=self.wait, who=ANYONE),
            Route(method="GET", path="/stream", handler=self.stream, who=ANYONE, events={"room": RoomAnswer}),
            Route(method="GET", path="/mine", handler=self.stream, who=PEOPLE, events={"room": RoomAnswer}),
        ]

    async def get(self, call: Call):
        self.entered.append(call)
        return Reply(body=RoomAnswer(name="R1"), version=3)

    async def post(self, call: Call):
        self.entered.append(call)
        made = call.fresh_id() if call.caller_or_none else uuid4()
        return Reply(status=201, body={"id": str(made)}, location=f"/rooms/{made}")

    async def patch(self, call: Call):
        self.entered.append(call)
        return Reply(body={"seen": call.version_seen()})

    async def delete(self, call: Call):
        self.entered.append(call)
        return Reply(status=204)

    async def fail(self, call: Call):
        raise PROBLEMS[call.path["name"]]

    async def wait(self, call: Call):
        self.entered.append(call)
        await self.goes_on.wait()
        return Reply(body={})

    async def stream(self, call: Call):
        return self.tell(call)

    async def tell(self, call: Call):
        self.entered.append(call)
        if self.goes_on.is_set():
            raise PROBLEMS["down"]
        news = asyncio.Queue()
        self.readers.append(news)
        try:
            yield Event(id="a1", name="room", data=RoomAnswer(name=str(call.last_event_id())))
            while (said := await news.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                yield Event(name="room", data=RoomAnswer(name=said))
        finally:
            self.readers.remove(news)

    def app(self, **more):
        return build_app(self.routes(), doorkeeper(self.revoked, now=lambda: self.now), **more)


def doorkeeper(revoked=None, now=lambda: NOW):
    keys = LocalKeys({KID: KEY.public_key()})
    return Doorkeeper(
        people=TokenVerifier(USER_TOKEN, keys, now=now, revoked=revoked),
        beacons=TokenVerifier(BEACON_TOKEN, keys, now=now),
    )


@asynccontextmanager
async def client_of(door, **more):
    """A client of the door as a process serves it."""
    async with serving(door, **more) as port, ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client


@asynccontextmanager
async def serving(door, **more):
    runner, port = await serve_app(door.app(**more), host="127.0.0.1", port=0)
    try:
        yield port
    finally:
        door.goes_on.set()
        await runner.cleanup()


def bearer(user_type="student", *, ttl_s=600, issued_at=NOW, key=KEY, **claims):
    given = {"sid": str(uuid4()), "user_type": user_type, "school_id": str(SCHOOL)} | claims
    signer = TokenSigner(USER_TOKEN, key=key, kid=KID)
    token = signer.sign(PERSON, now=issued_at, ttl=timedelta(seconds=ttl_s), claims=given)
    return {"Authorization": f"Bearer {token}"}


def beacon_bearer():
    token = TokenSigner(BEACON_TOKEN, key=KEY, kid=KID).sign(PERSON, now=NOW, ttl=timedelta(seconds=600), claims={})
    return {"Authorization": f"Bearer {token}"}
