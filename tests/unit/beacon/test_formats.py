"""The formats, by the vectors that were computed apart from this code."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from beacon_svc.commands.judging import genesis
from beacon_svc.domain.claims import Claim, claim_of
from beacon_svc.domain.logins import Login
from beacon_svc.domain.nfc import code_at_step, find_step
from infra.canon import canonical, is_signed, kid_of, sign, to_base64url
from infra.demo.devices import Beacon, totp
from infra.optical_frame import crc8, decode, encode

# Source: RFC 6979, appendix A.2.5.
KEY = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
BEACON_ID = UUID("0b5f6a1e-7c1d-4d7e-9a52-3f2f0c9d8e11")
KID = "5a7a78cca4a0f420"
ORIGIN = "https://api.school.example"
T_MS = 1_767_225_600_000
TOTP_KEY = b"12345678901234567890123456789012"
LOGIN = Login(beacon_id=BEACON_ID, kid=KID, ts_ms=T_MS, boot=7, uptime_ms=900_000, nonce="AAECAwQFBgcICQoLDA0ODw")
LOGIN_SIGNATURE = "9UqjWxKwWxn3P6ZtEQXJx1xtHx3uqLsV6yD9hWraYzUy022FHx115Mbb_9FPwWKeOXZwjkLzMvF9rLtgrh6jfg"
FIRST_SIGNATURE = "vXGn3N6xbBYJsN7Rr4-Hl93oL-kzznPqz3_XIAKdYmN6Ku3ikZEsS_jztYG7176NwIngGwv-WSV_0NjJgoQQvw"


def a_claim(**changes):
    usual = {
        "beacon_id": BEACON_ID,
        "kid": KID,
        "boot": 7,
        "seq": 1,
        "code": 123456789,
        "observed_ms": T_MS + 4200,
        "uptime_ms": 904_200,
        "sync_age_ms": 4200,
        "prev": "L2q2vJ-3ucjfkDytpSbCbDh6mzJ3GeK_72gQz7ADIaM",
    }
    return Claim(**(usual | changes))


FIRST = a_claim()
SECOND = a_claim(
    seq=2,
    code=241769359,
    observed_ms=T_MS + 9000,
    uptime_ms=909_000,
    sync_age_ms=9000,
    prev="4yLP1C0girTNLvLVHBmxdIh4qcy_6DmWMOqKe9kVt5w",
)
THIRD = a_claim(
    boot=8,
    seq=3,
    code=42,
    observed_ms=T_MS + 70_000,
    uptime_ms=15_000,
    sync_age_ms=None,
    prev="GRmZwF1ICvHR94NQv6gQWCFT3ibLEpsmN7oaVH_V2_Y",
)


def message_of(claim):
    return canonical(*claim.lines())


def test_the_name_of_the_key():
    assert kid_of(KEY.public_key()) == KID


def test_the_message_of_a_login():
    message = canonical(*LOGIN.lines(ORIGIN))

    assert len(message) == 145
    assert hashlib.sha256(message).hexdigest() == "e29f9d0dd4c25c4b4f15f44e27deaea867353dfb95593b77e0e6709a80439216"
    assert is_signed(message, LOGIN_SIGNATURE, KEY.public_key())


def test_the_start_of_the_chain():
    assert genesis(FIRST) == FIRST.prev


@pytest.mark.parametrize(
    ("claim", "digest"),
    [
        (FIRST, "e322cfd42d208ab4cd2ef2d51c19b1748878a9ccbfe8399630ea8a7bd915b79c"),
        (SECOND, "191999c05d480af1d1f78350bfa810582153de26cb129b2637ba1a547fd5dbf6"),
        (THIRD, "89e7bfcf54864066fd92ad72924fe5dbba5c2ac6e55f8869ab9f6abfbd4a37c5"),
    ],
)
def test_the_message_of_a_proof_and_back(claim, digest):
    message = message_of(claim)

    assert hashlib.sha256(message).hexdigest() == digest
    assert claim_of(message) == claim


def test_each_proof_names_the_one_before():
    digests = [to_base64url(hashlib.sha256(message_of(claim)).digest()) for claim in (FIRST, SECOND)]

    assert digests == [SECOND.prev, THIRD.prev]


def test_the_signature_and_the_name_of_a_proof():
    assert len(message_of(FIRST)) == 156
    assert is_signed(message_of(FIRST), FIRST_SIGNATURE, KEY.public_key())
    assert str(FIRST.id) == "523242a3-0c9e-5ece-9e27-a15d26ff3a70"


def test_what_the_simulated_beacon_signs_is_what_the_service_checks():
    beacon = Beacon(id=BEACON_ID, serial="S", origin=ORIGIN, key=KEY, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    login, proof = beacon.login_body(), beacon.observe(5)

    checked_login = Login(beacon_id=BEACON_ID, kid=KID, ts_ms=T_MS, boot=1, uptime_ms=0, nonce=login["nonce"])
    checked_claim = a_claim(boot=1, seq=1, code=5, observed_ms=T_MS, uptime_ms=0, sync_age_ms=0)
    assert is_signed(canonical(*checked_login.lines(ORIGIN)), login["sig"], KEY.public_key())
    assert is_signed(message_of(checked_claim), proof["sig"], KEY.public_key())


def test_no_bit_of_a_message_can_change():
    message = message_of(FIRST)
    signature = sign(message, KEY)
    changed = [bytes([*message[:n], message[n] ^ 1, *message[n + 1 :]]) for n in range(0, len(message), 9)]

    assert is_signed(message, signature, KEY.public_key())
    assert not any(is_signed(other, signature, KEY.public_key()) for other in changed)


@pytest.mark.parametrize(
    ("at_s", "code"), [(59, "46119246"), (1_111_111_109, "68084774"), (20_000_000_000, "77737706")]
)
def test_codes_fit_the_vectors_of_the_standard(at_s, code):
    # RFC 6238, appendix B, SHA-256, whose steps have 30 s.
    assert code_at_step(TOTP_KEY, at_s // 30) == code


def test_an_nfc_code_and_its_steps():
    at = datetime.fromtimestamp(1_767_225_604, UTC)

    assert totp(TOTP_KEY, at) == code_at_step(TOTP_KEY, 117_815_040) == "15232389"
    found = [
        find_step(TOTP_KEY, "15232389", shown_at=datetime.fromtimestamp(1_767_225_600 + later, UTC))
        for later in (-16, -15, 0, 14, 15, 29, 30)
    ]
    assert found == [None, *[117_815_040] * 5, None]


def test_a_frame_of_light():
    assert crc8(b"123456789") == 0xF4
    assert encode(123456789) == "101010110010011101011011110001101000101010000110110"
    assert [len(encode(number)) for number in (0, 2**28 - 1)] == [56, 57]


def test_every_frame_reads_back_and_none_with_a_wrong_symbol():
    for number in (0, 1, 5, 123456789, 2**27, 2**28 - 1, *(n * 7919 % 2**28 for n in range(2000))):
        symbols = encode(number)
        assert decode(symbols) == number
        assert len(symbols) <= 58
    symbols = encode(123456789)
    for place in range(len(symbols)):
        damaged = symbols[:place] + ("0" if symbols[place] == "1" else "1") + symbols[place + 1 :]
        with pytest.raises(ValueError, match=r"frame|run"):
            decode(damaged)


def test_a_frame_holds_28_bits():
    for number in (-1, 2**28):
        with pytest.raises(ValueError, match="28 bits"):
            encode(number)
