"""Text that devices sign (CANON-1) and ECDSA P-256 signatures over it, strict on the wire."""

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

FIELD = re.compile(r"[!-~]+")
LINES = re.compile(r"[!-~]+(?:\n[!-~]+)*")
TO_URL, FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
# The order of the curve's group. Source: SEC 2, section 2.4.2 (secp256r1).
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALGORITHM = ec.ECDSA(hashes.SHA256())
SIGNATURE_BYTES = 64


def canonical(tag: str, *fields: str | int) -> bytes:
    """Return the bytes to sign: `tag` and `fields`, joined by single line feeds.

    Each field has at least one character, 0x21 to 0x7E; absent is "-"; numbers have no sign.
    Raises: ValueError for any other.
    """
    text = "\n".join([tag, *map(str, fields)])
    signed = [field for field in fields if isinstance(field, int) and field < 0]
    if signed or text.count("\n") != len(fields) or not LINES.fullmatch(text):
        raise ValueError("a field of canonical text has a sign or a character outside 0x21 to 0x7E")
    return text.encode("ascii")


def from_base64url(text: str, *, size: int | None = None) -> bytes:
    """Return the bytes that `text` spells without padding. Raises: ValueError for any other spelling or size."""
    raw = binascii.a2b_base64(text.encode("ascii").translate(FROM_URL) + b"=" * (-len(text) % 4))
    # The decoder passes over much; what spells the same again has nothing to pass over.
    if to_base64url(raw) != text or (size is not None and len(raw) != size):
        raise ValueError("not canonical base64url of that size")
    return raw


def to_base64url(raw: bytes) -> str:
    """Return `raw` as base64url without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(TO_URL, b"=").decode()


def is_signed(message: bytes, signature: str, key: ec.EllipticCurvePublicKey) -> bool:
    """Return whether `signature` (64 bytes r, s; 86 characters) fits. Both twins of a signature do: low and high s."""
    try:
        raw = from_base64url(signature, size=SIGNATURE_BYTES)
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        key.verify(encode_dss_signature(r, s), message, ALGORITHM)
    except (ValueError, InvalidSignature):
        return False
    return True


def low_s(signature: str) -> str:
    """Return the twin of a verified signature whose s is in the lower half: the form that is stored."""
    raw = from_base64url(signature, size=SIGNATURE_BYTES)
    s = int.from_bytes(raw[32:], "big")
    return to_base64url(raw[:32] + min(s, P256_ORDER - s).to_bytes(32, "big"))


def sign(message: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """Return a signature in wire form, s in the lower half. For simulated devices; servers sign tokens only."""
    r, s = decode_dss_signature(key.sign(message, ALGORITHM))
    return low_s(to_base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big")))


def load_public_key(text: str) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key in `text`: PEM, or SPKI DER in base64.

    Raises: ValueError for private keys, other curves, and points that are not on the curve.
    """
    try:
        if text.startswith("-----BEGIN PUBLIC KEY-----"):
            key = serialization.load_pem_public_key(text.encode("ascii"))
        else:
            key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (TypeError, UnicodeEncodeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a public key") from error
    return require_p256(key)


def require_p256(key: object) -> ec.EllipticCurvePublicKey:
    """Return `key` if it is a P-256 public key. Raises: ValueError."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 public key")  # noqa: TRY004 -- what a caller sent is a value to us
    return key


def to_spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return `key` as SubjectPublicKeyInfo, DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def from_spki(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key in `der`. Raises: ValueError."""
    try:
        return require_p256(serialization.load_der_public_key(der))
    except UnsupportedAlgorithm as error:
        raise ValueError("not a public key") from error


def kid_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return the name of a device's or beacon's key."""
    return kid_of_spki(to_spki(key))


def kid_of_spki(der: bytes) -> str:
    """Return the name of the key in `der`: 16 hex digits of its SHA-256."""
    return hashlib.sha256(der).hexdigest()[:16]
