"""Failures a caller can see: one class per kind, one code per case, every code listed here with its title."""


class ProblemError(Exception):
    """A failure with a stable, wire-visible `code` in snake_case ("beacon_unknown").

    extra: more members of the problem document, JSON values only, never secrets or echoed input.
    """

    def __init__(self, code: str, detail: str = "", **extra: str | int | list[str]) -> None:
        super().__init__(detail or code)
        self.code = code
        self.extra = extra


class MalformedError(ProblemError):
    """The request cannot be read at all (400)."""


class UnauthenticatedError(ProblemError):
    """Nobody vouches for the caller (401)."""


class ForbiddenError(ProblemError):
    """The caller is known and may not do this (403)."""


class NotFoundError(ProblemError):
    """The named thing is not there, or not for this caller (404)."""


class NotAcceptableError(ProblemError):
    """The caller wants a kind of answer that this door does not make (406)."""


class ConflictError(ProblemError):
    """A true request at the wrong moment (409)."""


class PreconditionFailedError(ProblemError):
    """The caller saw another version than the current one (412)."""


class PreconditionRequiredError(ProblemError):
    """The caller must say which version it saw (428)."""


class PayloadTooLargeError(ProblemError):
    """The body is larger than this door takes (413)."""


class UnsupportedMediaError(ProblemError):
    """The body is not of a kind this door reads (415)."""


class InvalidInputError(ProblemError):
    """The request was read and can never succeed as sent (422)."""


class TooManyRequestsError(ProblemError):
    """The caller is over its limit and may come back later (429)."""


class UnavailableError(ProblemError):
    """A dependency is down; the caller may retry (503)."""


class DeadlineError(ProblemError):
    """The time for this request ran out; whether it was done is unknown (504)."""


