"""One authority and one certificate for the parts of SeaweedFS to know each other by.

Both are made anew at every start and never leave the directory, so that nothing has
to be renewed or revoked; whoever does not hold the key can't speak to a gRPC port.

Not here: certificates people or telephone exchanges see (`sip_tls_*`, `portal_tls_*`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from archive.embedded.private_file import write_private

LIFETIME = timedelta(days=3650)  # a server that is never restarted for ten years has other troubles
BACKDATING = timedelta(days=1)  # a clock that is set back a little at boot must not lock us out


def write_certificates(directory: Path, now: datetime) -> tuple[Path, Path, Path]:
    """Write `authority.pem`, `certificate.pem` and `key.pem` (0600) and return their paths."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    authority = (
        _builder("earwitness embedded authority", authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder("earwitness embedded store", key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return (
        write_private(directory / "authority.pem", authority.public_bytes(pem)),
        write_private(directory / "certificate.pem", certificate.public_bytes(pem)),
        write_private(
            directory / "key.pem", key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        ),
    )


def _builder(subject: str, public_key: ec.EllipticCurvePublicKey, now: datetime) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "earwitness embedded authority")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATING)
        .not_valid_after(now + LIFETIME)
    )
