"""Routes of schools and their preferences."""

from uuid import UUID

from pydantic import Field

from academics_svc.commands.authority import school_to_read
from academics_svc.commands.schools import change_preferences, create_school, rename_school, retire_school
from academics_svc.domain import Preferences, School
from academics_svc.http_api.desk import ADMINS, DEVELOPERS, Desk, digest_of, gone
from academics_svc.queries.schools import find_preferences, find_school, list_schools
from contracts.ids import SchoolId, new_id
from contracts.problems import NotFoundError
from infra.http_bodies import Answer, Body, Name, NoBody, NoQuery, Page, PageQuery, page_after, page_of
from infra.http_routes import PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import connection
from infra.tokens import Caller


class PreferencesBody(Body):
    """Some or all preferences; what is left out stays as it is. Minutes: 0 to 1440."""

    default_signature_closing_delay_minutes: int = 15
    teacher_can_modify_closing_delay: bool = True
    students_can_sign_before_teacher: bool = True
    enable_flash: bool = True
    enable_nfc: bool = True
    enable_qr: bool = True
    disable_course_modification_from_ui: bool = False
    early_open_minutes: int = 0
    late_grace_minutes: int = 0


class SchoolBody(Body):
    """A new school. preferences: those that differ from the defaults."""

    name: Name
    preferences: PreferencesBody = Field(default_factory=PreferencesBody)


class SchoolPatch(Body):
    """Some fields of a school."""

    name: Name = ""


class SchoolAnswer(Answer):
    """A school."""

    id: UUID
    name: str
    version: int


class PreferencesAnswer(Answer):
    """A school's rules of signing."""

    id: UUID
    school_id: UUID
    default_signature_closing_delay_minutes: int
    teacher_can_modify_closing_delay: bool
    students_can_sign_before_teacher: bool
    enable_flash: bool
    enable_nfc: bool
    enable_qr: bool
    disable_course_modification_from_ui: bool
    early_open_minutes: int
    late_grace_minutes: int
    version: int


class SchoolApi:
    """Routes under /schools."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of schools."""
        one = "/schools/{school_id}"
        return [*self._many(), *self._one(one), *self._preferences(f"{one}/preferences")]

    def _many(self) -> list[AnyRoute]:
        return [
            Route(
                method="GET",
                path="/schools",
                handler=self.get_all,
                who=DEVELOPERS,
                query=PageQuery,
                answer=Page[SchoolAnswer],
                summary="List all schools",
            ),
            Route(
                method="POST",
                path="/schools",
                handler=self.post,
                who=DEVELOPERS,
                body=SchoolBody,
                answer=SchoolAnswer,
                status=201,
                summary="Make a school with its preferences",
            ),
        ]

    def _one(self, one: str) -> list[AnyRoute]:
        return [
            Route(
                method="GET", path=one, handler=self.get, who=PEOPLE, answer=SchoolAnswer, summary="Show one's school"
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.patch,
                who=ADMINS,
                body=SchoolPatch,
                answer=SchoolAnswer,
                summary="Rename a school",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete,
                who=DEVELOPERS,
                status=204,
                summary="Retire an empty school",
            ),
        ]

    def _preferences(self, path: str) -> list[AnyRoute]:
        return [
            Route(
                method="GET",
                path=path,
                handler=self.get_preferences,
                who=PEOPLE,
                answer=PreferencesAnswer,
                summary="Show the rules of signing",
            ),
            Route(
                method="PATCH",
                path=path,
                handler=self.patch_preferences,
                who=ADMINS,
                body=PreferencesBody,
                answer=PreferencesAnswer,
                summary="Set some rules of signing",
            ),
        ]

    async def get_all(self, call: Call[NoBody, PageQuery]) -> Reply:
        async with connection(self._desk.pool) as lent:
            schools = await list_schools(lent, after=page_after(call.query), limit=call.query.limit + 1)
        return Reply(body=page_of([to_school(school) for school in schools], call.query, id_of=lambda shown: shown.id))

    async def post(self, call: Call[SchoolBody, NoQuery]) -> Reply:
        school = School(id=SchoolId(call.fresh_id()), name=call.body.name)
        rules = call.body.preferences.model_dump()
        preferences = Preferences(id=new_id(), school_id=school.id, **rules)
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            await create_school(school, preferences, digest=digest_of(call.body), books=books)
        return await self._show(school.id, status=201, written=True)

    async def get(self, call: Call[NoBody, NoQuery]) -> Reply:
        return await self._show(reachable(call.caller, call.ids["school_id"]))

    async def patch(self, call: Call[SchoolPatch, NoQuery]) -> Reply:
        school_id = reachable(call.caller, call.ids["school_id"])
        version_seen = call.version_seen()
        if call.body.model_fields_set:
            async with self._desk.open_books(self._desk.cause(call.caller)) as books:
                await rename_school(school_id, call.body.name, version_seen=version_seen, books=books)
        return await self._show(school_id, written=True)

    async def delete(self, call: Call[NoBody, NoQuery]) -> Reply:
        cause = self._desk.cause(call.caller)
        async with self._desk.open_books(cause) as books:
            school = await retire_school(SchoolId(call.ids["school_id"]), now=cause.at, books=books)
        return gone(self._desk.token("school", school.id, school.version, school_id=school.id))

    async def get_preferences(self, call: Call[NoBody, NoQuery]) -> Reply:
        return await self._show_preferences(reachable(call.caller, call.ids["school_id"]))

    async def patch_preferences(self, call: Call[PreferencesBody, NoQuery]) -> Reply:
        school_id, cause = reachable(call.caller, call.ids["school_id"]), self._desk.cause(call.caller)
        changes = call.body.model_dump(include=call.body.model_fields_set)
        async with self._desk.open_books(cause) as books:
            await change_preferences(school_id, changes, version_seen=call.version_seen(), now=cause.at, books=books)
        return await self._show_preferences(school_id, written=True)

    async def _show(self, school_id: SchoolId, *, status: int = 200, written: bool = False) -> Reply:
        async with connection(self._desk.pool) as lent:
            school = await find_school(lent, school_id)
        if school is None or school.retired:
            raise NotFoundError("not_found")
        token = self._desk.token("school", school_id, school.version, school_id=school_id)
        return Reply(
            status=status,
            body=to_school(school),
            version=school.version,
            location=f"/schools/{school_id}" if status == 201 else None,  # noqa: PLR2004 -- Created
            headers=token if written else {},
        )

    async def _show_preferences(self, school_id: SchoolId, *, written: bool = False) -> Reply:
        async with connection(self._desk.pool) as lent:
            preferences = await find_preferences(lent, school_id)
        if preferences is None:
            raise NotFoundError("not_found")
        token = self._desk.token("preferences", preferences.id, preferences.version, school_id=school_id)
        return Reply(body=to_preferences(preferences), version=preferences.version, headers=token if written else {})


def reachable(caller: Caller, school_id: UUID) -> SchoolId:
    """Return the school when `caller` may know of it. Raises: NotFoundError("not_found")."""
    return school_to_read(caller, school_id) or SchoolId(school_id)


def to_school(school: School) -> SchoolAnswer:
    """Say it in JSON."""
    return SchoolAnswer(id=school.id, name=school.name, version=school.version)


def to_preferences(preferences: Preferences) -> PreferencesAnswer:
    """Say it in JSON; the names are the same."""
    return PreferencesAnswer.model_validate(preferences, from_attributes=True)
