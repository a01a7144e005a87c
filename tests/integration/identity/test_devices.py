"""Binding a student's phone, over the REST door."""

import asyncio
import base64
from dataclasses import dataclass, field
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec

from identity_svc.commands.devices import registration_text
from infra.canon import from_base64url, kid_of, sign, to_spki
from tests.integration.identity.conftest import ORIGIN


@dataclass
class Phone:
    """A simulated phone with a key of its own."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self):
        return base64.b64encode(to_spki(self.key.public_key())).decode()

    @property
    def kid(self):
        return kid_of(self.key.public_key())

    async def challenge(self, world, person, token):
        status, answer = await world.call("POST", f"/users/{person.id}/device/challenge", token)
        assert status == 201, answer
        return answer

    async def bind(self, world, person, token, *, device_id=None, challenge=None, **changes):
        challenge = challenge or await self.challenge(world, person, token)
        text = {
            "origin": ORIGIN,
            "user_id": person.id,
            "device_id": device_id or challenge["device_identifier"],
            "kid": self.kid,
            "nonce": from_base64url(challenge["challenge"]),
        } | changes
        body = {"public_key": self.public_key, "signature": sign(registration_text(**text), self.key)}
        if device_id:
            body["device_identifier"] = str(device_id)
        return await world.call("PUT", f"/users/{person.id}/device", token, body)


async def device_events(world):
    return [(t.removeprefix("identity.device."), v, d) for t, v, d in await world.announced() if ".device." in t]


async def reset(world, person, token, **body):
    return await world.call("DELETE", f"/users/{person.id}/device", token, {"reason": "lost it"} | body)


async def test_a_phone_that_holds_its_key_is_bound_and_announced(world):
    person, token = await world.enter("student")
    phone = Phone()

    status, bound = await phone.bind(world, person, token)

    assert status == 200
    assert bound["kid"] == phone.kid
    data = {"student_id": str(person.id), "device_id": bound["device_identifier"], "kid": phone.kid}
    assert await device_events(world) == [("bound.v1", 1, data)]
    shown = await world.call("GET", f"/users/{person.id}/device", token)
    assert shown == (200, bound)


async def test_a_phone_may_bring_its_own_name(world):
    person, token = await world.enter("student")
    device_id = uuid4()

    _, bound = await Phone().bind(world, person, token, device_id=device_id)

    assert bound["device_identifier"] == str(device_id)


async def test_a_signature_over_anything_else_binds_nothing(world):
    person, token = await world.enter("student")
    others = [
        {"origin": "https://evil.example"},
        {"user_id": uuid4()},
        {"kid": "0" * 16},
        {"nonce": b"x" * 32},
        {"device_id": uuid4()},
    ]

    for changes in others:
        phone = Phone()
        challenge = await phone.challenge(world, person, token)
        text = {"challenge": challenge, **changes}
        device_id = text.pop("device_id", None)
        if device_id:
            challenge = challenge | {"device_identifier": str(device_id)}
            text["challenge"] = challenge
        status, answer = await phone.bind(world, person, token, **text)
        assert (status, answer["code"]) == (403, "device_signature_invalid"), changes
    assert await device_events(world) == []


async def test_a_challenge_is_for_five_minutes_and_one_binding(world):
    person, token = await world.enter("student")
    phone = Phone()
    challenge = await phone.challenge(world, person, token)
    world.pass_time(minutes=5)

    late = await phone.bind(world, person, token, challenge=challenge)
    without = await world.call(
        "PUT", f"/users/{person.id}/device", token, {"public_key": phone.public_key, "signature": "A" * 86}
    )

    assert (late[0], late[1]["code"]) == (409, "device_challenge_missing")
    assert (without[0], without[1]["code"]) == (409, "device_challenge_missing")


async def test_the_same_phone_again_is_no_news(world):
    person, token = await world.enter("student")
    phone = Phone()
    challenge = await phone.challenge(world, person, token)
    first = await phone.bind(world, person, token, challenge=challenge)

    again = await phone.bind(world, person, token, challenge=challenge)

    assert again == first
    assert len(await device_events(world)) == 1


async def test_another_phone_must_wait_seven_days(world):
    person, token = await world.enter("student")
    _, first = await Phone().bind(world, person, token)
    world.pass_time(days=6, hours=23)
    token = (await world.log_in(person))["access_token"]
    early = await Phone().bind(world, person, token)
    world.pass_time(hours=1)
    token = (await world.log_in(person))["access_token"]

    status, second = await Phone().bind(world, person, token)

    assert (early[0], early[1]["code"]) == (409, "device_cooldown")
    assert early[1]["retry_after_s"] == 3601
    assert status == 200
    events = [(name, version, data["device_id"]) for name, version, data in await device_events(world)]
    assert events == [
        ("bound.v1", 1, first["device_identifier"]),
        ("unbound.v1", 2, first["device_identifier"]),
        ("bound.v1", 1, second["device_identifier"]),
    ]


async def test_a_new_key_under_the_old_name_is_another_phone(world):
    person, token = await world.enter("student")
    device_id = uuid4()
    await Phone().bind(world, person, token, device_id=device_id)

    early = await Phone().bind(world, person, token, device_id=device_id)
    world.pass_time(days=7)
    token = (await world.log_in(person))["access_token"]
    status, _ = await Phone().bind(world, person, token, device_id=device_id)

    assert (early[1]["code"], status) == ("device_cooldown", 200)
    assert [version for _, version, _ in await device_events(world)] == [1, 2, 3]


async def test_a_reset_by_an_administrator_lifts_the_wait_and_logs_the_student_out(world):
    person, token = await world.enter("student")
    await Phone().bind(world, person, token)
    _, admin = await world.enter("admin")

    status, _ = await reset(world, person, admin)

    assert status == 204
    assert (await world.call("GET", "/auth/me", token))[0] == 401
    token = (await world.log_in(person))["access_token"]
    assert (await world.call("GET", f"/users/{person.id}/device", token))[0] == 404
    assert (await Phone().bind(world, person, token))[0] == 200
    trail = await world.database.fetchrow("SELECT deed, reason FROM trail_entry")
    assert tuple(trail) == ("device_reset", "lost it")


async def test_one_phone_is_one_students(world):
    ada, token = await world.enter("student")
    alan, other = await world.enter("student")
    phone, device_id = Phone(), uuid4()
    await phone.bind(world, ada, token, device_id=device_id)

    same_key = await phone.bind(world, alan, other)
    same_name = await Phone().bind(world, alan, other, device_id=device_id)

    assert (same_key[0], same_key[1]["code"]) == (409, "device_taken")
    assert (same_name[0], same_name[1]["code"]) == (409, "device_taken")
    assert (await world.call("GET", f"/users/{alan.id}/device", other))[0] == 404


async def test_of_two_phones_at_once_one_is_bound(world):
    person, token = await world.enter("student")
    phones = [Phone(), Phone()]
    challenge = await phones[0].challenge(world, person, token)

    answers = await asyncio.gather(*(phone.bind(world, person, token, challenge=challenge) for phone in phones))

    assert sorted(status for status, _ in answers) == [200, 409]
    assert len(await device_events(world)) == 1


async def test_a_key_that_is_none_is_refused(world):
    person, token = await world.enter("student")
    await Phone().challenge(world, person, token)
    other_curve = base64.b64encode(to_spki(ec.generate_private_key(ec.SECP384R1()).public_key())).decode()

    for public_key in ("x", other_curve, "-----BEGIN PUBLIC KEY-----\n", "\N{SNOWMAN}"):
        body = {"public_key": public_key, "signature": "A" * 86}
        status, answer = await world.call("PUT", f"/users/{person.id}/device", token, body)
        assert (status, answer["code"]) == (422, "key_malformed")


async def test_who_may_do_what_with_a_device(world):
    ada, token = await world.enter("student")
    await Phone().bind(world, ada, token)
    _, mate = await world.enter("student")
    _, teacher = await world.enter("teacher")
    _, foreign = await world.enter("admin", school_id=uuid4())
    path = f"/users/{ada.id}/device"

    assert (await world.call("POST", path + "/challenge", mate))[0] == 403
    assert (await world.call("POST", path + "/challenge", teacher))[0] == 403
    assert [(await world.call("GET", path, who))[0] for who in (mate, teacher, foreign)] == [403, 403, 404]
    assert [(await reset(world, ada, who))[0] for who in (token, teacher, foreign)] == [403, 403, 404]
    _, admin = await world.enter("admin")
    assert (await world.call("DELETE", path, admin, {}))[0] == 422
    seen = (await world.call("GET", path, admin))[1]
    assert sorted(seen) == ["bound_at", "device_identifier", "kid"]


async def test_a_retired_students_device_is_free(world):
    person, token = await world.enter("student")
    phone = Phone()
    await phone.bind(world, person, token)
    _, admin = await world.enter("admin")

    await world.call("DELETE", f"/users/{person.id}", admin)

    other, token = await world.enter("student")
    assert (await phone.bind(world, other, token))[0] == 200
