"""The certificate the parts of the store know each other by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from archive.embedded.certificates import LIFETIME, write_certificates

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def test_the_certificate_is_signed_by_the_authority_and_belongs_to_the_key(tmp_path: Path) -> None:
    """Whoever does not hold the key is nobody."""
    authority_path, certificate_path, key_path = write_certificates(tmp_path, NOW)
    authority = x509.load_pem_x509_certificate(authority_path.read_bytes())
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    key = load_pem_private_key(key_path.read_bytes(), None)
    certificate.verify_directly_issued_by(authority)
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_before_utc < NOW
    assert certificate.not_valid_after_utc == NOW.replace(microsecond=0) + LIFETIME


def test_every_start_makes_new_ones_and_the_authoritys_key_is_kept_nowhere(tmp_path: Path) -> None:
    """A stolen old key opens nothing."""
    write_certificates(tmp_path, NOW)
    first = (tmp_path / "key.pem").read_bytes()
    write_certificates(tmp_path, NOW)
    assert (tmp_path / "key.pem").read_bytes() != first
    assert {path.name for path in tmp_path.iterdir()} == {"authority.pem", "certificate.pem", "key.pem"}
