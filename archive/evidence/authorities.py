"""Whom others trust to check a package of this archive: the certificates that are published.

A package brings copies of them, which prove nothing: who makes a false package makes false
copies. So they are handed out by other ways too, and whoever checks compares.

Rules: certificates only, no key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from archive.errors import NotFound


@dataclass(frozen=True)
class Authorities:
    """The authority that issues who signs here, and in PEM those whose time-stamps count, if any are set."""

    authority: x509.Certificate
    stamping_pem: bytes = b""

    def authority_pem(self) -> bytes:
        """Return the certificate of the authority as PEM."""
        return self.authority.public_bytes(Encoding.PEM)

    def fingerprint(self) -> str:
        """Return SHA-256 of the authority's certificate in hexadecimal: what is published."""
        return self.authority.fingerprint(hashes.SHA256()).hex()


def no_authorities() -> Authorities:
    """Raise NotFound: for a service that signs nothing."""
    raise NotFound("This service signs no packages.")


def script() -> bytes:
    """Return the script that checks packages with standard tools."""
    return (files("archive.evidence") / "verify.sh").read_bytes()


def script_sha256() -> str:
    """Return the SHA-256 of the script in hexadecimal."""
    return hashlib.sha256(script()).hexdigest()