# Every code that leaves a door as a problem. The reasons of refusals are in attendance_svc/domain.py.
TITLES: dict[str, str] = {
    # what every door can say
    "malformed_json": "The body is not strict JSON",
    "malformed_body": "The body has fields of the wrong kind",
    "malformed_query": "The query has parameters of the wrong kind",
    "malformed_path": "The path is not one this door serves",
    "malformed_message": "The message cannot be read",
    "malformed_field": "A field of the message has the wrong form",
    "malformed_header": "A header has the wrong form",
    "malformed_cursor": "The cursor was not made by this list",
    "unsupported_media_type": "Bodies of this kind are not read here",
    "not_acceptable": "The answer is of none of the kinds that Accept names",
    "body_too_large": "The body is larger than this door takes",
    "malformed_file": "The file is not UTF-8, or not of the form that its type demands",
    "malformed_columns": "The first row must name every column that is needed, and each that is read here at most once",
    "malformed_row": "The row is not of the form that the file's type demands",
    "event_recurs": "Events that recur are not read here: send each of them",
    "time_zone_unknown": "A time needs a time zone by its IANA name, or Z",
    "too_many_rows": "The file has more rows than are read at once",
    "route_unknown": "There is nothing here",
    "method_not_allowed": "This method is not served here",
    "not_found": "There is no such thing",
    "token_missing": "A bearer token is needed",
    "token_invalid": "The token is not valid",
    "token_expired": "The token has expired",
    "token_revoked": "The token was revoked",
    "keys_unavailable": "Tokens cannot be checked right now",
    "forbidden": "The caller may not do this",
    "version_required": "If-Match with the version seen is needed",
    "version_stale": "Somebody changed this since it was read",
    "idempotency_key_reused": "The idempotency key belongs to another request",
    "request_in_progress": "The same request is being served right now",
    "rate_limited": "Too many requests",
    "overloaded": "Too many requests are in flight",
    "deadline_missing": "A call must carry a deadline",
    "deadline_exceeded": "The time for this request ran out",
    "database_down": "The database cannot be reached right now",
    "peer_unauthenticated": "The calling service is not known",
    "peer_forbidden": "The calling service may not call this",
    "internal": "Something failed here",
    # what the edge itself says
    "malformed_request": "The request is not well-formed HTTP",
    "headers_too_large": "The headers are larger than this door takes",
    "request_too_slow": "The request took too long to arrive",
    "upstream_down": "The service behind this door cannot be reached right now",
    "identity_down": "identity_svc cannot be reached right now",
    "academics_down": "academics_svc cannot be reached right now",
    "attendance_down": "attendance_svc cannot be reached right now",
    "beacon_down": "beacon_svc cannot be reached right now",
    # requests signed by a student's device
    "device_signature_missing": "This request must be signed by the student's device",
    "device_signature_invalid": "The device's signature does not fit this request",
    "device_clock_skew": "The device's clock is too far from the server's",
    "device_not_bound": "The device is not bound to this student",
    "replay": "This signed request was already used",
    # beacons
    "beacon_auth_failed": "The beacon could not be authenticated",
    "clock_skew": "The beacon's clock is too far from the server's",
    "beacon_retired": "The beacon is out of service",
    "serial_taken": "The serial number belongs to another beacon",
    "key_taken": "The key belongs to another beacon",
    "key_malformed": "The public key is not a P-256 key",
    "too_many_keys": "The beacon has as many active keys as it may have",
    "seq_conflict": "Another proof has this sequence number",
    "mixed_batch": "A batch holds proofs of one key of one beacon",
    # accounts and logins
    "login_failed": "The address or the password is wrong",
    "login_throttled": "Too many passwords were tried; try again later",
    "login_too_old": "This needs a login within the last five minutes",
    "refresh_failed": "The refresh token is not good any more",
    "reset_token_invalid": "The token was used, has expired or was never issued",
    "password_wrong": "The current password is wrong",
    "password_too_short": "The password is too short",
    "password_too_long": "The password is too long",
    "password_too_common": "The password is among the first that anybody would try",
    "email_malformed": "The address is not one this installation takes",
    "email_taken": "The address belongs to another account",
    "name_malformed": "A name has characters that cannot be seen",
    "student_number_taken": "The number belongs to another student of the school",
    "field_not_for_type": "This type of account does not have this field",
    "school_id_required": "A developer must name the school",
    "own_account": "Nobody does this to their own account",
    "last_manager": "The school's last administrator with all rights must stay",
    "dev_exists": "There is a developer's account already",
    "device_challenge_missing": "Ask for a challenge first",
    "device_cooldown": "The device was bound too recently to be replaced",
    "device_taken": "The device or its key belongs to another student",
    # academics
    "school_unknown": "There is no such school",
    "course_unknown": "There is no such course",
    "user_unknown": "There is no such person in this school",
    "not_a_student": "This person is not a student",
    "not_a_teacher": "This person is not a teacher",
    "name_taken": "Another one in this school has this name",
    "still_needed": "Something else still needs this",
    "end_not_after_start": "The end must be after the start",
    "minutes_out_of_range": "Minutes must be between 0 and 1440",
    "until_out_of_range": "Signing can be reopened until the end of the course, and not into the past",
    "course_cancelled": "The course was cancelled",
    "course_ended": "The course is over",
    "signing_is_open": "Signing is open as planned",
    "closing_delay_locked": "The school does not let teachers decide when signing closes",
    "course_modification_disabled": "The school does not let people change its plan by hand",
    # signatures; the reasons of refusals leave as codes too
    "already_signed": "Another signature of this person stands in this course",
    "decided_by_admin": "An administrator has decided this",
    "nfc_code_invalid": "No beacon of the school shows this code now",
    "qr_code_invalid": "No screen of the school shows such a code",
    "qr_code_expired": "The code is not the one that is shown now; scan again",
    "qr_code_used": "Another phone of this student has scanned this code; scan the next one",
    "qr_session_closed": "The code is not shown any more",
    "qr_ticket_invalid": "The ticket is not one of this student, this phone and this course",
    "qr_ticket_expired": "The code was scanned too long ago; scan again",
    "wrong_classroom": "The classroom is not one of the course's",
    "not_enrolled": "This person is not expected in the course",
    "report_too_large": "There are too many courses in this span for one report",
    "signature_superseded": "Another signature took the place of this one",
    "signature_voided": "The signature was taken back",
    "too_early": "It is too early for this",
    # the log
    "log_down": "The log cannot be read right now",
    "shard_unknown": "There is no such shard",
    "log_truncated": "The log no longer holds these positions",
    "log_forked": "The log does not continue what the caller has",
    "log_reincarnated": "The log was started anew",
}
