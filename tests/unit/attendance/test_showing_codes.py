"""A screen is told each code once, as its step begins, and nothing any more once the session ends."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from attendance_svc.commands.qr_sessions import show_codes
from attendance_svc.domain.qr import STEP, QrSession, step_of
from contracts.ids import CourseId, SchoolId, new_id
from tests.fakes.attendance import NINE

SESSION = QrSession(
    id=new_id(),
    sid=bytes(8),
    school_id=SchoolId(new_id()),
    course_id=CourseId(new_id()),
    classroom_id=None,
    opened_by=uuid4(),
    opened_at=NINE,
    expires_at=NINE + 4 * STEP,
    key=bytes(32),
)


class World:
    """A clock that only pauses move on, by a little less than they should, and a session that may be closed."""

    def __init__(self, starts_at):
        self.now, self.session, self.short = starts_at, SESSION, timedelta(milliseconds=2)

    def clock(self):
        return self.now

    async def pause(self, seconds):
        asked = timedelta(seconds=seconds)
        self.now += asked - self.short if asked > self.short else asked

    async def find(self, session_id):
        return self.session if session_id == SESSION.id else None

    def codes(self):
        return show_codes(SESSION, sessions=self, now=self.clock, pause=self.pause)


async def test_a_screen_is_told_the_code_of_every_step_until_the_session_ends():
    world = World(NINE + timedelta(seconds=3))

    steps = [(code.step, world.now) async for code in world.codes()]

    assert steps == [(step_of(NINE), NINE + timedelta(seconds=3))] + [
        (step_of(NINE) + n, NINE + n * STEP) for n in (1, 2, 3, 4)
    ]


async def test_a_screen_hears_nothing_after_the_session_was_closed():
    world, steps = World(NINE), []
    async for code in world.codes():
        steps.append(code.step)
        world.session = replace(SESSION, closed_at=world.now)

    assert steps == [step_of(NINE)]
