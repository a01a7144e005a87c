"""Making beacons known, placing them, renewing their keys, retiring them."""

import base64
import json
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from infra.demo.devices import new_key, public_pem


def a_body(service, **changes):
    return {
        "school_id": str(service.school_id),
        "serial": "RC-0001",
        "public_key": public_pem(new_key()),
        "totp_required": False,
    } | changes


@pytest.fixture(autouse=True)
async def _school(service):
    await service.knows("school", service.school_id)


async def made(service, **changes):
    return (await service.dev.post("/dev/beacons", a_body(service, **changes))).expect(201)


async def test_a_beacon_is_made_known_and_its_secret_shown_once(service):
    heard = await service.dev.post("/dev/beacons", a_body(service, nfc_profile="totp-v1"))

    body = heard.expect(201)
    assert heard.headers["Location"] == f"/dev/beacons/{body['id']}"
    assert heard.headers["ETag"] == '"1"'
    assert len(base64.b32decode(body["totp_key"] + "====")) == 32
    shown = (await service.dev.get(f"/dev/beacons/{body['id']}")).expect(200)
    assert shown == {name: value for name, value in body.items() if name != "totp_key"}
    [(type_, version, raw)] = await service.events()
    assert (type_, version) == ("beacon.beacon.provisioned.v1", 1)
    assert body["totp_key"] not in raw.decode()


async def test_the_secret_is_kept_sealed(service):
    body = await made(service)

    [sealed] = [row["totp_key_sealed"] for row in await service.pool.fetch("SELECT totp_key_sealed FROM beacon")]
    assert base64.b32decode(body["totp_key"] + "====") not in sealed


async def test_a_repeat_with_the_same_key_answers_the_same_and_makes_nothing(service):
    dev, body, headers = service.dev, a_body(service), {"Idempotency-Key": "one"}

    first = (await dev.call("POST", "/dev/beacons", body, headers=headers)).expect(201)
    second = (await dev.call("POST", "/dev/beacons", body, headers=headers)).expect(201)
    other = await dev.call("POST", "/dev/beacons", body | {"serial": "RC-0002"}, headers=headers)

    assert first == second
    assert (other.status, other.word) == (409, "idempotency_key_reused")
    assert await service.event_types() == ["beacon.beacon.provisioned.v1"]


MALFORMED = (
    ({"serial": "no spaces"}, "malformed_body"),
    ({"serial": "é" * 5}, "malformed_body"),
    ({"public_key": "nonsense"}, "key_malformed"),
    ({"public_key": public_pem(ec.generate_private_key(ec.SECP384R1()))}, "key_malformed"),
    ({"totp_key": "GEZDGNBV"}, "malformed_body"),
    ({"totp_key": "gezdgnbvgy3tqojqgezdgnbvgy3tqojq"}, "malformed_body"),
    ({"nfc_profile": "static"}, "malformed_body"),
    ({"school_id": None}, "malformed_body"),
)


async def test_a_malformed_beacon_is_refused(service):
    for change, code in MALFORMED:
        heard = await service.dev.post("/dev/beacons", a_body(service, **change))

        assert (heard.status, heard.word) == (422, code)

    assert await service.events() == []


async def test_serials_and_keys_belong_to_one_beacon(service):
    first = a_body(service)
    (await service.dev.post("/dev/beacons", first)).expect(201)

    same_serial = await service.dev.post("/dev/beacons", a_body(service))
    same_key = await service.dev.post("/dev/beacons", first | {"serial": "RC-0002"})

    assert (same_serial.status, same_serial.word) == (409, "serial_taken")
    assert (same_key.status, same_key.word) == (409, "key_taken")


