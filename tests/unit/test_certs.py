"""The development certificates say exactly who their holder is, and renew themselves."""

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from infra.certs import HOLDERS, issue, make_authority, renew, spiffe_id

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority():
    return make_authority(NOW)


def test_a_leaf_has_one_uri_and_one_dns_name(authority):
    leaf = issue(authority, "beacon", NOW)

    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://rollcall.dev/svc/beacon"]
    assert names.get_values_for_type(x509.DNSName) == ["beacon"]


def test_a_leaf_serves_and_calls_and_signs_no_certificate(authority):
    leaf = issue(authority, "beacon", NOW).certificate

    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usages) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_a_leaf_is_signed_by_the_authority_and_lives_a_day(authority):
    leaf = issue(authority, "beacon", NOW).certificate

    leaf.verify_directly_issued_by(authority.certificate)
    assert leaf.not_valid_after_utc == NOW + timedelta(hours=24)
    assert leaf.not_valid_before_utc < NOW


def test_every_holder_gets_files_whose_keys_only_the_owner_reads(tmp_path):
    renew(tmp_path, clock=lambda: NOW)

    assert {file.name for file in tmp_path.iterdir()} == {
        name for holder in ("ca", *HOLDERS) for name in (f"{holder}.pem", f"{holder}-key.pem")
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("*-key.pem")} == {0o600}


def test_fresh_certificates_are_kept(tmp_path):
    before = contents(tmp_path, NOW)

    after = contents(tmp_path, NOW + timedelta(hours=11))

    assert before == after


def test_leaves_past_half_their_life_are_replaced_under_the_same_authority(tmp_path):
    before = contents(tmp_path, NOW)

    after = contents(tmp_path, NOW + timedelta(hours=12))

    assert before["ca.pem"] == after["ca.pem"]
    assert all(before[f"{holder}.pem"] != after[f"{holder}.pem"] for holder in HOLDERS)


def test_a_new_authority_signs_everything_anew(tmp_path):
    before = contents(tmp_path, NOW)
    (tmp_path / "ca-key.pem").unlink()

    after = contents(tmp_path, NOW)

    authority = x509.load_pem_x509_certificate(after["ca.pem"])
    assert before["ca.pem"] != after["ca.pem"]
    for holder in HOLDERS:
        x509.load_pem_x509_certificate(after[f"{holder}.pem"]).verify_directly_issued_by(authority)


def test_a_pair_that_does_not_fit_is_replaced(tmp_path):
    before = contents(tmp_path, NOW)
    (tmp_path / "ops-key.pem").write_bytes(before["beacon-key.pem"])

    after = contents(tmp_path, NOW)

    assert after["ops.pem"] != before["ops.pem"]


def test_the_spiffe_id_names_the_service():
    assert spiffe_id("ops") == "spiffe://rollcall.dev/svc/ops"


def contents(folder, at):
    renew(folder, clock=lambda: at)
    return {file.name: file.read_bytes() for file in folder.iterdir()}
