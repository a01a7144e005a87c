"""Keys that follow from the key file."""

import base64

import pytest

from infra.secret_box import derived_key


def test_each_purpose_has_a_key_of_its_own_and_always_the_same(tmp_path):
    file = tmp_path / "key"
    file.write_text(base64.b64encode(bytes(32)).decode() + "\n")

    first, again, other = (derived_key(file, purpose=purpose) for purpose in ("a", "a", "b"))

    assert len(first) == 32
    assert first == again
    assert first != other


def test_a_key_that_is_too_short_is_no_key(tmp_path):
    file = tmp_path / "key"
    file.write_text(base64.b64encode(bytes(31)).decode())

    with pytest.raises(ValueError, match="32 bytes"):
        derived_key(file, purpose="a")
