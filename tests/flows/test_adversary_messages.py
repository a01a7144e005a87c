"""Messages that no service of ours sends, over a true channel: each is answered or refused, none is a fault."""

import asyncio
import random
from collections import Counter

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from contracts.rpc.academics.api.v1 import academics_pb2 as _academics
from contracts.rpc.attendance.api.v1 import attendance_pb2 as _attendance
from contracts.rpc.beacon.api.v1 import beacon_pb2 as _beacon
from contracts.rpc.callers import CALLERS, LOG_READERS, LOG_SERVICE
from contracts.rpc.identity.api.v1 import identity_pb2 as _identity
from contracts.rpc.streams.api.v1 import streams_pb2 as _streams
from infra.grpc_client import connect
from infra.grpc_server import Identity
from tests.flows.hostile import NUMBERS, WORDS, Hostile
from tests.flows.test_adversary_requests import ids_of

LOADED = (_academics, _attendance, _beacon, _identity, _streams)
SEED = 20_260_902
MESSAGES = 40  # to each method
AT_ONCE = 8
TIMEOUT_S = 8
HOLDERS = ("ops", "attendance", "beacon", "academics", "identity")
Code = grpc.StatusCode
REFUSALS = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.PERMISSION_DENIED,
    Code.FAILED_PRECONDITION,
    Code.DEADLINE_EXCEEDED,
    Code.RESOURCE_EXHAUSTED,
}
BEHIND = {Code.OK, Code.NOT_FOUND, Code.FAILED_PRECONDITION}
SECONDS = (0, -1, 1_790_000_000, 1_800_000_000, 253_402_300_799, 253_402_300_800, -62_135_596_801, 2**63 - 1, -(2**63))
RECENT_S = 1_790_000_000
# What no honest caller of these methods fills in; and fields that are no ids.
ATTEMPT = "attendance.api.v1.CreateSignatureAttemptRequest"
UNWANTED = {f"{ATTEMPT}.teacher_id", f"{ATTEMPT}.administrator_id"}
USUAL = {"code": "12345678", "flags": "chain_gap", "proof_type": "flash", "serial": "DEMO-1234"}
NANOS = (0, 0, 999_999_999, 10**9, -1, 2**31 - 1)


def methods():
    """Every method that a service serves: who serves it, its path, somebody who may call it, its descriptor."""
    for name, callers in CALLERS.items():
        if name.startswith("grpc."):
            continue
        service = Default().FindServiceByName(name)
        for method in service.methods:
            path = f"/{name}/{method.name}"
            if name == LOG_SERVICE:
                yield from ((owner, path, "ops", method) for owner in LOG_READERS)
            else:
                holder = next(each for each in HOLDERS if each in callers[method.name])
                yield name.partition(".")[0], path, holder, method


METHODS = list(methods())


