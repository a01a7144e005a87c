"""Signed text and signatures have one spelling; the vectors are those that firmware is tested with."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from infra.canon import (
    P256_ORDER,
    canonical,
    from_base64url,
    from_spki,
    is_signed,
    kid_of,
    load_public_key,
    low_s,
    sign,
    to_base64url,
    to_spki,
)

# RFC 6979, A.2.5.
KEY = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
PUBLIC = KEY.public_key()
BEACON, KID = "0b5f6a1e-7c1d-4d7e-9a52-3f2f0c9d8e11", "5a7a78cca4a0f420"
AUTH = (
    "att.beacon-auth.v1", "https://api.school.example", BEACON, KID, 1767225600000, 7, 900000, "AAECAwQFBgcICQoLDA0ODw"
)  # fmt: skip
AUTH_SIGNATURE = "9UqjWxKwWxn3P6ZtEQXJx1xtHx3uqLsV6yD9hWraYzUy022FHx115Mbb_9FPwWKeOXZwjkLzMvF9rLtgrh6jfg"
GENESIS = "L2q2vJ-3ucjfkDytpSbCbDh6mzJ3GeK_72gQz7ADIaM"
PROOF = ("att.flash-proof.v1", BEACON, KID, 7, 1, 123456789, 1767225604200, 904200, 4200, GENESIS)
PROOF_SIGNATURE = "vXGn3N6xbBYJsN7Rr4-Hl93oL-kzznPqz3_XIAKdYmN6Ku3ikZEsS_jztYG7176NwIngGwv-WSV_0NjJgoQQvw"
DEVICE = (
    "att.device-req.v2", "https://api.school.example", "POST", "/beacon/flash-codes",
    "22222222-2222-2222-2222-222222222223", "44444444-4444-4444-8444-444444444444", KID, 1767225600000,
    "EBESExQVFhcYGRobHB0eHw",
    to_base64url(hashlib.sha256(b'{"course_id":"11111111-1111-1111-1111-111111111114"}').digest()), "-",
)  # fmt: skip


def spki(key, encoding=serialization.Encoding.DER):
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("fields", "size", "digest"),
    [
        (AUTH, 145, "e29f9d0dd4c25c4b4f15f44e27deaea867353dfb95593b77e0e6709a80439216"),
        (PROOF, 156, "e322cfd42d208ab4cd2ef2d51c19b1748878a9ccbfe8399630ea8a7bd915b79c"),
        (DEVICE, None, "7d469e71a407f5e0a8c4c9747bdd7b453f8bd8980981b8f010427044e60d4c98"),
    ],
    ids=["beacon auth", "flash proof", "device request"],
)
def test_canonical_text_is_that_of_the_vectors(fields, size, digest):
    text = canonical(*fields)

    assert size is None or len(text) == size
    assert hashlib.sha256(text).hexdigest() == digest


def test_the_first_proof_continues_a_genesis_of_its_key():
    genesis = hashlib.sha256(canonical("att.flash-genesis.v1", BEACON, KID)).digest()

    assert to_base64url(genesis) == GENESIS


def test_the_kid_of_the_test_key_is_that_of_the_vectors():
    assert kid_of(PUBLIC) == KID


@pytest.mark.parametrize(
    ("fields", "signature"), [(AUTH, AUTH_SIGNATURE), (PROOF, PROOF_SIGNATURE)], ids=["beacon auth", "flash proof"]
)
def test_the_signatures_of_the_vectors_fit_and_fit_nothing_else(fields, signature):
    assert is_signed(canonical(*fields), signature, PUBLIC)
    assert low_s(signature) == signature

    for place in range(len(fields)):
        changed = list(fields)
        changed[place] = changed[place] + 1 if isinstance(changed[place], int) else changed[place] + "x"
        assert not is_signed(canonical(*changed), signature, PUBLIC)


def test_the_rfc_vector_fits():
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8

    assert is_signed(b"sample", wire(r, s), PUBLIC)


def test_both_twins_of_a_signature_fit_and_are_stored_alike():
    raw = from_base64url(AUTH_SIGNATURE)
    twin = wire(int.from_bytes(raw[:32], "big"), P256_ORDER - int.from_bytes(raw[32:], "big"))

    assert twin != AUTH_SIGNATURE
    assert is_signed(canonical(*AUTH), twin, PUBLIC)
    assert low_s(twin) == AUTH_SIGNATURE


def test_a_made_signature_is_the_lower_twin():
    for number in range(8):
        made = sign(canonical("tag", number), KEY)
        assert is_signed(canonical("tag", number), made, PUBLIC)
        assert low_s(made) == made


R, S = (int.from_bytes(from_base64url(AUTH_SIGNATURE)[half : half + 32], "big") for half in (0, 32))


def wire(r, s):
    return to_base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


MALFORMED = {
    "nothing": "",
    "r is zero": wire(0, S),
    "s is zero": wire(R, 0),
    "r is the order": wire(P256_ORDER, S),
    "s is the order": wire(R, P256_ORDER),
    "all ones": wire(2**256 - 1, 2**256 - 1),
    "one byte short": to_base64url(from_base64url(AUTH_SIGNATURE)[:-1]),
    "one byte long": AUTH_SIGNATURE + "AA",
    "padding": AUTH_SIGNATURE + "==",
    "stray bits": AUTH_SIGNATURE[:-1] + "h",
    "the other alphabet": AUTH_SIGNATURE.replace("_", "/").replace("-", "+"),
    "a space": AUTH_SIGNATURE[:40] + " " + AUTH_SIGNATURE[41:],
    "a line feed at the end": AUTH_SIGNATURE + "\n",
    "a letter beyond ASCII": "é" + AUTH_SIGNATURE[1:],
    "hexadecimal": from_base64url(AUTH_SIGNATURE).hex(),
    "DER": to_base64url(KEY.sign(canonical(*AUTH), ec.ECDSA(hashes.SHA256()))),
}


@pytest.mark.parametrize("signature", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_signature_fits_nothing(signature):
    assert not is_signed(canonical(*AUTH), signature, PUBLIC)


@pytest.mark.parametrize("field", ["", " ", "a b", "a\n", "a\nb", "\n", "a\tb", "é", "\0", "\x7f", "\uff11", -1])
def test_a_field_that_could_be_two_is_refused(field):
    with pytest.raises(ValueError, match="canonical text"):
        canonical("tag", field)


@pytest.mark.parametrize("text", ["A", "AB", "AAA=", "AA==", "AAB", "A\n", "A A", "+/+/", "é"])
def test_another_spelling_of_bytes_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        from_base64url(text)


@pytest.mark.parametrize("size", range(20))
def test_bytes_survive_their_spelling(size):
    raw = bytes(range(250, 250 - size, -1))

    assert from_base64url(to_base64url(raw), size=size) == raw


def test_a_public_key_is_read_from_pem_and_from_der():
    der = spki(PUBLIC)

    assert kid_of(load_public_key(spki(PUBLIC, serialization.Encoding.PEM).decode())) == KID
    assert kid_of(load_public_key(base64.b64encode(der).decode())) == KID
    assert to_spki(from_spki(der)) == der


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def with_point(point):
    der = spki(PUBLIC)
    return base64.b64encode(der[: -len(point)] + point if len(point) > 1 else der[:-65] + point).decode()


UNKNOWN_CURVE = spki(PUBLIC).replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f"))
UNKNOWN_ALGORITHM = spki(PUBLIC).replace(bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d027f"))
NO_KEYS = {
    "nothing": "",
    "words": "not a key",
    "another curve": base64.b64encode(spki(ec.generate_private_key(ec.SECP384R1()).public_key())).decode(),
    "the curve of coins": base64.b64encode(spki(ec.generate_private_key(ec.SECP256K1()).public_key())).decode(),
    "an unknown curve": base64.b64encode(UNKNOWN_CURVE).decode(),
    "an unknown algorithm": base64.b64encode(UNKNOWN_ALGORITHM).decode(),
    "RSA": base64.b64encode(spki(rsa.generate_private_key(65537, 2048).public_key())).decode(),
    "Ed25519": spki(ed25519.Ed25519PrivateKey.generate().public_key(), serialization.Encoding.PEM).decode(),
    "a private key": private_pem(KEY),
    "a private key in DER": base64.b64encode(
        KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ).decode(),
    "a point off the curve": with_point(b"\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x01"),
    "the point at infinity": with_point(b"\x00"),
    "bytes after the key": base64.b64encode(spki(PUBLIC) + b"x").decode(),
    "a line feed inside": base64.encodebytes(spki(PUBLIC)).decode(),
    "a letter beyond ASCII": "é",
    "PEM beyond ASCII": "-----BEGIN PUBLIC KEY-----\né\n-----END PUBLIC KEY-----\n",
    "PEM without an end": "-----BEGIN PUBLIC KEY-----\nAAAA",
    "a certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_not_a_p256_public_key_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        load_public_key(text)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"x",
        UNKNOWN_ALGORITHM,
        spki(ec.generate_private_key(ec.SECP384R1()).public_key()),
    ],
)
def test_stored_bytes_that_are_no_key_are_refused(der):
    with pytest.raises(ValueError, match=r".*"):
        from_spki(der)
