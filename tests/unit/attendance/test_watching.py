"""What a reader of a course has not heard yet is bounded, and nobody listens for readers that are not there."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from attendance_svc.http_api import watching
from attendance_svc.http_api.live import Place, read_place
from attendance_svc.http_api.live_bodies import to_live_change
from attendance_svc.http_api.watching import News, Watcher, Watching
from contracts.events.attendance import SignatureAccepted, SignatureSuperseded, SignatureVoided
from contracts.ids import CourseId, new_id
from streams.codec import Delivered
from tests.waiting import until

AT = datetime(2026, 9, 1, 9, tzinfo=UTC)


def judged(**changes):
    usual = {
        "signature_id": str(uuid4()),
        "school_id": str(uuid4()),
        "course_id": str(uuid4()),
        "kind": "student",
        "subject_id": str(uuid4()),
        "status": "ACCEPTED",
        "previous_status": None,
        "method": "QR",
        "reason": "on_time",
        "actor_type": "student",
        "rule_version": 1,
        "signed_at": "2026-09-01T09:00:00Z",
        "classroom_id": None,
        "transition_digest": "00",
    }
    return usual | changes


def an_event(course_id, **changes):
    return Delivered(
        id=new_id(), type=SignatureAccepted.type, subject=f"signature/{uuid4()}", time=AT, recorded_at=None,
        school_id=uuid4(), aggver=1, actor={}, data=judged(course_id=str(course_id), **changes), correlation_id=None,
        causation_id=None, request_id=None, traceparent=None, shard=0, pos=1, ms=1,
    )  # fmt: skip


def news(pos=1):
    return News(pos, to_live_change("x", SignatureAccepted(**judged()), at=AT, change=1))


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_who_has_too_much_to_hear_is_told_how_things_are_instead(more):
    watcher = Watcher(0)
    for _ in range(watching.MOST_UNHEARD + more):
        watcher.hear(news())

    heard = await watcher.next()

    assert (heard if heard is None else len(heard)) == (None if more > 0 else watching.MOST_UNHEARD + more)


async def test_what_was_heard_is_not_heard_again():
    watcher = Watcher(0)
    watcher.hear(news(1))
    watcher.hear(news(2))
    first = await watcher.next()
    watcher.hear(news(3))

    assert [each.pos for each in (*first, *await watcher.next())] == [1, 2, 3]


async def test_who_begins_anew_hears_what_comes_from_then_on():
    watcher = Watcher(0)
    watcher.hear(news(1))
    watcher.fall_behind()
    watcher.hear(news(2))

    watcher.begin_anew()
    watcher.hear(news(3))

    assert [each.pos for each in await watcher.next()] == [3]


async def test_a_teachers_signature_and_one_that_is_gone_are_told_as_such():
    teacher = to_live_change("x", SignatureAccepted(**judged(kind="teacher")), at=AT, change=1)
    shown = SignatureAccepted(**judged())

    assert (teacher.student_id, teacher.teacher_id is None) == (None, False)
    assert to_live_change(SignatureVoided.type, shown, at=AT, change=2).status == "VOIDED"
    assert to_live_change(SignatureSuperseded.type, shown, at=AT, change=2).status == "SUPERSEDED"


class Ears:
    """A listener that counts how often it was begun and whether it runs."""

    def __init__(self, *, fails=False):
        self.begun, self.is_running, self._fails = 0, False, fails

    async def hear(self, enough):
        self.begun, self.is_running = self.begun + 1, True
        try:
            if self._fails:
                raise ZeroDivisionError
            await enough.wait()
        finally:
            self.is_running = False


@pytest.fixture
def course():
    return CourseId(new_id())


async def test_only_while_somebody_watches_anybody_listens(course, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_S", 0.01)
    watched, ears, stop = Watching([0], linger=timedelta(0)), Ears(), asyncio.Event()
    running = asyncio.create_task(watched.run(ears.hear, stop))
    await asyncio.sleep(0)
    assert ears.begun == 0

    for count in (1, 2):
        with watched.watch(course, 0):
            await until(lambda: ears.is_running)
            await watched.start_anew(0)
            await watched.until_heard(0)
        await until(lambda: not ears.is_running)
        assert (ears.begun, watched._is_heard[0].is_set()) == (count, False)

    stop.set()
    await running


async def test_who_comes_back_at_once_finds_somebody_listening(course, monkeypatch):
    looks = []

    async def look(stop, within_s):
        looks.append(within_s)
        await asyncio.sleep(0)
        return stop.is_set()

    monkeypatch.setattr(watching, "is_set_within", look)
    watched, ears, stop = Watching([0], linger=timedelta(minutes=1)), Ears(), asyncio.Event()
    running = asyncio.create_task(watched.run(ears.hear, stop))
    with watched.watch(course, 0):
        await until(lambda: ears.is_running)
    looks.clear()
    await until(lambda: len(looks) > 2)

    assert ears.is_running

    stop.set()
    await running
    assert (ears.begun, ears.is_running) == (1, False)


async def test_a_listener_that_fails_is_begun_again_by_whoever_runs_it(course, monkeypatch):
    monkeypatch.setattr(watching, "LOOK_S", 0.01)
    watched, stop = Watching([0]), asyncio.Event()

    with watched.watch(course, 0):
        with pytest.raises(ZeroDivisionError):
            await watched.run(Ears(fails=True).hear, stop)
        ears = Ears()
        running = asyncio.create_task(watched.run(ears.hear, stop))
        await until(lambda: ears.is_running)

    stop.set()
    await running


async def test_a_change_is_read_only_where_somebody_watches(course):
    watched = Watching([0])

    await watched.on_change(an_event(course, kind="neither"))
    with watched.watch(course, 0), pytest.raises(ValueError, match="neither"):
        await watched.on_change(an_event(course, kind="neither"))

    with watched.watch(course, 0) as watcher, watched.watch(CourseId(new_id()), 0) as other:
        await watched.on_change(an_event(course))
        assert len(await watcher.next()) == 1
        assert not other._has_news.is_set()


def test_a_place_is_read_as_it_is_written():
    place = Place(incarnation=UUID(int=7), shard=3, pos=12)

    assert read_place(str(place)) == place
    assert read_place(f"{place}9") == Place(incarnation=UUID(int=7), shard=3, pos=129)
    for text in (None, "", "x", f"{place}x", str(place).replace("0", "g"), f"{'-' * 36}/3/12", f"{place}" + "9" * 18):
        assert read_place(text) is None
