"""Which of a student's signatures counts: the earliest time with the best status; arrival order costs nobody."""

from typing import Literal

from attendance_svc.domain.signatures import Signature

Place = Literal["beside", "instead", "behind"]


def decide_standing(new: Signature, standing: Signature | None) -> Place:
    """Decide where `new`, judged by the rules, goes when `standing` counts already.

    beside: it is what it was judged to be. instead: it takes the place of the standing one.
    behind: it is kept, and the standing one answers for it.
    """
    if standing is None:
        return "beside"
    if standing.judged_by is not None or standing.status != "LATE" or new.t >= standing.t:
        return "behind"
    if new.status == "ACCEPTED":
        return "instead"
    # Undecided, and it may yet turn out to be the better one.
    return "beside" if new.status == "PENDING" else "behind"
