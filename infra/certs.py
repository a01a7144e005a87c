"""Certificates for development: an authority of one's own and a short-lived certificate per service.

In production an issuer of the platform does this; the names in the certificates are the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.clock import Clock, utc_now
from infra.private_files import write_private

TRUST_DOMAIN = "rollcall.dev"
HOLDERS = ("identity", "academics", "attendance", "beacon", "ops")
AUTHORITY_LIFE = timedelta(days=365)
LEAF_LIFE = timedelta(hours=24)
# For peers whose clock is a little behind.
BACKDATED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The private key as PKCS #8 PEM, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def is_fresh(self, at: datetime) -> bool:
        """Return whether at least half of its life is left."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return begin <= at < begin + (end - begin) / 2


def spiffe_id(holder: str) -> str:
    """Return the name by which peers know `holder`. Source: SPIFFE ID specification, section 2."""
    return f"spiffe://{TRUST_DOMAIN}/svc/{holder}"


def make_authority(at: datetime) -> Credential:
    """Return a new authority that signs leaf certificates only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Rollcall development authority")])
    certificate = (
        _draft(name, key, at, AUTHORITY_LIFE)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Credential(certificate=certificate, key=key)


def issue(authority: Credential, holder: str, at: datetime) -> Credential:
    """Return a new certificate by which `holder` both serves and calls.

    It has exactly one URI name, which decides who the peer is, and a DNS name, the only kind grpcio can check.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.UniformResourceIdentifier(spiffe_id(holder)), x509.DNSName(holder)]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _draft(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, holder)]), key, at, LEAF_LIFE)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Credential(certificate=certificate, key=key)


def renew(folder: Path, *, clock: Clock = utc_now, holders: Iterable[str] = HOLDERS) -> None:
    """Make what is missing in `folder`, and replace what has lived more than half its life. Safe to repeat.

    Files: `ca.pem`, and `<holder>.pem` with `<holder>-key.pem`; private keys have mode 0600.
    """
    at = clock()
    authority = _read(folder, "ca")
    if authority is None or not authority.is_fresh(at):
        authority = make_authority(at)
        _write(folder, "ca", authority)
    for holder in holders:
        leaf = _read(folder, holder)
        if leaf is None or not leaf.is_fresh(at) or not _is_signed_by(leaf, authority):
            _write(folder, holder, issue(authority, holder, at))


def _draft(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BACKDATED)
        .not_valid_after(at + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read(folder: Path, name: str) -> Credential | None:
    certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    if not (certificate.exists() and key.exists()):
        return None
    read_key = serialization.load_pem_private_key(key.read_bytes(), None)
    read_certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
    # A stop between the two writes leaves a pair that does not fit.
    if not isinstance(read_key, ec.EllipticCurvePrivateKey) or read_key.public_key() != read_certificate.public_key():
        return None
    return Credential(certificate=read_certificate, key=read_key)


def _write(folder: Path, name: str, credential: Credential) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / f"{name}-key.pem", credential.key_pem)
    write_private(folder / f"{name}.pem", credential.certificate_pem)


def _is_signed_by(leaf: Credential, authority: Credential) -> bool:
    signer = leaf.certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return signer == x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
