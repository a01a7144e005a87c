"""The keys that a service signs tokens with: one active, kept in its own database."""

import base64
import hashlib
import json
from typing import Any, Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.postgres import Connection, Pool, connection, transaction
from infra.secret_box import SecretBox

FIND_ACTIVE = "SELECT kid, private_sealed FROM signing_key WHERE state = 'active'"
ADD = """
INSERT INTO signing_key (kid, state, private_sealed, public_jwk) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
LIST_PUBLIC = "SELECT public_jwk FROM signing_key WHERE state <> 'gone' ORDER BY kid"


async def load_or_make(pool: Pool, box: SecretBox) -> tuple[str, ec.EllipticCurvePrivateKey]:
    """Return the active key and its kid; the first process to ask makes it, others wait and read it."""
    async with transaction(pool) as lent:
        row = await lent.fetchrow(FIND_ACTIVE)
        if row is None:
            await make(lent, box, state="active")
            row = await lent.fetchrow(FIND_ACTIVE)
        if row is None:
            raise RuntimeError("another process removed the active signing key")
    der = box.open(row["private_sealed"], about=f"signing_key:{row['kid']}")
    key = serialization.load_der_private_key(der, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the active signing key is not an EC key")
    return row["kid"], key


async def make(lent: Connection, box: SecretBox, *, state: Literal["active", "next"]) -> str:
    """Make a key and return its kid. Another active one stays, and the new one is forgotten."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = public_jwk(key.public_key())
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    sealed = box.seal(der, about=f"signing_key:{jwk['kid']}")
    await lent.execute(ADD, jwk["kid"], state, sealed, json.dumps(jwk))
    return jwk["kid"]


async def jwks(pool: Pool) -> dict[str, Any]:
    """Return the JWKS document: every key that a live token may name."""
    async with connection(pool) as lent:
        return {"keys": [json.loads(row["public_jwk"]) for row in await lent.fetch(LIST_PUBLIC)]}


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return a P-256 key as JWK; kid is its thumbprint. Source: RFC 7638."""
    numbers = key.public_numbers()
    members = {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return members | {"kid": kid, "use": "sig", "alg": "ES256"}


def _coordinate(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
