"""A problem is the same on both ends of a call; an outage of a callee never becomes a refusal of its caller's."""

import grpc
import pytest

from contracts import problems
from contracts.problems import ProblemError, UnavailableError
from infra.grpc_problems import to_problem
from infra.problem_table import GRPC_STATUS, HTTP_STATUS, PROBLEM_BY_GRPC_STATUS

KINDS = [
    kind
    for kind in vars(problems).values()
    if isinstance(kind, type) and issubclass(kind, ProblemError) and kind is not ProblemError
]
Code = grpc.StatusCode
# What else has no status of its own arrives as the kind that says the same to an end user.
ARRIVES_AS = {
    problems.MalformedError: problems.InvalidInputError,
    problems.NotAcceptableError: problems.InvalidInputError,
    problems.PreconditionRequiredError: problems.InvalidInputError,
    problems.UnsupportedMediaError: problems.InvalidInputError,
    problems.PayloadTooLargeError: problems.TooManyRequestsError,
    problems.DeadlineError: problems.UnavailableError,
}


def an_error(code, details):
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_problem_has_both_statuses(kind):
    assert 400 <= HTTP_STATUS[kind] < 600
    assert GRPC_STATUS[kind] is not Code.OK


@pytest.mark.parametrize("kind", KINDS)
def test_a_problem_arrives_as_it_left(kind):
    sent = an_error(GRPC_STATUS[kind], "some_code")

    arrived = to_problem(sent, callee="academics")

    assert type(arrived) is ARRIVES_AS.get(kind, kind)
    assert arrived.code == ("academics_down" if isinstance(arrived, UnavailableError) else "some_code")


@pytest.mark.parametrize("code", [c for c in Code if c not in PROBLEM_BY_GRPC_STATUS and c is not Code.OK])
def test_a_failure_of_the_callee_is_an_outage(code):
    assert is_outage(to_problem(an_error(code, "internal"), callee="academics"))


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (Code.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"),
        (Code.RESOURCE_EXHAUSTED, "Received message larger than max (5000000 vs. 1048576)"),
        (Code.UNAUTHENTICATED, ""),
        (Code.PERMISSION_DENIED, None),
        (Code.NOT_FOUND, "Not Found\nserver: nginx"),
    ],
)
def test_what_is_no_code_of_ours_is_an_outage(code, details):
    assert is_outage(to_problem(an_error(code, details), callee="academics"))


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (Code.UNAUTHENTICATED, "peer_unauthenticated"),
        (Code.PERMISSION_DENIED, "peer_forbidden"),
        (Code.INVALID_ARGUMENT, "deadline_missing"),
    ],
)
def test_a_call_made_wrongly_is_an_outage_to_the_person_it_was_made_for(code, details):
    assert is_outage(to_problem(an_error(code, details), callee="academics"))


def is_outage(problem):
    return isinstance(problem, UnavailableError) and problem.code == "academics_down"
