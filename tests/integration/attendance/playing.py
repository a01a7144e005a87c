"""What students' proofs and people's marks look like to the tests."""

from attendance_svc.commands.attempts import create_signature_attempt
from contracts.ids import SignatureId, StudentId, new_id
from tests.fakes.attendance import an_attempt


async def sign(school, student_id, at=None, **changes):
    """A student's proof, handed in by a beacon."""
    fields = {
        "course_id": school.course.id,
        "school_id": school.course.school_id,
        "student_id": StudentId(student_id),
        "received_at": school.now,
    }
    return await create_signature_attempt(
        an_attempt(at or school.now, **(fields | changes)),
        signature_id=SignatureId(new_id()),
        sources=school.sources,
        open_book=school.open_book,
        cause=school.cause(),
    )


async def mark(person, school, student_id, status="ACCEPTED", reason="saw it myself", **more):
    """A human's mark of a student, over REST."""
    return await person.post(course_id=school.course.id, student_id=student_id, status=status, reason=reason, **more)