async def test_who_may_do_what(service):
    beacon, room = await service.a_beacon(), str(uuid4())
    await service.knows("classroom", room)
    one = f"/dev/beacons/{beacon.id}"
    calls = {
        "list": ("GET", "/dev/beacons", None),
        "get": ("GET", one, None),
        "post": ("POST", "/dev/beacons", a_body(service)),
        "patch": ("PATCH", one, {"totp_required": True}),
        "keys": ("POST", f"{one}/keys", {"public_key": public_pem(new_key())}),
        "assign": ("PUT", f"{one}/classroom", {"classroom_id": room}),
        "unassign": ("DELETE", f"{one}/classroom", None),
        "retire": ("DELETE", one, None),
    }
    callers = {
        "nobody": service.nobody,
        "student": service.student(uuid4()),
        "teacher": service.nobody.as_(service.people.token("teacher", service.school_id)),
        "admin of another school": service.admin(uuid4()),
        "admin": service.admin(),
        "dev": service.dev,
    }

    found = {
        who: {name: (await doors.call(*call, headers={"If-Match": '"1"'})).status for name, call in calls.items()}
        for who, doors in callers.items()
    }

    assert set(found["nobody"].values()) == {401}
    assert set(found["student"].values()) == set(found["teacher"].values()) == {403}
    admins = {"post": 403, "patch": 403, "keys": 403}
    assert found["admin of another school"] == dict.fromkeys(calls, 404) | admins | {"list": 200}
    allowed = {"list": 200, "get": 200, "assign": 200, "unassign": 204, "retire": 204}
    assert found["admin"] == allowed | admins
    assert found["dev"] == allowed | {"post": 201, "patch": 409, "keys": 409, "assign": 409}


async def test_another_school_sees_what_it_would_see_of_nothing(service):
    beacon = await service.a_beacon()
    stranger = service.admin(uuid4())

    there = await stranger.get(f"/dev/beacons/{beacon.id}")
    nowhere = await stranger.get(f"/dev/beacons/{uuid4()}")

    assert there.body | {"request_id": ""} == nowhere.body | {"request_id": ""}
    assert (await stranger.get("/dev/beacons")).body == {"items": [], "next_cursor": None}
    asked = await stranger.get(f"/dev/beacons?school_id={service.school_id}")
    assert asked.body == {"items": [], "next_cursor": None}


async def test_lists_come_in_parts_and_by_filter(service):
    room = uuid4()
    beacons = [await service.a_beacon(room=room if n == 1 else None) for n in range(3)]
    admin = service.admin()

    first = (await admin.get("/dev/beacons?limit=2")).expect(200)
    rest = (await admin.get(f"/dev/beacons?limit=2&cursor={first['next_cursor']}")).expect(200)
    in_room = (await admin.get(f"/dev/beacons?classroom_id={room}")).expect(200)
    by_serial = (await admin.get(f"/dev/beacons?serial={beacons[2].serial}")).expect(200)

    ids = [str(beacon.id) for beacon in beacons]
    assert [item["id"] for item in [*first["items"], *rest["items"]]] == sorted(ids)
    assert rest["next_cursor"] is None
    assert [item["id"] for item in in_room["items"]] == [ids[1]]
    assert [item["id"] for item in by_serial["items"]] == [ids[2]]


async def test_a_change_needs_the_version_that_was_seen(service):
    beacon = await service.a_beacon()
    one = f"/dev/beacons/{beacon.id}"

    blind = await service.dev.call("PATCH", one, {"totp_required": True})
    changed = await service.dev.patch(one, {"totp_required": True}, version=1)
    stale = await service.dev.patch(one, {"totp_required": False}, version=1)

    assert (blind.status, stale.status) == (428, 412)
    assert (changed.status, changed.body["totp_required"], changed.headers["ETag"]) == (200, True, '"2"')


async def test_every_change_is_announced_with_the_next_version(service):
    beacon, room = await service.a_beacon(), str(uuid4())
    one = f"/dev/beacons/{beacon.id}"
    other_room = str(uuid4())
    for place in (room, other_room):
        await service.knows("classroom", place)
    for place in (room, room, other_room):
        await service.dev.put(f"{one}/classroom", {"classroom_id": place})
    await service.dev.call("DELETE", f"{one}/classroom")
    await service.dev.patch(one, {"nfc_profile": "totp-v1"}, version=4)
    new = new_key()
    await service.dev.post(f"{one}/keys", {"public_key": public_pem(new)})
    await service.dev.post(f"{one}/keys", {"public_key": public_pem(new)})
    await service.dev.call("DELETE", one)
    await service.dev.call("DELETE", one)

    events = await service.events()

    words = ["provisioned", "assigned", "assigned", "unassigned", "updated", "key_rotated", "retired"]
    assert [type_ for type_, _, _ in events] == [f"beacon.beacon.{word}.v1" for word in words]
    assert [version for _, version, _ in events] == [1, 2, 3, 4, 5, 6, 7]
    assert json.loads(events[1][2])["data"]["classroom_id"] == room
    assert len(json.loads(events[5][2])["data"]["kids"]) == 2
    assert (
        json.loads(events[6][2])["data"] | {"kids": [], "retired": True, "classroom_id": None}
        == json.loads(events[6][2])["data"]
    )


