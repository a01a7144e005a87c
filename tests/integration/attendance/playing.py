"""What students' proofs and people's marks look like to the tests."""

from attendance_svc.commands.attempts import Submission, create_signature_attempt
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
        submitted(school, an_attempt(at or school.now, **(fields | changes))), sources=school.sources, keep=school.keep
    )


def submitted(school, attempt):
    """An attempt as a door hands it on."""
    return Submission(attempt=attempt, signature_id=SignatureId(new_id()), cause=school.cause())


async def mark(person, school, student_id, status="ACCEPTED", reason="saw it myself", **more):
    """A human's mark of a student, over REST."""
    return await person.post(course_id=school.course.id, student_id=student_id, status=status, reason=reason, **more)
