"""What identity said counts while it matters: tokens for as long as they live, phones for a minute."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.events.identity import (
    DeviceBound,
    DeviceUnbound,
    KeyRevoked,
    KeyRotated,
    SessionRevoked,
    UserDeleted,
    UserDisabled,
    UserUpdated,
)
from infra.identity_news import DEVICE_LIFE_S, REMEMBERED, DeviceMemory, IdentityNews
from infra.tokens import Caller

NINE = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ALICE, SESSION, SCHOOL = uuid4(), uuid4(), uuid4()
PHONE = uuid4()
KID = "k" * 43


@dataclass
class Told:
    type: str
    time: datetime
    data: dict


class Announced(list):
    """The keys of an issuer, as far as news announce them."""

    announce = list.append


class Clock:
    at = NINE

    def __call__(self):
        return self.at


class Stopwatch:
    at_s = 50.0

    def __call__(self):
        return self.at_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys():
    return Announced()


@pytest.fixture
def watch():
    return Stopwatch()


@pytest.fixture
def phones(watch):
    return DeviceMemory(monotonic_s=watch, most_count=3)


@pytest.fixture
def news(clock, keys, phones):
    return IdentityNews(keys, now=clock, devices=phones)


@pytest.fixture
def hear(news):
    """Let the process hear an event, as the stream delivers it."""

    async def tell(event, at=NINE):
        told = Told(type=event.type, time=at, data=event.model_dump(mode="json"))
        await news.listeners()[event.type](told)

    return tell


def a_caller(id=ALICE, session_id=SESSION):
    return Caller(
        id=id, type="student", school_id=SCHOOL, admin_role=None, session_id=session_id, expires_at=NINE + REMEMBERED
    )


def a_user(kind, user_id=ALICE):
    return kind(user_id=user_id, school_id=SCHOOL, user_type="student", disabled=True)


def ended(session_id=SESSION):
    return SessionRevoked(session_id=session_id, user_id=ALICE, reason="logged_out")


async def test_tokens_of_an_ended_session_are_void_and_others_of_its_owner_are_not(news, hear):
    await hear(ended())

    assert news.revoked.cover(a_caller(), KID, NINE)
    assert not news.revoked.cover(a_caller(session_id=uuid4()), KID, NINE)


@pytest.mark.parametrize("kind", [UserDisabled, UserDeleted])
async def test_who_was_shut_out_is_out_in_every_session_until_let_in_again(kind, news, hear):
    await hear(a_user(kind), at=NINE)

    for session_id in (SESSION, uuid4()):
        assert news.revoked.cover(a_caller(session_id=session_id), KID, NINE)
        assert not news.revoked.cover(a_caller(session_id=session_id), KID, NINE + SECOND)
    assert not news.revoked.cover(a_caller(id=uuid4()), KID, NINE)


async def test_the_past_heard_again_brings_nobody_back(news, hear):
    await hear(a_user(UserDisabled), at=NINE)
    await hear(a_user(UserDisabled), at=NINE - timedelta(minutes=5))

    assert news.revoked.cover(a_caller(), KID, NINE)


async def test_tokens_of_a_revoked_key_are_void_for_good(news, hear, clock):
    await hear(KeyRevoked(kid=KID))
    clock.at += timedelta(days=100)
    await hear(ended(), at=clock.at)

    assert news.revoked.cover(a_caller(session_id=uuid4()), KID, clock.at)
    assert not news.revoked.cover(a_caller(session_id=uuid4()), "j" * 43, clock.at)


async def test_a_new_key_is_announced(hear, keys):
    await hear(KeyRotated(kid=KID))

    assert keys == [KID]


async def test_what_no_live_token_can_name_is_forgotten(news, hear, clock):
    later = uuid4()
    for session_id in (SESSION, uuid4()):
        await hear(ended(session_id), at=NINE)
    await hear(a_user(UserDisabled), at=NINE)

    clock.at = NINE + REMEMBERED
    await hear(ended(later), at=clock.at)
    await hear(a_user(UserDeleted, later), at=clock.at)
    assert (len(news.revoked.sessions), len(news.revoked.people)) == (3, 2)

    clock.at += SECOND
    await hear(ended(later), at=clock.at)
    await hear(a_user(UserDeleted, later), at=clock.at)
    assert (list(news.revoked.sessions), list(news.revoked.people)) == ([later], [later])


async def test_nothing_else_that_identity_says_is_listened_to(news):
    assert UserUpdated.type not in news.listeners()


async def test_a_service_without_phones_listens_to_nothing_about_them(keys, clock):
    news = IdentityNews(keys, now=clock)

    await news.start_anew(0)

    assert not any("device" in type_ for type_ in news.listeners())


def remember(phones, student_id=ALICE, device_id=PHONE, answer="key"):
    phones.keep(student_id, device_id, answer, mark=phones.mark())


def test_an_answer_about_a_phone_is_remembered_for_a_minute(phones, watch):
    remember(phones)

    watch.at_s += DEVICE_LIFE_S - 0.1
    assert phones.find(ALICE, PHONE) == "key"
    watch.at_s += 0.1
    assert phones.find(ALICE, PHONE) is None


def test_only_so_many_phones_are_remembered_and_the_newest_longest(phones):
    students = [UUID(int=n) for n in range(4)]
    for student_id in (*students[:3], students[0], students[3]):
        remember(phones, student_id)

    assert [bool(phones.find(student_id, PHONE)) for student_id in students] == [True, False, True, True]


@pytest.mark.parametrize("kind", [DeviceBound, DeviceUnbound])
async def test_a_phone_that_was_bound_or_reset_is_forgotten_and_no_other(kind, phones, hear):
    other = uuid4()
    for student_id in (ALICE, other):
        remember(phones, student_id)

    await hear(kind(student_id=ALICE, device_id=PHONE, kid="0" * 16))

    assert (phones.find(ALICE, PHONE), phones.find(other, PHONE)) == (None, "key")


async def test_an_answer_that_was_under_way_when_a_phone_changed_hands_is_not_remembered(phones, hear):
    mark = phones.mark()
    await hear(DeviceUnbound(student_id=ALICE, device_id=PHONE, kid="0" * 16))

    phones.keep(ALICE, PHONE, "key", mark=mark)

    assert phones.find(ALICE, PHONE) is None


async def test_after_a_gap_no_phone_is_remembered_and_what_was_revoked_stays_so(phones, news, hear):
    await hear(ended())
    remember(phones)
    mark = phones.mark()

    await news.start_anew(0)
    phones.keep(ALICE, uuid4(), "key", mark=mark)

    assert phones.find(ALICE, PHONE) is None
    assert news.revoked.cover(a_caller(), KID, NINE)
