"""A gRPC server and its callers for the tests, with certificates of every kind, good and bad."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contracts.problems import NotFoundError, UnavailableError
from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as rpc
from infra.certs import Credential, issue, make_authority, spiffe_id
from infra.clock import utc_now
from infra.grpc_server import Identity, build_server, start_server
from infra.request_context import current

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
AUTHORITY = make_authority(utc_now())


def files(folder, credential, *, name="leaf", authority=AUTHORITY) -> Identity:
    folder.mkdir(exist_ok=True, parents=True)
    identity = Identity(
        ca_file=folder / "ca.pem", cert_file=folder / f"{name}.pem", key_file=folder / f"{name}-key.pem"
    )
    identity.ca_file.write_text(authority.certificate_pem)
    identity.cert_file.write_text(credential.certificate_pem)
    identity.key_file.write_text(credential.key_pem)
    return identity


def identity_of(folder, holder, *, authority=AUTHORITY) -> Identity:
    return files(folder, issue(authority, holder, utc_now()), name=holder, authority=authority)


def odd_leaf(*uris, usages=BOTH, ends_in=timedelta(hours=1), authority=AUTHORITY) -> Credential:
    """A certificate that no issuer of ours makes."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    names = [*map(x509.UniformResourceIdentifier, uris), x509.DNSName("attendance")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "attendance")]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=2))
        .not_valid_after(now + ends_in)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Credential(certificate=certificate, key=key)


ODD_LEAVES = {
    "no URI": (odd_leaf(), grpc.StatusCode.UNAUTHENTICATED),
    "two URIs": (odd_leaf(spiffe_id("attendance"), spiffe_id("ops")), grpc.StatusCode.UNAUTHENTICATED),
    "another trust domain": (odd_leaf("spiffe://evil.example/svc/attendance"), grpc.StatusCode.UNAUTHENTICATED),
    "a name that goes on": (odd_leaf(spiffe_id("attendance") + "/x"), grpc.StatusCode.UNAUTHENTICATED),
    "a web address": (odd_leaf("https://rollcall.dev/svc/attendance"), grpc.StatusCode.UNAUTHENTICATED),
    "another service": (odd_leaf(spiffe_id("beacon")), grpc.StatusCode.PERMISSION_DENIED),
    "an unknown service": (odd_leaf(spiffe_id("payroll")), grpc.StatusCode.PERMISSION_DENIED),
    "for servers only": (
        odd_leaf(spiffe_id("attendance"), usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        grpc.StatusCode.UNAVAILABLE,
    ),
    "expired": (odd_leaf(spiffe_id("attendance"), ends_in=timedelta(hours=-1)), grpc.StatusCode.UNAVAILABLE),
    "of another authority": (
        odd_leaf(spiffe_id("attendance"), authority=make_authority(utc_now())),
        grpc.StatusCode.UNAVAILABLE,
    ),
}


@dataclass
class Academics(rpc.AcademicsQueryServiceServicer):
    """Answers by the course's id: "missing", "down", "bug", "hangs", "flaky" (answers the third time) or any other."""

    entered: list = field(default_factory=list)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def GetCourse(self, request, context):  # noqa: N802 -- named by the contract
        self.entered.append((current(), context.time_remaining()))
        match request.course_id:
            case "missing":
                raise NotFoundError("not_found")
            case "down":
                raise UnavailableError("database_down", "secret host name")
            case "bug":
                raise ZeroDivisionError("secret detail")
            case "late":
                raise TimeoutError
            case "hangs":
                await self.goes_on.wait()
            case "flaky" if len(self.entered) < 3:
                raise UnavailableError("database_down")
        return pb.GetCourseResponse(course=pb.Course(id=request.course_id))


@dataclass
class Commands(rpc.AcademicsCommandServiceServicer):
    """Always unavailable; counts."""

    count: int = 0

    async def CloseExpiredCourses(self, _request, _context):  # noqa: N802 -- named by the contract
        self.count += 1
        raise UnavailableError("database_down")


@asynccontextmanager
async def serving(identity, queries, commands=None, *, port=0, **more):
    """A server as a process has it; gives its port."""
    server, _ = build_server(
        [
            lambda server: rpc.add_AcademicsQueryServiceServicer_to_server(queries, server),
            lambda server: rpc.add_AcademicsCommandServiceServicer_to_server(commands or Commands(), server),
        ],
        **more,
    )
    try:
        yield await start_server(server, identity, host="127.0.0.1", port=port)
    finally:
        queries.goes_on.set()
        await server.stop(grace=1)


@asynccontextmanager
async def far_away(port, delay_s):
    """A network that is slow in front of a server here; gives the port at its other end."""

    async def carry(reader, writer):
        while data := await reader.read(1 << 16):
            asyncio.get_running_loop().call_later(delay_s, writer.write, data)
        writer.close()

    async def link(reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))

    async with await asyncio.start_server(link, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
