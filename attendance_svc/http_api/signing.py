"""Routes that change signatures: signing, marking, correcting, taking back."""

from collections.abc import Collection
from uuid import UUID

from attendance_svc.commands.marks import (
    Correction,
    Mark,
    NewSignature,
    change_status,
    mark_by_hand,
    sign_as_teacher,
    void,
)
from attendance_svc.commands.nfc import NfcRequest, sign_with_nfc
from attendance_svc.commands.qr import QrRequest, sign_with_qr
from attendance_svc.domain.attempts import NfcClaim
from attendance_svc.domain.signatures import Answer, Kind
from attendance_svc.http_api.bodies import SignatureAnswer, SignBody, StatusPatch, VoidQuery, to_answer
from attendance_svc.http_api.desk import ADMINS, SIGNERS, STAFF, Desk, device_request, human_of, school_of
from contracts.ids import CourseId, SignatureId, StudentId, new_id
from contracts.problems import ConflictError, ForbiddenError, InvalidInputError
from infra.http_bodies import NoBody, NoQuery
from infra.http_routes import AnyRoute, Call, Reply, Route

OF_NFC = frozenset(("method", "serial", "code"))
OF_QR = frozenset(("method", "ticket"))
OF_MARKS = frozenset(("status", "reason"))

SignCall = Call[SignBody, NoQuery]


class SigningRoutes:
    """Routes under /signatures that change something."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind, in one place."""
        one = "/signatures/{signature_id}"
        return [
            Route(
                method="POST",
                path="/signatures",
                handler=self.post_signature,
                who=SIGNERS,
                body=SignBody,
                answer=SignatureAnswer,
                status=201,
                summary="Sign, or say by hand that somebody was there",
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.patch_signature,
                who=STAFF,
                body=StatusPatch,
                answer=SignatureAnswer,
                summary="Give a signature another status",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete_signature,
                who=ADMINS,
                query=VoidQuery,
                status=204,
                summary="Take a signature back; its history stays",
            ),
        ]

    async def post_signature(self, call: SignCall) -> Reply:
        if call.caller.type == "student":
            return await self._sign_as_student(call)
        if call.caller.type == "teacher" and call.body.student_id is None and call.body.teacher_id is None:
            return await self._sign_as_teacher(call)
        return await self._mark(call)

    async def _sign_as_student(self, call: SignCall) -> Reply:
        answer = await (self._sign_with_qr(call) if call.body.method == "qr" else self._sign_with_nfc(call))
        if answer.signature.status == "REFUSED":
            raise ConflictError(answer.reason, signature_id=str(answer.signature.id))
        return self._made(answer)

    async def _sign_with_nfc(self, call: SignCall) -> Answer:
        body, caller = call.body, call.caller
        _require(body, OF_NFC)
        wanted = NfcRequest(
            student_id=StudentId(caller.id),
            school_id=school_of(caller),
            course_id=CourseId(body.course_id),
            claim=NfcClaim(serial=str(body.serial), code=str(body.code), request=device_request(call)),
        )
        return await sign_with_nfc(
            wanted,
            door=self._desk.nfc,
            sources=self._desk.sources_for(call),
            signature_id=SignatureId(new_id()),
            cause=self._desk.cause(caller),
        )

    async def _sign_with_qr(self, call: SignCall) -> Answer:
        body, caller = call.body, call.caller
        _require(body, OF_QR)
        wanted = QrRequest(
            student_id=StudentId(caller.id),
            school_id=school_of(caller),
            course_id=CourseId(body.course_id),
            ticket=str(body.ticket),
            request=device_request(call),
        )
        return await sign_with_qr(
            wanted,
            door=self._desk.qr,
            sources=self._desk.sources_for(call),
            signature_id=SignatureId(new_id()),
            cause=self._desk.cause(caller),
        )

    async def _sign_as_teacher(self, call: SignCall) -> Reply:
        _require(call.body, frozenset())
        answer = await sign_as_teacher(
            human_of(call.caller),
            CourseId(call.body.course_id),
            new=_new(call),
            academics=self._desk.sources_for(call).academics,
            open_book=self._desk.open_book,
            cause=self._desk.cause(call.caller),
        )
        return self._made(answer)

    async def _mark(self, call: SignCall) -> Reply:
        body = call.body
        subject = "teacher_id" if body.student_id is None else "student_id"
        _require(body, OF_MARKS | {subject})
        if subject == "teacher_id" and call.caller.type != "admin":
            raise ForbiddenError("forbidden")
        kind: Kind = "teacher" if subject == "teacher_id" else "student"
        if body.status is None or body.reason is None:
            raise InvalidInputError("malformed_body", fields=sorted(OF_MARKS))
        mark = Mark(
            course_id=CourseId(body.course_id),
            kind=kind,
            subject_id=_known(body.student_id or body.teacher_id),
            status=body.status,
            note=body.reason,
        )
        answer = await mark_by_hand(
            human_of(call.caller),
            mark,
            new=_new(call),
            academics=self._desk.sources_for(call).academics,
            open_book=self._desk.open_book,
            cause=self._desk.cause(call.caller),
        )
        return self._made(answer)

    async def patch_signature(self, call: Call[StatusPatch, NoQuery]) -> Reply:
        correction = Correction(
            signature_id=SignatureId(call.ids["signature_id"]),
            status=call.body.status,
            note=call.body.reason,
            version_seen=call.version_seen(),
        )
        signature = await change_status(
            human_of(call.caller),
            correction,
            academics=self._desk.sources_for(call).academics,
            open_book=self._desk.open_book,
            cause=self._desk.cause(call.caller),
        )
        headers = self._desk.token(signature.school_id, signature.id, signature.announced)
        return Reply(body=to_answer(signature), version=signature.version, headers=headers)

    async def delete_signature(self, call: Call[NoBody, VoidQuery]) -> Reply:
        await void(
            human_of(call.caller),
            SignatureId(call.ids["signature_id"]),
            note=call.query.reason,
            open_book=self._desk.open_book,
            cause=self._desk.cause(call.caller),
        )
        return Reply(status=204)

    def _made(self, answer: Answer) -> Reply:
        """201 for what this request made, 200 when another signature stands already."""
        signature = answer.signature
        return Reply(
            status=201 if answer.is_new else 200,
            body=to_answer(signature, reason=answer.reason),
            version=signature.version,
            location=f"/signatures/{signature.id}",
            headers=self._desk.token(signature.school_id, signature.id, signature.announced),
        )


def _require(body: SignBody, wanted: Collection[str]) -> None:
    """Raises: InvalidInputError("malformed_body") naming what is missing and what does not belong there."""
    given = {name for name in SignBody.model_fields if name != "course_id" and getattr(body, name) is not None}
    if given != set(wanted):
        raise InvalidInputError("malformed_body", fields=sorted(given ^ set(wanted)))


def _new(call: SignCall) -> NewSignature:
    id_ = call.fresh_id()
    return NewSignature(id=SignatureId(id_), idempotency_key=str(id_) if call.idempotency_key else None)


def _known(id_: UUID | None) -> UUID:
    if id_ is None:
        raise ForbiddenError("forbidden")
    return id_
