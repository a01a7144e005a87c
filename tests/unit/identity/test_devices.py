"""When a student may bind another phone, and what a phone signs."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.ids import DeviceId, UserId
from identity_svc.commands.devices import registration_text
from identity_svc.domain.devices import Device, bindable_at, is_same

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)
ADA = UserId(UUID("3b241101-e2bb-4255-8caf-4136c566a962"))
PHONE = DeviceId(UUID("01920000-0000-7000-8000-000000000001"))


def a_device(**changes):
    usual = {"id": PHONE, "student_id": ADA, "kid": "0123456789abcdef", "public_key": b"", "bound_at": NINE}
    return Device(**(usual | changes))


@pytest.mark.parametrize(
    ("latest", "free_at"),
    [
        (None, None),
        (a_device(), NINE + timedelta(days=7)),
        (a_device(unbound_at=NINE, unbound_reason="replaced"), NINE + timedelta(days=7)),
        (a_device(unbound_at=NINE, unbound_reason="reset"), None),
    ],
)
def test_a_student_binds_a_phone_a_week_unless_an_administrator_helps(latest, free_at):
    assert bindable_at(latest) == free_at


@pytest.mark.parametrize(
    ("known", "same"),
    [
        (a_device(), True),
        (None, False),
        (a_device(kid="f" * 16), False),
        (a_device(id=DeviceId(UUID(int=1))), False),
        (a_device(unbound_at=NINE, unbound_reason="reset"), False),
    ],
)
def test_a_phone_is_the_same_by_name_and_key_while_it_is_bound(known, same):
    assert is_same(known, a_device()) is same


def test_a_phone_signs_six_lines():
    text = registration_text(
        origin="https://rollcall.example", user_id=ADA, device_id=PHONE, kid="0123456789abcdef", nonce=bytes(32)
    )

    assert text.decode().split("\n") == [
        "att.device-reg.v1",
        "https://rollcall.example",
        "3b241101-e2bb-4255-8caf-4136c566a962",
        "01920000-0000-7000-8000-000000000001",
        "0123456789abcdef",
        "A" * 43,
    ]
