"""Detached signatures (RFC 5652, CAdES-BES): openssl reads ours, and nothing altered is taken for one."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from keys.cms import SIGNATURE_BYTES_MAX, is_issued_by, verify_detached
from keys.errors import SealBroken
from keys.key_store import DirectoryKeyStore
from keys.local_keyring import LocalKeyring
from keys.signatory import AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, Signatory, load_or_create

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONTENT = b"what was said is what is heard\n"


@pytest.fixture(scope="module")
def signatory(tmp_path_factory: pytest.TempPathFactory) -> Signatory:
    path = tmp_path_factory.mktemp("keys")
    return load_or_create(DirectoryKeyStore(path), LocalKeyring(bytes(32)), "Voorbeeld BV", NOW)


@pytest.fixture(scope="module")
def signature(signatory: Signatory) -> bytes:
    return signatory.sign(CONTENT, NOW)


def openssl(signatory: Signatory, signature: bytes, content: bytes, folder: Path) -> int:
    """Return what `openssl cms -verify` exits with, trusting the authority alone."""
    (folder / "ca.pem").write_bytes(signatory.authority_pem())
    (folder / "content").write_bytes(content)
    (folder / "signature").write_bytes(signature)
    options = ["-verify", "-binary", "-cades", "-inform", "DER", "-purpose", "any", "-out", "/dev/null"]
    files = ["-in", "signature", "-content", "content", "-CAfile", "ca.pem"]
    at = ["-attime", str(int(NOW.timestamp()))]
    command = ["openssl", "cms", *options, *files, *at]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False).returncode


def test_openssl_verifies_our_signature_and_no_other_content(
    signatory: Signatory, signature: bytes, tmp_path: Path
) -> None:
    assert openssl(signatory, signature, CONTENT, tmp_path) == 0
    assert openssl(signatory, signature, CONTENT + b".", tmp_path) != 0


def test_our_own_check_names_the_signer_and_the_time(signatory: Signatory, signature: bytes) -> None:
    signed = verify_detached(signature, CONTENT)
    assert signed.certificate == signatory.certificate
    assert signed.signed_at == NOW


def test_another_content_is_refused(signature: bytes) -> None:
    with pytest.raises(SealBroken):
        verify_detached(signature, CONTENT + b".")


def test_a_certificate_of_a_version_there_is_not_is_refused(signature: bytes) -> None:
    version = signature.index(bytes.fromhex("a003020102")) + 4
    changed = signature[:version] + b"\x03" + signature[version + 1 :]
    with pytest.raises(SealBroken):
        verify_detached(changed, CONTENT)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.data())
def test_a_signature_with_one_octet_changed_is_refused(
    signatory: Signatory, signature: bytes, data: st.DataObject
) -> None:
    """A change inside the certificate alone leaves one nobody issued."""
    place = data.draw(st.integers(0, len(signature) - 1))
    changed = bytearray(signature)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        certificate = verify_detached(bytes(changed), CONTENT).certificate
    except SealBroken:
        return
    assert not is_issued_by(certificate, signatory.authority, NOW)


@pytest.mark.parametrize(
    "change", [lambda s: s + b"\x00", lambda s: b"\x00" + s, lambda s: s[:-1], lambda _: b""]
)
def test_an_octet_more_or_less_is_refused(signature: bytes, change: object) -> None:
    assert callable(change)
    with pytest.raises(SealBroken):
        verify_detached(change(signature), CONTENT)


def test_a_signature_above_the_limit_is_not_even_read(signature: bytes) -> None:
    with pytest.raises(SealBroken):
        verify_detached(signature + bytes(SIGNATURE_BYTES_MAX), CONTENT)


def test_a_signer_of_another_authority_is_not_trusted(signatory: Signatory, tmp_path: Path) -> None:
    other = load_or_create(DirectoryKeyStore(tmp_path), LocalKeyring(bytes(32)), "Voorbeeld BV", NOW)
    assert is_issued_by(signatory.certificate, signatory.authority, NOW)
    assert not is_issued_by(signatory.certificate, other.authority, NOW)
    assert openssl(other, signatory.sign(CONTENT, NOW), CONTENT, tmp_path) != 0


def test_a_certificate_counts_in_its_time_only(signatory: Signatory) -> None:
    before, after = NOW - timedelta(seconds=1), NOW + CERTIFICATE_VALIDITY + timedelta(seconds=1)
    assert not is_issued_by(signatory.certificate, signatory.authority, before)
    assert not is_issued_by(signatory.certificate, signatory.authority, after)


def test_the_authority_outlives_the_certificates_it_issues(signatory: Signatory) -> None:
    assert signatory.authority.not_valid_after_utc == NOW + AUTHORITY_VALIDITY
    assert signatory.certificate.not_valid_after_utc == NOW + CERTIFICATE_VALIDITY
    assert signatory.authority_fingerprint() == signatory.authority.fingerprint(hashes.SHA256()).hex()
