"""Making, naming and retiring classrooms and groups, and letting students join and leave."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from academics_svc.commands.news import CREATED, DELETED, UPDATED, news_of_part
from academics_svc.commands.schools import check_version
from academics_svc.domain import Part, PartKind
from academics_svc.ports import BeaconDirectory, Books, PartBook
from contracts.events.academics import GroupMembershipChanged
from contracts.ids import SchoolId
from contracts.problems import ConflictError, InvalidInputError, NotFoundError


async def create_part(part: Part, *, digest: bytes, books: Books) -> None:
    """Keep a new classroom or group. Safe to repeat.

    Raises: NotFoundError("not_found"), ConflictError("idempotency_key_reused" | "name_taken").
    """
    await books.schools.hold(part.school_id)
    await book_of(books, part.kind).add(part, digest=digest, announce=news_of_part(part, CREATED))


async def rename_part(
    kind: PartKind, part_id: UUID, name: str, *, school_id: SchoolId, version_seen: int, books: Books
) -> Part:
    """Give the classroom or group another name.

    Raises: NotFoundError("not_found"), PreconditionFailedError("version_stale"), ConflictError("name_taken").
    """
    part = await lock_present(book_of(books, kind), part_id, school_id)
    check_version(part.version, version_seen)
    if part.name == name:
        return part
    renamed = replace(part, name=name)
    return await book_of(books, kind).change(renamed, news_of_part(renamed, UPDATED))


async def require_no_beacons(beacons: BeaconDirectory, classroom_id: UUID, *, school_id: SchoolId) -> None:
    """Pass when no beacon stands in the room.

    Raises: ConflictError("still_needed"), UnavailableError("beacon_down").
    """
    if await beacons.has_beacons(classroom_id, school_id=school_id):
        raise ConflictError("still_needed")


async def retire_part(kind: PartKind, part_id: UUID, *, school_id: SchoolId, now: datetime, books: Books) -> Part:
    """Retire the classroom or group; courses that are over keep it. Safe to repeat.

    Raises: NotFoundError("not_found"), ConflictError("still_needed").
    """
    book = book_of(books, kind)
    part = await book.lock(part_id, school_id=school_id)
    if part.retired:
        return part
    if await book.is_needed(part_id, now):
        raise ConflictError("still_needed")
    retired = replace(part, retired=True)
    return await book.change(retired, news_of_part(retired, DELETED))


async def change_members(
    group_id: UUID,
    *,
    add: Collection[UUID] = (),
    remove: Collection[UUID] = (),
    school_id: SchoolId,
    books: Books,
) -> tuple[Part, GroupMembershipChanged]:
    """Let students join and leave; return the group and who really did. Safe to repeat.

    Raises: NotFoundError("not_found"), InvalidInputError("malformed_body").
    """
    if set(add) & set(remove):
        raise InvalidInputError("malformed_body", "the same student joins and leaves", fields=["add", "remove"])
    group = await lock_present(books.groups, group_id, school_id)
    members = await books.members.find(group_id, {*add, *remove})
    news = GroupMembershipChanged(
        group_id=group_id,
        school_id=school_id,
        added=sorted(set(add) - members),
        removed=sorted(set(remove) & members),
    )
    if news.added or news.removed:
        group = await books.members.change(group, news)
    return group, news


def book_of(books: Books, kind: PartKind) -> PartBook:
    """Return the book of that kind of part."""
    return books.classrooms if kind == "classroom" else books.groups


async def lock_present(book: PartBook, part_id: UUID, school_id: SchoolId) -> Part:
    """Return the locked part. Raises: NotFoundError("not_found") also when it is retired."""
    part = await book.lock(part_id, school_id=school_id)
    if part.retired:
        raise NotFoundError("not_found")
    return part