class Messages:
    """Draws messages: near what is meant, with faults, or bytes that are none."""

    def __init__(self, draw, ids):
        self._draw, self._hostile = draw, Hostile(draw, ids)

    def raw(self, descriptor):
        """Serialized bytes."""
        message = GetMessageClass(descriptor)()
        # How often a field is something else than what is meant.
        self._odds = self._draw.choice((0, 0, 0.1, 0.3, 0.8))
        self._fill(message)
        raw = bytearray(message.SerializeToString())
        for _ in range(self._draw.choice((0, 0, 0, 0, 1, 3)) if self._odds else 0):
            place = self._draw.randrange(len(raw) + 1)
            kind = self._draw.random()
            if kind < 0.4 and place < len(raw):
                raw[place] ^= 1 << self._draw.randrange(8)
            elif kind < 0.7:
                raw[place:place] = self._draw.randbytes(self._draw.choice((1, 4, 40)))
            else:
                del raw[place:]
        return bytes(raw)

    def _is_odd(self):
        return self._draw.random() < self._odds

    def _fill(self, message):
        if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
            message.seconds = self._draw.choice(SECONDS) if self._is_odd() else RECENT_S
            message.nanos = self._draw.choice(NANOS) if self._is_odd() else 0
            return
        for field in message.DESCRIPTOR.fields:
            if self._is_odd() or (self._draw.random() < 0.8 and field.full_name not in UNWANTED):
                self._set(message, field)

    def _set(self, message, field):
        if field.message_type and not field.is_repeated:
            self._fill(getattr(message, field.name))
        elif field.message_type:
            for _ in range(self._draw.choice((0, 1, 3))):
                self._fill(getattr(message, field.name).add())
        elif field.is_repeated:
            count = 600 if self._is_odd() else self._draw.choice((0, 1, 2))
            getattr(message, field.name).extend([self._scalar(field) for _ in range(count)])
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field):
        draw, odd = self._draw, self._is_odd()
        if field.type == FieldDescriptor.TYPE_STRING:
            usual = USUAL.get(field.name) or self._hostile.any_id(field.name)
            return draw.choice(WORDS)[:5_000].encode("utf-8", "replace").decode() if odd else usual
        if field.type == FieldDescriptor.TYPE_BYTES:
            return draw.randbytes(draw.choice((0, 1, 20_000)) if odd else 32)
        if field.type == FieldDescriptor.TYPE_ENUM:
            return draw.choice((-1, 0, 1, 5, 6, 7, 2**31 - 1)) if odd else draw.choice((2, 3, 4))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return draw.random() < 0.5
        most = 2**31 - 1 if field.type == FieldDescriptor.TYPE_INT32 else 2**63 - 1
        return draw.choice([n for n in NUMBERS if isinstance(n, int) and -most <= n <= most]) if odd else 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def channels(arena):
    """A channel from each holder of a certificate to each service."""
    place = arena.stage.services.stack.place
    made = {}
    for holder in HOLDERS:
        files = {name: place.certificates / file for name, file in FILES.items()}
        files = {name: path.with_name(path.name.replace("HOLDER", holder)) for name, path in files.items()}
        for callee, doors in place.doors.items():
            made[holder, callee] = connect(f"127.0.0.1:{doors.grpc}", callee=callee, identity=Identity(**files))
    yield made
    for channel in made.values():
        await channel.close()


FILES = {"ca_file": "ca.pem", "cert_file": "HOLDER.pem", "key_file": "HOLDER-key.pem"}


async def status_of(channel, path, method, raw):
    """What a message of these bytes is answered with."""
    call = channel.unary_stream if method.server_streaming else channel.unary_unary
    sent = call(path)(raw, timeout=TIMEOUT_S)
    try:
        if method.server_streaming:
            async for _ in sent:
                break
            sent.cancel()
        else:
            await sent
    except grpc.aio.AioRpcError as error:
        return error.code()
    return Code.OK


async def attack(arena, channels, *, seed, messages):
    """Send that many messages to each method; return those that were faults, and what was heard."""
    drawn = Messages(random.Random(seed), ids_of(arena))  # noqa: S311 -- a reproducible draw
    slots, heard, faults = asyncio.Semaphore(AT_ONCE), Counter(), []

    async def one(owner, path, holder, method):
        raw = drawn.raw(method.input_type)
        async with slots:
            status = await status_of(channels[holder, owner], path, method, raw)
            heard[path, status] += 1
            if status is not Code.OK and status not in REFUSALS:
                faults.append((owner, path, status, raw))

    await asyncio.gather(*(one(*each) for each in METHODS for _ in range(messages)))
    return faults, heard


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_whatever_a_peer_sends_is_answered_or_refused_and_never_a_fault(arena, channels):
    faults, heard = await attack(arena, channels, seed=SEED, messages=MESSAGES)

    assert faults == []
    # The messages reached what lies behind the parsers.
    assert {path for path, status in heard if status in BEHIND} == {path for _, path, _, _ in METHODS}


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_who_is_not_on_the_list_is_refused_before_the_message_is_read(arena, channels):
    found = Counter()
    for owner, path, _, method in METHODS:
        name, _, rpc = path[1:].partition("/")
        allowed = LOG_READERS[owner] if name == LOG_SERVICE else CALLERS[name][rpc]
        for holder in set(HOLDERS) - allowed:
            found[await status_of(channels[holder, owner], path, method, b"\xff")] += 1

    assert set(found) == {Code.PERMISSION_DENIED}
