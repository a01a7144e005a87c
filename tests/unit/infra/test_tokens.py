"""A token counts only when its issuer wrote it, of this kind, for now, and it was not taken back."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from contracts.problems import ProblemError, UnauthenticatedError, UnavailableError
from infra.canon import P256_ORDER, to_base64url
from infra.jwks import LocalKeys
from infra.signing_keys import public_jwk
from infra.tokens import BEACON_TOKEN, USER_TOKEN, Revocations, TokenSigner, TokenVerifier

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
KEY = ec.generate_private_key(ec.SECP256R1())
KID = public_jwk(KEY.public_key())["kid"]
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
STUDENT = UUID("22222222-2222-4222-8222-222222222222")
CLAIMS = {
    "iss": "rollcall-identity",
    "aud": "rollcall-api",
    "sub": str(STUDENT),
    "iat": NOW_S,
    "exp": NOW_S + 600,
    "jti": "j",
    "sid": str(uuid4()),
    "user_type": "student",
    "school_id": str(uuid4()),
}
HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": KID}


class Clock:
    def __init__(self):
        self.at = NOW

    def __call__(self):
        return self.at


class CountingKeys(LocalKeys):
    """Keys that remember how often they were asked for."""

    asked = 0

    async def find(self, kid):
        self.asked += 1
        return await super().find(kid)


class NoKeys:
    async def find(self, _kid):
        raise UnavailableError("keys_unavailable")


def a_verifier(kind=USER_TOKEN, *, keys=None, clock=lambda: NOW, **more):
    return TokenVerifier(kind, keys or LocalKeys({KID: KEY.public_key()}), now=clock, **more)


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return to_base64url(raw)


def sign(text, key=KEY):
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hash_of(key))))
    size = (key.key_size + 7) // 8
    return to_base64url(r.to_bytes(size, "big") + s.to_bytes(size, "big"))


def hash_of(key):
    return hashes.SHA384() if key.key_size == 384 else hashes.SHA256()


def a_token(header=None, claims=None, *, signature=None, without=()):
    header = HEADER if header is None else header
    kept = {name: value for name, value in (CLAIMS | (claims or {})).items() if name not in without}
    return signed(kept, header, signature or sign)


def signed(claims, header=HEADER, signature=sign):
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{signature(text)}"


async def refusal(token, verifier=None):
    with pytest.raises(ProblemError) as caught:
        await (verifier or a_verifier()).verify(token)
    assert isinstance(caught.value, UnauthenticatedError)
    return caught.value.code


async def test_a_token_says_who_calls():
    caller = await a_verifier().verify(a_token())

    assert (caller.id, caller.type, str(caller.school_id)) == (STUDENT, "student", CLAIMS["school_id"])
    assert (str(caller.session_id), caller.admin_role) == (CLAIMS["sid"], None)


async def test_what_the_signer_signs_the_verifier_takes():
    claims = {"sid": str(uuid4()), "user_type": "admin", "school_id": str(uuid4()), "admin_role": "manager"}
    token = TokenSigner(USER_TOKEN, key=KEY, kid=KID).sign(
        STUDENT, now=NOW, ttl=timedelta(seconds=600), claims=claims | {"left_out": None}
    )

    caller = await a_verifier().verify(token)

    assert (caller.type, caller.admin_role) == ("admin", "manager")
    assert "left_out" not in jwt.decode(token, options={"verify_signature": False})


ALGORITHMS = {
    "none": ("none", lambda _text: ""),
    "None": ("None", lambda _text: ""),
    "nOnE": ("nOnE", lambda _text: part(b"x")),
    "no algorithm": (None, sign),
    "HS256 with the public key as secret": ("HS256", lambda text: part(hmac.digest(PEM, text.encode(), "sha256"))),
    "HS256 named ES256": ("ES256", lambda text: part(hmac.digest(PEM, text.encode(), "sha256"))),
    "HS512": ("HS512", lambda text: part(hmac.digest(PEM, text.encode(), "sha512"))),
    "RS256": ("RS256", lambda text: part(rsa_signature(text))),
    "EdDSA": ("EdDSA", lambda text: part(ed25519.Ed25519PrivateKey.generate().sign(text.encode()))),
    "ES384": ("ES384", lambda text: sign(text, ec.generate_private_key(ec.SECP384R1()))),
    "ES256 of another key": ("ES256", lambda text: sign(text, ec.generate_private_key(ec.SECP256R1()))),
    "ES256 in lower case": ("es256", sign),
    "ES256K": ("ES256K", sign),
    "ES256 with an empty signature": ("ES256", lambda _text: ""),
    "ES256 with r = s = 0": ("ES256", lambda _text: part(bytes(64))),
    "ES256 in DER": ("ES256", lambda text: part(KEY.sign(text.encode(), ec.ECDSA(hash_of(KEY))))),
    "ES256 with bytes appended": ("ES256", lambda text: sign(text) + "AAAA"),
    "an algorithm that is a list": (["ES256"], sign),
}


def rsa_signature(text):
    return rsa.generate_private_key(65537, 2048).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(("algorithm", "signature"), ALGORITHMS.values(), ids=ALGORITHMS)
async def test_every_algorithm_but_es256_is_refused(algorithm, signature):
    header = {name: value for name, value in (HEADER | {"alg": algorithm}).items() if value is not None}

    assert await refusal(a_token(header, signature=signature)) == "token_invalid"


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"])
async def test_a_token_that_names_what_to_trust_is_refused(name):
    assert await refusal(a_token(HEADER | {name: "https://evil.example"})) == "token_invalid"


@pytest.mark.parametrize(
    "kid",
    [
        None,
        "",
        "short",
        "x" * 65,
        "x" * 10_000,
        "../../../../dev/null",
        "' OR 1=1 -- 12345",
        5,
        [KID],
        KID + "\n",
        KID[:-1] + "é",
    ],
    ids=lambda kid: type(kid).__name__,  # the key, and so its name, is another one in every process
)
async def test_a_kid_is_a_plain_word(kid):
    keys = CountingKeys({str(kid): KEY.public_key()})

    assert await refusal(a_token(HEADER | {"kid": kid}), a_verifier(keys=keys)) == "token_invalid"
    assert keys.asked == 0


@pytest.mark.parametrize("text", [b"[" * 2_500, b'{"kid":' * 400, b"5", b"\xff", b""], ids=len)
async def test_a_header_that_is_no_object_is_refused(text):
    assert await refusal(f"{to_base64url(text)}.e30.{'A' * 86}") == "token_invalid"


async def test_an_unknown_key_is_no_key():
    assert await refusal(a_token(HEADER | {"kid": "x" * 43})) == "token_invalid"


@pytest.mark.parametrize("typ", [None, "JWT", "bt+jwt", "AT+JWT", "application/at+jwt", ["at+jwt"]])
async def test_a_token_of_another_type_is_refused(typ):
    assert await refusal(a_token(HEADER | {"typ": typ})) == "token_invalid"


@pytest.mark.parametrize("name", sorted(CLAIMS))
async def test_every_claim_is_needed(name):
    assert await refusal(a_token(without=[name])) == "token_invalid"


BAD_CLAIMS = {
    "another issuer": {"iss": "rollcall-beacon"},
    "issuers": {"iss": ["rollcall-identity"]},
    "another audience": {"aud": "rollcall-beacon"},
    "audiences": {"aud": ["rollcall-api", "rollcall-beacon"]},
    "a list of one audience": {"aud": ["rollcall-api"]},
    "a subject that is no id": {"sub": "root"},
    "a subject in upper case": {"sub": str(STUDENT).upper() + "A"},
    "a subject in braces": {"sub": f"{{{STUDENT}}}"},
    "a number as subject": {"sub": 5},
    "an unknown user_type": {"user_type": "root"},
    "a beacon among people": {"user_type": "beacon"},
    "a list of user_types": {"user_type": ["admin"]},
    "no school": {"school_id": None},
    "an empty school": {"school_id": ""},
    "an empty session": {"sid": ""},
    "a role that is no word": {"admin_role": {"manager": True}},
    "an end of infinity": {"exp": 1e308},
    "an end beyond all time": {"exp": 99999999999999999999},
    "a text as end": {"exp": str(NOW_S + 60)},
    "a fraction as end": {"exp": NOW_S + 60.5},
    "true as end": {"exp": True},
    "a text as beginning": {"iat": str(NOW_S)},
    "a beginning before all time": {"iat": -99999999999999999999},
    "a beginning in the future": {"iat": NOW_S + 31, "exp": NOW_S + 60},
    "a life too long": {"exp": NOW_S + 601},
    "a life too long, long ago": {"iat": NOW_S - 1000, "exp": NOW_S - 399},
    "a life too long for a developer": {"user_type": "dev", "exp": NOW_S + 301},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_a_claim_no_issuer_of_ours_writes_is_refused(claims):
    assert await refusal(a_token(claims=claims)) == "token_invalid"


async def test_a_developer_has_no_school():
    caller = await a_verifier().verify(a_token(claims={"user_type": "dev", "exp": NOW_S + 300}))

    assert caller.school_id is None


SPELLINGS = {
    "nothing": "",
    "one part": "abc",
    "two parts": "a.b",
    "four parts": f"{a_token()}.x",
    "five parts": "a.b.c.d.e",
    "padding": a_token() + "==",
    "a space": " " + a_token(),
    "a line feed": a_token() + "\n",
    "a header that is no JSON": a_token(b"{"),
    "a header that is a list": a_token([1]),
    "a header that is not UTF-8": a_token(b"\xff\xfe"),
    "claims that are a list": signed([1]),
    "claims that are no JSON": signed(b"{"),
    "claims that are not UTF-8": signed(b'{"iss":"\xff"}'),
    "5,000 characters": a_token(claims={"x": "y" * 5000}),
    "letters beyond ASCII": "é.é.é",
    "a lone surrogate": "\udcff.\udcff.\udcff",
}


@pytest.mark.parametrize("token", SPELLINGS.values(), ids=SPELLINGS)
async def test_another_spelling_is_no_token(token):
    assert await refusal(token) == "token_invalid"


async def test_stray_bits_at_the_end_make_another_token():
    token = a_token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    raw = [base64.urlsafe_b64decode(t.rpartition(".")[2] + "==") for t in (token, twin)]
    assert raw[0] == raw[1]

    assert await refusal(twin) == "token_invalid"


async def test_one_changed_character_anywhere_is_refused():
    token = a_token()

    for place in range(0, len(token), 7):
        changed = "A" if token[place] != "A" else "B"
        assert await refusal(token[:place] + changed + token[place + 1 :]) == "token_invalid"


async def test_people_and_beacons_have_tokens_of_their_own():
    beacon_claims = {"iss": "rollcall-beacon", "aud": "rollcall-beacon"}
    beacon = a_token(HEADER | {"typ": "bt+jwt"}, beacon_claims, without=["sid", "user_type", "school_id"])

    caller = await a_verifier(BEACON_TOKEN).verify(beacon)

    assert (caller.type, caller.school_id) == ("beacon", None)
    assert await refusal(beacon) == "token_invalid"
    assert await refusal(a_token(), a_verifier(BEACON_TOKEN)) == "token_invalid"
    assert await refusal(a_token(HEADER | {"typ": "bt+jwt"}), a_verifier(BEACON_TOKEN)) == "token_invalid"
    assert await refusal(a_token(HEADER, beacon_claims), a_verifier(BEACON_TOKEN)) == "token_invalid"


@pytest.mark.parametrize(("late_s", "code"), [(0, None), (29, None), (30, None), (31, "token_expired")])
async def test_a_token_ends_with_half_a_minute_of_mercy_whether_seen_before_or_not(late_s, code):
    clock = Clock()
    seen, fresh = a_verifier(clock=clock), a_verifier(clock=clock)
    await seen.verify(a_token())
    token = a_token()

    clock.at = NOW + timedelta(seconds=600 + late_s)

    for verifier in (seen, fresh):
        if code is None:
            await verifier.verify(token)
        else:
            assert await refusal(token, verifier) == code


async def test_a_token_may_come_from_a_clock_half_a_minute_ahead():
    assert await a_verifier().verify(a_token(claims={"iat": NOW_S + 30}))


async def test_the_clock_that_counts_is_the_one_given():
    clock = Clock()
    clock.at = datetime(2044, 1, 1, tzinfo=UTC)
    then = int(clock.at.timestamp())

    assert await a_verifier(clock=clock).verify(a_token(claims={"iat": then, "nbf": then, "exp": then + 60}))


async def test_a_verified_token_is_remembered():
    keys, token = CountingKeys({KID: KEY.public_key()}), a_token()
    verifier = a_verifier(keys=keys)

    assert await verifier.verify(token) == await verifier.verify(token)

    assert keys.asked == 1


async def test_a_refused_token_is_not_remembered():
    keys = CountingKeys({KID: KEY.public_key()})
    verifier, token = a_verifier(keys=keys), a_token(claims={"exp": NOW_S + 601})

    assert [await refusal(token, verifier) for _ in range(2)] == ["token_invalid"] * 2

    assert keys.asked == 2


async def test_the_twin_of_a_signature_is_the_same_token_to_the_rules():
    text, _, signature = a_token().rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    s = P256_ORDER - int.from_bytes(raw[32:], "big")
    twin = f"{text}.{to_base64url(raw[:32] + s.to_bytes(32, 'big'))}"
    revoked = Revocations(sessions={UUID(CLAIMS["sid"]): NOW})

    assert await a_verifier().verify(twin)
    assert await refusal(twin, a_verifier(revoked=revoked)) == "token_revoked"


async def test_only_so_many_tokens_are_remembered():
    keys = CountingKeys({KID: KEY.public_key()})
    verifier = a_verifier(keys=keys, remembered_count=2)
    tokens = [a_token() for _ in range(3)]

    for token in [*tokens, tokens[2], tokens[1], tokens[0]]:
        await verifier.verify(token)

    assert keys.asked == 4


REVOKED = {
    "the session": Revocations(sessions={UUID(CLAIMS["sid"]): NOW}),
    "the person": Revocations(people={STUDENT: NOW}),
    "the key": Revocations(keys={KID}),
}


@pytest.mark.parametrize("revoked", REVOKED.values(), ids=REVOKED)
async def test_what_was_taken_back_counts_at_once_even_for_a_token_seen_before(revoked):
    live = Revocations()
    verifier, token = a_verifier(revoked=live), a_token()
    await verifier.verify(token)

    live.sessions.update(revoked.sessions)
    live.people.update(revoked.people)
    live.keys.update(revoked.keys)

    assert await refusal(token, verifier) == "token_revoked"


async def test_a_person_who_was_let_in_again_gets_new_tokens():
    revoked = Revocations(people={STUDENT: NOW - timedelta(seconds=1)})

    assert await a_verifier(revoked=revoked).verify(a_token())


async def test_without_keys_nobody_is_called_a_liar():
    with pytest.raises(UnavailableError, match="keys_unavailable"):
        await a_verifier(keys=NoKeys()).verify(a_token())
