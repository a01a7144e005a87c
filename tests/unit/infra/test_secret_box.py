"""A secret at rest opens with its key, for its owner, unchanged, and not otherwise."""

import base64

import pytest

from infra.secret_box import SecretBox

KEY = bytes(range(32))


def test_a_sealed_secret_opens_again_and_is_sealed_otherwise_every_time():
    box = SecretBox(KEY)

    sealed = [box.seal(b"secret", about="beacon:1") for _ in range(2)]

    assert [box.open(each, about="beacon:1") for each in sealed] == [b"secret"] * 2
    assert sealed[0] != sealed[1]
    assert b"secret" not in sealed[0]


def test_another_key_or_another_owner_opens_nothing():
    sealed = SecretBox(KEY).seal(b"secret", about="beacon:1")

    for box, about in ((SecretBox(bytes(32)), "beacon:1"), (SecretBox(KEY), "beacon:2"), (SecretBox(KEY), "")):
        with pytest.raises(ValueError, match="another key"):
            box.open(sealed, about=about)


def test_no_changed_byte_goes_unseen():
    sealed = SecretBox(KEY).seal(b"secret", about="beacon:1")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="another key"):
            SecretBox(KEY).open(bytes(changed), about="beacon:1")


@pytest.mark.parametrize("size", [0, 1, 7, 8, 11, 12, 27])
def test_what_is_too_short_opens_nothing(size):
    with pytest.raises(ValueError, match=r".*"):
        SecretBox(KEY).open(bytes(size), about="x")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_32_bytes(size):
    with pytest.raises(ValueError, match="32 bytes"):
        SecretBox(bytes(size))


def test_the_key_is_read_from_a_file(tmp_path):
    (tmp_path / "key").write_text(base64.b64encode(KEY).decode() + "\n")

    box = SecretBox.from_file(tmp_path / "key")

    assert box.open(SecretBox(KEY).seal(b"secret", about="x"), about="x") == b"secret"


@pytest.mark.parametrize("text", ["", "AAAA", "not base64 at all!", base64.b64encode(bytes(33)).decode()])
def test_a_file_without_such_a_key_is_refused(text, tmp_path):
    (tmp_path / "key").write_text(text)

    with pytest.raises(ValueError, match=r".*"):
        SecretBox.from_file(tmp_path / "key")
