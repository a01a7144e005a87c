"""Planning many courses at once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from academics_svc.commands.courses import create_course
from academics_svc.commands.people import check_people
from academics_svc.domain import Course
from academics_svc.ports import Books, People
from contracts.ids import SchoolId
from contracts.problems import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, ProblemError
from infra.imported import Imported
from infra.tokens import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRow:
    """A course as a row plans it. digest: of the row."""

    course: Course
    digest: bytes


async def import_courses(
    rows: Sequence[PlannedRow],
    *,
    school_id: SchoolId,
    caller: Caller,
    people: People,
    open_books: Callable[[], AbstractAsyncContextManager[Books]],
) -> Sequence[Imported | ProblemError]:
    """Plan the courses of one school that are not there, in one transaction; one that is there stays as it is.

    Returns of each what it became, or why it cannot be. Safe to repeat.
    Raises: UnavailableError("identity_down" | "database_down"): then none is kept.
    """
    teacher_ids = frozenset(id_ for row in rows for id_ in row.course.teacher_ids)
    kinds = await people.find_kinds(teacher_ids, school_id=school_id) if teacher_ids else {}
    async with open_books() as books:
        known = set(await books.courses.find_known([row.course.id for row in rows]))
        outcomes: list[Imported | ProblemError] = []
        for row in rows:
            outcome = await _import_one(row, known, kinds, caller=caller, books=books)
            outcomes.append(outcome)
            known |= {outcome.id} if isinstance(outcome, Imported) else set()
    return outcomes


async def _import_one(
    row: PlannedRow, known: set[UUID], kinds: Mapping[UUID, str], *, caller: Caller, books: Books
) -> Imported | ProblemError:
    course = row.course
    if course.id in known:
        return Imported(course.id, is_new=False)
    try:
        check_people(kinds, course.teacher_ids, kind="teacher")
        await create_course(course, caller=caller, digest=row.digest, books=books)
    # Found before anything is written, so the transaction goes on without this row.
    except (NotFoundError, ForbiddenError, InvalidInputError, ConflictError) as refusal:
        return refusal
    return Imported(course.id, is_new=True)
