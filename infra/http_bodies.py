"""Bases and field types of what REST doors read and write."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from contracts.ids import CANONICAL
from contracts.problems import MalformedError
from infra.canon import from_base64url, to_base64url

T = TypeVar("T")
DIGITS = re.compile(r"[0-9]{1,18}")
RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
# Times outside are typing errors, and sums with them may leave what a datetime can hold.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class _Canonical:
    """Makes a UUID take one spelling as text. Where it is a UUID already, as in answers, it is taken as it is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # In Rust throughout: a function of ours would be called for each id of a hundred proofs.
        text = core_schema.str_schema(pattern=f"^{CANONICAL}$", strict=True)
        return core_schema.union_schema(
            [
                core_schema.chain_schema([text, core_schema.uuid_schema(strict=False)]),
                core_schema.is_instance_schema(UUID),
            ],
            mode="left_to_right",
            custom_error_type="uuid_spelling",
            custom_error_message="not a canonical UUID",
            serialization=core_schema.to_string_ser_schema(),
        )


def _rfc_3339(value: object) -> object:
    # pydantic alone also takes seconds since 1970, a space for the T, and times without seconds.
    if isinstance(value, str):
        if not RFC_3339.fullmatch(value):
            raise ValueError("not an RFC 3339 date and time")
        return datetime.fromisoformat(value)
    return value


def _in_range(value: datetime) -> datetime:
    if not EARLIEST <= value <= LATEST:
        raise ValueError("year out of range")
    return value.astimezone(UTC)


def _ascii_digits(value: object) -> object:
    if isinstance(value, str):
        if not DIGITS.fullmatch(value):
            raise ValueError("not a number")
        return int(value)
    return value


Id = Annotated[UUID, _Canonical, WithJsonSchema({"type": "string", "format": "uuid"})]
"""A UUID in canonical lower case."""
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc_3339), AfterValidator(_in_range)]
"""RFC 3339 with an offset, years 2000 to 2099, kept as UTC."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
QueryInt = Annotated[int, BeforeValidator(_ascii_digits)]


class Body(BaseModel):
    """Base of every request body: unknown fields and implicit conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Query(BaseModel):
    """Base of every query string: unknown parameters are refused; values arrive as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoBody(Body):
    """For routes that read no body."""


class NoQuery(Query):
    """For routes that read no query."""


class PageQuery(Query):
    """Which part of a list is wanted. cursor: as `next_cursor` of the part before."""

    limit: Annotated[QueryInt, Field(ge=1, le=200)] = 50
    cursor: Annotated[str | None, StringConstraints(max_length=64)] = None


class Answer(BaseModel):
    """Base of every answer body."""

    model_config = ConfigDict(frozen=True)


class Page(Answer, Generic[T]):
    """One part of a list in stable order. next_cursor: None at the end."""

    items: Sequence[T]
    next_cursor: str | None


def page_after(query: PageQuery) -> UUID | None:
    """Return the id after which the wanted part starts, None for the first part.

    Raises: MalformedError("malformed_cursor").
    """
    if query.cursor is None:
        return None
    try:
        return UUID(bytes=from_base64url(query.cursor, size=16))
    except ValueError as error:
        raise MalformedError("malformed_cursor") from error


def page_of(rows: Sequence[T], query: PageQuery, *, id_of: Callable[[T], UUID]) -> Page[T]:
    """Return a page of `rows`, which were read with LIMIT `query.limit + 1` in the order of their ids."""
    items = rows[: query.limit]
    more = len(rows) > query.limit
    cursor = to_base64url(id_of(items[-1]).bytes) if more else None
    return Page(items=items, next_cursor=cursor)