async def test_a_beacon_has_two_active_keys_at_most(service):
    beacon = await service.a_beacon()
    keys = f"/dev/beacons/{beacon.id}/keys"
    (await service.dev.post(keys, {"public_key": public_pem(new_key())})).expect(201)

    third = await service.dev.post(keys, {"public_key": public_pem(new_key())})
    service.now.forward(hours=24)
    later = await service.dev.post(keys, {"public_key": public_pem(new_key())})

    assert (third.status, third.word) == (409, "too_many_keys")
    assert later.status == 201


async def test_a_beacon_stands_in_rooms_of_its_own_school_only(service):
    beacon, own, foreign, retired = await service.a_beacon(), uuid4(), uuid4(), uuid4()
    await service.knows("classroom", own)
    await service.knows("classroom", foreign, uuid4())
    await service.knows("classroom", retired)
    await service.pool.execute("UPDATE academics_copy SET retired = true WHERE id = $1", retired)
    path = f"/dev/beacons/{beacon.id}/classroom"

    rooms = {"own": own, "foreign": foreign, "retired": retired, "unknown": uuid4(), "school": service.school_id}
    answers = {name: await service.dev.put(path, {"classroom_id": str(room)}) for name, room in rooms.items()}

    assert {name: answer.word for name, answer in answers.items()} == {
        "own": "200",
        "foreign": "not_found",
        "retired": "not_found",
        "unknown": "not_found",
        "school": "not_found",
    }


async def test_a_beacon_belongs_to_a_school_that_is_there(service):
    heard = await service.dev.post("/dev/beacons", a_body(service, school_id=str(uuid4())))

    assert (heard.status, heard.word) == (404, "not_found")
    assert await service.events() == []


async def test_while_the_copy_may_be_behind_nobody_is_told_that_a_room_is_not_there(service):
    beacon = await service.a_beacon()
    await service.pool.execute("UPDATE streams_checkpoint SET as_of = clock_timestamp() - interval '1 min'")

    heard = await service.dev.put(f"/dev/beacons/{beacon.id}/classroom", {"classroom_id": str(uuid4())})

    assert (heard.status, heard.word) == (503, "academics_down")


async def test_a_shared_secret_can_be_replaced_and_is_not_shown_again(service):
    body = await made(service, nfc_profile="totp-v1")
    secret = base64.b32encode(bytes(range(20))).decode()

    changed = (await service.dev.patch(f"/dev/beacons/{body['id']}", {"totp_key": secret}, version=1)).expect(200)

    assert "totp_key" not in changed
    kept = await service.pool.fetchval("SELECT totp_key_sealed FROM beacon")
    assert service.box.open(kept, about=f"beacon:{body['id']}:totp") == bytes(range(20))


async def test_a_retired_beacon_leaves_its_room_and_cannot_change(service):
    beacon = await service.a_beacon(room=uuid4())
    one, other_room = f"/dev/beacons/{beacon.id}", uuid4()
    await service.knows("classroom", other_room)

    (await service.admin().call("DELETE", one)).expect(204)

    shown = (await service.dev.get(one)).expect(200)
    assert (shown["classroom_id"], shown["retired_at"] is None, shown["keys"][0]["revoked_at"] is None) == (
        None,
        False,
        False,
    )
    assert await service.pool.fetchval("SELECT count(*) FROM beacon_assignment WHERE assigned_to IS NULL") == 0
    moved = await service.dev.put(f"{one}/classroom", {"classroom_id": str(other_room)})
    assert (moved.status, moved.word) == (409, "beacon_retired")
