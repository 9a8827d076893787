"""Who signs what leaves an archive: a P-256 key with a certificate of the archive's own authority.

Evidence packages and certificates of destruction are signed so that `openssl` alone
can check them. What others trust is the authority: one self-signed certificate per
archive, whose fingerprint the operator publishes. It issues the certificate of the
signatory, anew whenever the present one comes near its end.

Both private keys stand in the key store, sealed by the root, so that every worker
signs as the same.

Rules: `now` is an argument. Names in the key store are written once: each renewal
has its own. Not here: the form of a signature (`cms`), and what is signed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keys.binding import length_prefixed
from keys.errors import KeyExists, KeyNotFound, SealBroken
from keys.key_store import KeyStore
from keys.root import Root

NAMES = "signatory"
"""Under this name the key store holds authority and signatories; no tenant's id is a word."""

AUTHORITY_VALIDITY = timedelta(days=40 * 365)
"""Longer than a recording of seven years and any hold on it; replacing an authority is a new trust."""

CERTIFICATE_VALIDITY = timedelta(days=12 * 365)
"""A package without a time-stamp is checked at today's date, and seven years are promised."""

RENEWAL = timedelta(days=10 * 365)
"""So much of its time a certificate has left when it signs: what is signed lives seven years and more."""

RENEWALS_COUNT_MAX = 99
"""One every two years; more of them in a key store point at a loop in the caller."""

_FORMAT = "earwitness-signatory/1"
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Signatory:
    """A key that signs, its certificate, and the authority others trust; its repr shows no key."""

    certificate: x509.Certificate
    authority: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def sign(self, content: bytes, now: datetime) -> bytes:
        """Return the DER of a detached CMS signature over `content`, dated `now`."""
        from keys.cms import sign_detached  # noqa: PLC0415 - few who open keys sign, and ASN.1 loads slowly

        return sign_detached(self.key, self.certificate, content, now)

    def authority_pem(self) -> bytes:
        """Return the certificate of the authority as PEM, for whoever checks."""
        return self.authority.public_bytes(Encoding.PEM)

    def authority_fingerprint(self) -> str:
        """Return SHA-256 of the authority's certificate in hexadecimal: what is published."""
        return self.authority.fingerprint(hashes.SHA256()).hex()


def load_or_create(store: KeyStore, root: Root, organisation: str, now: datetime) -> Signatory:
    """Return the signatory of this archive, with a certificate that has time left at `now`.

    `organisation` (1 to 64 characters) stands in certificates made now; it is what
    an auditor reads. Raises SealBroken when another root sealed the keys,
    KeyDestroyed, KeyStoreUnavailable.
    """
    issuer = _kept(store, root, f"{NAMES}/authority", lambda: _issued(None, organisation, now))
    for number in range(1, RENEWALS_COUNT_MAX + 1):
        key, certificate = _kept(store, root, f"{NAMES}/{number}", lambda: _issued(issuer, organisation, now))
        if certificate.not_valid_after_utc - now >= RENEWAL:
            return Signatory(certificate, issuer[1], key)
    raise SealBroken(f"None of {RENEWALS_COUNT_MAX} certificates has time left: the clock is wrong.")


def load_authority(store: KeyStore, root: Root, organisation: str, now: datetime) -> x509.Certificate:
    """Return the certificate others trust, made at first; raises as `load_or_create`."""
    return _kept(store, root, f"{NAMES}/authority", lambda: _issued(None, organisation, now))[1]


def known_authority(store: KeyStore, root: Root) -> x509.Certificate | None:
    """Return the certificate others trust, None when none was made yet; raises as `load_or_create`."""
    name = f"{NAMES}/authority"
    try:
        sealed = store.get(name)
    except KeyNotFound:
        return None
    return _unpacked(root.unwrap(sealed, context_of(name)))[1]


def context_of(name: str) -> bytes:
    """Return what the root binds a signatory or its authority to."""
    return length_prefixed(_FORMAT) + length_prefixed(name)


_Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def _kept(store: KeyStore, root: Root, name: str, make: Callable[[], _Pair]) -> _Pair:
    """Return the key and certificate kept under `name`, made now when there are none."""
    context = context_of(name)
    try:
        sealed = store.get(name)
    except KeyNotFound:
        made = _packed(make())
        # Another worker may be first; its key is the one.
        with contextlib.suppress(KeyExists):
            store.put(name, root.wrap(made, context))
        sealed = store.get(name)
    return _unpacked(root.unwrap(sealed, context))


def _issued(issuer: _Pair | None, organisation: str, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    what = "archive authority" if issuer is None else "archive"
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"earwitness {what}"),
        ]
    )
    issuer_key, issuer_name = (key, subject) if issuer is None else (issuer[0], issuer[1].subject)
    start = now.replace(microsecond=0)
    validity = AUTHORITY_VALIDITY if issuer is None else CERTIFICATE_VALIDITY
    end = start + validity if issuer is None else min(start + validity, issuer[1].not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(issuer is None, 0 if issuer is None else None), critical=True)
        .add_extension(_usage(is_authority=issuer is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return key, certificate


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=not is_authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _packed(pair: _Pair) -> bytes:
    key, certificate = pair
    secret = key.private_bytes(Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return len(secret).to_bytes(_LENGTH_BYTES, "big") + secret + certificate.public_bytes(Encoding.DER)


def _unpacked(packed: bytes) -> _Pair:
    end = _LENGTH_BYTES + int.from_bytes(packed[:_LENGTH_BYTES], "big")
    key = serialization.load_der_private_key(packed[_LENGTH_BYTES:end], None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SealBroken("What the key store holds for the signatory is no key on P-256.")
    return key, x509.load_der_x509_certificate(packed[end:])
