"""Routes by which screens show codes and phones scan them."""

import asyncio
import secrets

from attendance_svc.commands.qr import ScanRequest, scan_code
from attendance_svc.commands.qr_sessions import NewQrSession, open_qr_session, show_codes
from attendance_svc.domain.qr import QrSession
from attendance_svc.http_api.bodies import (
    QrCodeShown,
    QrSessionAnswer,
    QrSessionBody,
    ScanBody,
    TicketAnswer,
    to_session_answer,
    to_shown,
)
from attendance_svc.http_api.desk import STAFF, STUDENTS, AnyCall, Desk, device_request, human_of, school_of
from contracts.ids import ClassroomId, CourseId, StudentId
from contracts.problems import ConflictError, NotFoundError
from infra.http_bodies import NoBody, NoQuery
from infra.http_events import Event, Events
from infra.http_routes import AnyRoute, Call, Reply, Route


class QrRoutes:
    """Routes under /signatures/qr."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind, in one place."""
        return [*self._of_screens(), self._of_phones()]

    def _of_screens(self) -> list[AnyRoute]:
        one = "/signatures/qr/{qr_session_id}"
        return [
            Route(
                method="POST",
                path="/signatures/qr",
                handler=self.post_session,
                who=STAFF,
                body=QrSessionBody,
                answer=QrSessionAnswer,
                status=201,
                summary="Let a screen show codes for a course, a new one every 5 s",
            ),
            Route(
                method="GET",
                path=one,
                handler=self.get_session,
                who=STAFF,
                answer=QrSessionAnswer,
                summary="Show a session of a screen",
            ),
            Route(
                method="GET",
                path=f"{one}/codes",
                handler=self.get_codes,
                who=STAFF,
                events={"code": QrCodeShown},
                summary="Hear each code as it is to be shown, until the session ends",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete_session,
                who=STAFF,
                status=204,
                summary="End a session: its codes count no more",
            ),
        ]

    def _of_phones(self) -> AnyRoute:
        return Route(
            method="POST",
            path="/signatures/qr/scan",
            handler=self.post_scan,
            who=STUDENTS,
            body=ScanBody,
            answer=TicketAnswer,
            status=201,
            summary="Scan a code; the request is signed by the student's device",
        )

    async def post_session(self, call: Call[QrSessionBody, NoQuery]) -> Reply:
        room = call.body.classroom_id
        wanted = NewQrSession(
            id=call.fresh_id(),
            course_id=CourseId(call.body.course_id),
            classroom_id=None if room is None else ClassroomId(room),
        )
        session = await open_qr_session(
            human_of(call.caller),
            wanted,
            academics=self._desk.sources_for(call).academics,
            sessions=self._desk.qr.sessions,
            draw=secrets.token_bytes,
            cause=self._desk.cause(call.caller),
        )
        return Reply(status=201, body=to_session_answer(session), location=f"/signatures/qr/{session.id}")

    async def post_scan(self, call: Call[ScanBody, NoQuery]) -> Reply:
        wanted = ScanRequest(
            student_id=StudentId(call.caller.id),
            school_id=school_of(call.caller),
            payload=call.body.payload,
            request=device_request(call),
        )
        ticket = await scan_code(wanted, door=self._desk.qr, phones=self._desk.sources.phones, now=self._desk.now())
        answer = TicketAnswer(ticket=ticket.text, expires_at=ticket.expires_at, course_id=ticket.course_id)
        return Reply(status=201, body=answer)

    async def get_session(self, call: Call[NoBody, NoQuery]) -> Reply:
        return Reply(body=to_session_answer(await self._require(call)))

    async def get_codes(self, call: Call[NoBody, NoQuery]) -> Events:
        session = await self._require(call)
        if not session.is_open(self._desk.now()):
            raise ConflictError("qr_session_closed")
        return self._tell(session)

    async def _tell(self, session: QrSession) -> Events:
        codes = show_codes(session, sessions=self._desk.qr.sessions, now=self._desk.now, pause=asyncio.sleep)
        async for code in codes:
            yield Event(name="code", data=to_shown(code, origin=self._desk.origin))

    async def delete_session(self, call: Call[NoBody, NoQuery]) -> Reply:
        session = await self._find(call)
        # Who opened it ends it, whoever is away.
        if session.opened_by != call.caller.id:
            await self._desk.find_course(call, session.course_id)
        await self._desk.qr.sessions.close(session.id, at=self._desk.now())
        return Reply(status=204)

    async def _require(self, call: AnyCall) -> QrSession:
        """Return the session that the path names: of a teacher's own course, of an admin's school.

        Raises: NotFoundError("not_found"), ForbiddenError("forbidden"), UnavailableError("academics_down").
        """
        session = await self._find(call)
        await self._desk.find_course(call, session.course_id)
        return session

    async def _find(self, call: AnyCall) -> QrSession:
        """Return the session of the caller's school that the path names. Raises: NotFoundError("not_found")."""
        session = await self._desk.qr.sessions.find(call.ids["qr_session_id"])
        if session is None or session.school_id != call.caller.school_id:
            raise NotFoundError("not_found")
        return session
