"""Make sure that the people a change names are there, before its transaction."""

from collections.abc import Collection, Mapping
from uuid import UUID

from academics_svc.ports import People, UserKind
from contracts.ids import SchoolId
from contracts.problems import InvalidInputError, NotFoundError


async def require_people(people: People, user_ids: Collection[UUID], *, kind: UserKind, school_id: SchoolId) -> None:
    """Pass when each of the users is of that kind and of that school; another school's are as unknown as nobody.

    Raises: NotFoundError("user_unknown"), InvalidInputError("not_a_student" | "not_a_teacher"),
    UnavailableError("identity_down").
    """
    if user_ids:
        check_people(await people.find_kinds(user_ids, school_id=school_id), user_ids, kind=kind)


def check_people(kinds: Mapping[UUID, str], user_ids: Collection[UUID], *, kind: UserKind) -> None:
    """Pass when each of the users is of that kind. kinds: of those of the school, as identity says.

    Raises: NotFoundError("user_unknown"), InvalidInputError("not_a_student" | "not_a_teacher").
    """
    if any(user_id not in kinds for user_id in user_ids):
        raise NotFoundError("user_unknown")
    if any(kinds[user_id] != kind for user_id in user_ids):
        raise InvalidInputError(f"not_a_{kind}")
