"""All books of one transaction."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from academics_svc.ports import Books
from academics_svc.store.calendars import PostgresCalendarBook
from academics_svc.store.courses import PostgresCourseBook
from academics_svc.store.parts import CLASSROOMS, GROUPS, PostgresMemberBook, PostgresPartBook
from academics_svc.store.schools import PostgresSchoolBook
from academics_svc.store.writing import Writer
from contracts.events.envelope import Cause
from infra.postgres import Pool, transaction
from streams.outbox import Outbox


@asynccontextmanager
async def open_books(pool: Pool, outbox: Outbox, committed: Callable[[], None], cause: Cause) -> AsyncIterator[Books]:
    """Open the books in a transaction of their own: leaving commits, an exception rolls back.

    committed: told after the commit that there may be news. Raises: UnavailableError("database_down").
    """
    async with transaction(pool) as connection:
        writer = Writer(connection=connection, outbox=outbox, cause=cause)
        yield Books(
            schools=PostgresSchoolBook(writer),
            classrooms=PostgresPartBook(writer, CLASSROOMS),
            groups=PostgresPartBook(writer, GROUPS),
            members=PostgresMemberBook(writer),
            courses=PostgresCourseBook(writer),
            calendars=PostgresCalendarBook(connection),
        )
    committed()
