"""A request counts as the device's when the device signed exactly this request, for this server, just now."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.problems import ForbiddenError, MalformedError, UnauthenticatedError
from infra.canon import kid_of, to_spki
from infra.device_requests import (
    HEADERS,
    NONCE_LIFE,
    WINDOW,
    DeviceKey,
    SignedRequest,
    check,
    read_signed_request,
    sign_request,
)

ORIGIN = "https://api.school.example"
NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1000
STUDENT = UUID("22222222-2222-4222-8222-222222222222")
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key()
BODY = b'{"course_id":"11111111-1111-1111-1111-111111111114"}'


def a_request(**changes):
    usual = {
        "method": "POST",
        "path": "/beacon/flash-codes?x=1",
        "body_sha256": hashlib.sha256(BODY).digest(),
        "device_id": UUID("44444444-4444-4444-8444-444444444444"),
        "kid": kid_of(PUBLIC),
        "timestamp_ms": NOW_MS,
        "nonce": bytes(range(16)),
        "signature": "",
    }
    return SignedRequest(**(usual | changes))


def headers_of(request, *, key=KEY, origin=ORIGIN, person_id=STUDENT):
    return sign_request(request, key, origin=origin, person_id=person_id)


def read(headers, *, method="POST", path="/beacon/flash-codes?x=1", body=BODY, **more):
    return read_signed_request(headers, method=method, path=path, body=body, **more)


def check_now(request, *, key=PUBLIC, origin=ORIGIN, person_id=STUDENT, now=NOW):
    check(request, DeviceKey.of(to_spki(key)), origin=origin, person_id=person_id, now=now)


def test_what_the_device_signed_is_read_and_passes():
    request = read(headers_of(a_request()))

    check_now(request)

    assert replace(request, signature="") == a_request()


def test_a_challenge_is_signed_too():
    headers = headers_of(a_request(challenge="abc"))

    check_now(read(headers, challenge="abc"))

    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        check_now(read(headers))


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"path": "/beacon/flash-codes"},
        {"path": "/beacon/flash-codes?x=2"},
        {"body": BODY + b" "},
        {"body": b""},
    ],
    ids=str,
)
def test_another_request_with_the_same_headers_is_refused(changed):
    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        check_now(read(headers_of(a_request()), **changed))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Device-Id", "44444444-4444-4444-8444-444444444445"),
        ("X-Device-Kid", "0" * 16),
        ("X-Device-Timestamp", str(NOW_MS + 1)),
        ("X-Device-Nonce", "AAECAwQFBgcICQoLDA0OEA"),
        ("X-Device-Signature", "A" * 86),
        ("X-Device-Signature", ""),
        ("X-Device-Signature", "é"),
    ],
)
def test_a_changed_header_is_refused(name, value):
    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        check_now(read(headers_of(a_request()) | {name: value}))


@pytest.mark.parametrize(
    "other",
    [
        {"origin": "https://evil.example"},
        {"person_id": UUID("22222222-2222-4222-8222-222222222223")},
        {"key": ec.generate_private_key(ec.SECP256R1()).public_key()},
    ],
    ids=["server", "person", "key"],
)
def test_a_request_signed_for_another_is_refused(other):
    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        check_now(read(headers_of(a_request())), **other)


@pytest.mark.parametrize("off_ms", [-30_000, -1, 0, 30_000])
def test_half_a_minute_of_difference_passes(off_ms):
    check_now(read(headers_of(a_request(timestamp_ms=NOW_MS + off_ms))))


@pytest.mark.parametrize("off_ms", [-30_001, 30_001, -NOW_MS + 1, 9_999_999_999_999 - NOW_MS])
def test_more_is_told_with_the_time_of_the_server(off_ms):
    with pytest.raises(UnauthenticatedError, match="device_clock_skew") as caught:
        check_now(read(headers_of(a_request(timestamp_ms=NOW_MS + off_ms))))

    assert caught.value.extra == {"server_time_ms": NOW_MS}


def test_a_request_that_names_another_key_than_the_one_that_signed_is_refused():
    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        check_now(read(headers_of(a_request(kid="0" * 16))))


def test_a_stranger_learns_nothing_about_the_clock():
    headers = headers_of(a_request(timestamp_ms=1), key=ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        check_now(read(headers))


@pytest.mark.parametrize("name", HEADERS)
def test_every_header_is_needed(name):
    headers = headers_of(a_request())
    del headers[name]

    with pytest.raises(UnauthenticatedError, match="device_signature_missing"):
        read(headers)


MALFORMED = {
    "X-Device-Id": ["", "x", "44444444-4444-4444-8444-44444444444A", "{44444444-4444-4444-8444-444444444444}"],
    "X-Device-Kid": ["", "0" * 15, "0" * 17, "G" * 16, "A" * 16, "0" * 15 + "\uff11"],
    "X-Device-Timestamp": ["", "0", "01", "-1", "+1", "1.5", "1e12", "\uff11", "9" * 14, "9" * 5000, " 1"],
    "X-Device-Nonce": ["", "AAECAwQFBgcICQoLDA0O", "AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODx", "é" * 22],
    "X-Device-Signature": ["\udcff" * 86],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in MALFORMED.items() for v in values])
def test_a_malformed_header_is_refused(name, value):
    with pytest.raises(MalformedError, match="malformed_header"):
        read(headers_of(a_request()) | {name: value})


@pytest.mark.parametrize("path", ["", "/a b", "/é", "/a\n"])
def test_a_path_that_cannot_be_signed_is_refused(path):
    with pytest.raises(MalformedError, match="malformed_header"):
        read(headers_of(a_request()), path=path)


def test_nobody_waits_longer_than_a_nonce_is_kept():
    assert NONCE_LIFE > 2 * WINDOW > timedelta(0)
