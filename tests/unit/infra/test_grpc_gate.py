"""Who may make which call, and how long a call may take."""

import pytest

from contracts.problems import DeadlineError, ForbiddenError, InvalidInputError, UnauthenticatedError
from contracts.rpc.callers import CALLERS, EVERYBODY, LOG_READERS, LOG_SERVICE
from infra.certs import HOLDERS, spiffe_id
from infra.grpc_server import MAX_DEADLINE_S, callers_of, check_deadline, check_peer

SERVICES = ("identity", "academics", "attendance", "beacon")
METHODS = [
    (f"/{package}/{name}", peers)
    for package, names in CALLERS.items()
    if package != LOG_SERVICE
    for name, peers in names.items()
]


def names(*uris):
    return {"peer_spiffe_id": [uri.encode() for uri in uris]}


@pytest.mark.parametrize(("method", "peers"), METHODS, ids=[method for method, _ in METHODS])
@pytest.mark.parametrize("holder", [*HOLDERS, "payroll"])
def test_a_call_is_made_by_those_in_the_table_only(method, peers, holder):
    assert {may_call(holder, method, service) for service in SERVICES} == {holder in peers}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("holder", [*HOLDERS, "payroll"])
def test_a_log_is_read_by_those_who_have_business_with_it(service, holder):
    found = {may_call(holder, f"/{LOG_SERVICE}/{name}", service) for name in ("Head", "ReadLog")}

    assert found == {holder in LOG_READERS[service]}


def may_call(holder, method, service):
    try:
        check_peer(names(spiffe_id(holder)), callers_of(method, service))
    except ForbiddenError:
        return False
    return True


@pytest.mark.parametrize(
    "method",
    ["", "/", "GetCourse", "/academics.api.v1.AcademicsQueryService", "/academics.api.v1.AcademicsQueryService/",
     "/academics.api.v1.AcademicsQueryService/getcourse", "/academics.api.v1.AcademicsQueryService/GetCourse/",
     "//academics.api.v1.AcademicsQueryService/GetCourse",
     "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"],
)  # fmt: skip
def test_a_call_that_is_in_no_table_is_made_by_nobody(method):
    assert callers_of(method, "academics") == frozenset()


@pytest.mark.parametrize(
    "auth",
    [
        {},
        names(),
        names(spiffe_id("ops"), spiffe_id("ops")),
        names(""),
        names("spiffe://rollcall.dev/svc/"),
        names("spiffe://rollcall.dev/svc/OPS"),
        names("spiffe://rollcall.dev/svc/ops\n"),
        names("spiffe://rollcall.dev.evil.example/svc/ops"),
        names("SPIFFE://rollcall.dev/svc/ops"),
        names("spiffe://rollcall.dev:443/svc/ops"),
        {"peer_spiffe_id": [b"\xff\xfe"]},
        {"x509_subject_alternative_name": [spiffe_id("ops").encode()]},
    ],
)
def test_a_peer_without_exactly_one_name_of_ours_is_nobody(auth):
    with pytest.raises(UnauthenticatedError, match="peer_unauthenticated"):
        check_peer(auth, EVERYBODY)


def test_a_call_has_the_time_it_was_given_up_to_half_a_minute():
    assert (check_deadline(0.05), check_deadline(2.0), check_deadline(1e9)) == (0.05, 2.0, MAX_DEADLINE_S)


@pytest.mark.parametrize("remaining_s", [-1.0, 0.0, 0.000_001, 0.049])
def test_a_call_with_too_little_time_is_not_begun(remaining_s):
    with pytest.raises(DeadlineError, match="deadline_exceeded"):
        check_deadline(remaining_s)


def test_a_call_without_a_deadline_is_malformed():
    with pytest.raises(InvalidInputError, match="deadline_missing"):
        check_deadline(None)
