"""Settings come from variables of one prefix, are checked together, and do not show their secrets."""

import pytest
from pydantic import ValidationError

from infra.settings import ServiceSettings, load

GIVEN = {
    "DATABASE_URL": "postgresql://u:secret@h/d",
    "REDIS_URL": "redis://h",
    "TLS_CA_FILE": "ca.pem",
    "TLS_CERT_FILE": "c.pem",
    "TLS_KEY_FILE": "k.pem",
    "KEY_FILE": "key",
    "IDENTITY_JWKS_URL": "http://i",
    "BEACON_JWKS_URL": "http://b",
    "PUBLIC_ORIGIN": "http://o",
}


def load_with(prefix="ACADEMICS_", **changes):
    given = {**GIVEN, **changes}
    return load(ServiceSettings, prefix, {f"ACADEMICS_{name}": value for name, value in given.items()})


def test_variables_of_the_prefix_are_read_and_the_rest_has_defaults():
    settings = load_with(HTTP_PORT="8080", SHARD_COUNT="8")

    assert (settings.http_port, settings.grpc_port, settings.shard_count) == (8080, 0, 8)
    assert settings.database_url.get_secret_value() == "postgresql://u:secret@h/d"


def test_an_empty_variable_counts_as_absent():
    assert load_with(HTTP_PORT="", LOG_LEVEL="").log_level == "info"


def test_parts_are_named_in_a_list():
    assert load_with(PARTS="http,grpc").parts == {"http", "grpc"}
    assert load_with().parts == {"http", "grpc", "relay", "consumers", "jobs"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTS", "http,unknown"),
        ("PARTS", "http, grpc"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "-1"),
        ("HTTP_PORT", "http"),
        ("SHARD_COUNT", "0"),
        ("LOG_LEVEL", "loud"),
        ("DATABASE_POOL_COUNT", "0"),
        ("REQUIRE_DURABLE_DATABASE", "perhaps"),
    ],
)
def test_a_wrong_value_is_refused(name, value):
    with pytest.raises(ValidationError):
        load_with(**{name: value})


def test_all_faults_are_told_at_once():
    with pytest.raises(ValidationError) as caught:
        load_with(prefix="BEACON_")

    assert {fault["loc"][0] for fault in caught.value.errors()} == {name.lower() for name in GIVEN}


def test_secrets_are_not_shown():
    assert "secret" not in repr(load_with())


def test_settings_stay_as_they_were_read():
    with pytest.raises(ValidationError):
        load_with().http_port = 1
