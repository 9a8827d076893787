"""Time stamps of an authority (RFC 3161): asked for over HTTP, checked before they are kept.

A stamp says that some octets were there at a time, in the words of somebody who is
neither us nor our customer. The request holds a hash; nothing else leaves.

Rules: what an authority answers is believed only when it is about these octets, answers
this very request, and is signed by a certificate that the trusted ones vouch for, where
some are set. An authority that is away is asked again later; nothing waits for it.
"""

from __future__ import annotations

import hashlib
import secrets
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from archive.errors import DependencyUnavailable, Refused, VerificationFailed
from archive.settings import Settings

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024
"""A stamp with its certificates has some 5 kB."""

PEM_BYTES_MAX = 1024 * 1024
QUERY_TYPE = "application/timestamp-query"


class TimeUnavailable(DependencyUnavailable):
    """The time-stamping authority does not answer, or not with a stamp."""


class Stamper(Protocol):
    """Whoever stamps time."""

    def stamp(self, data: bytes) -> bytes:
        """Return the DER of a TimeStampResp over `data`; raises DependencyUnavailable."""

    def check(self, token: bytes, data: bytes) -> None:
        """Raise VerificationFailed for what is no stamp over `data` of this authority."""


class HttpTimestampAuthority:
    """An authority at an address; its stamps are checked against `trusted` where there are any."""

    def __init__(
        self, url: str, trusted: Sequence[x509.Certificate] = (), *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Remember whom to ask; raises Refused for what is no HTTP address."""
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise Refused("EARWITNESS_TSA_URL: a time-stamping authority has an http or https address.")
        self._url = url
        self._trusted = tuple(trusted)
        self._timeout_s = timeout_s

    def stamp(self, data: bytes) -> bytes:
        """Return the DER of a TimeStampResp over `data`; raises TimeUnavailable."""
        builder = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
        asked = builder.nonce(nonce=True).cert_request(cert_request=True).build()
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url, data=bytes(asked.as_bytes()), headers={"Content-Type": QUERY_TYPE}
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                token: bytes = answer.read(ANSWER_BYTES_MAX + 1)
        except OSError as error:
            raise TimeUnavailable(
                f"The time-stamping authority does not answer ({type(error).__name__}); it is asked again."
            ) from error
        try:
            response = _checked(token, data, self._trusted)
        except VerificationFailed as error:
            raise TimeUnavailable(
                f"The time-stamping authority gave no stamp that counts: {error}."
            ) from error
        if response.tst_info.nonce != asked.nonce:
            raise TimeUnavailable("The time-stamping authority answered another question than was asked.")
        return token

    def check(self, token: bytes, data: bytes) -> None:
        """Raise VerificationFailed for what is no stamp over `data` by somebody who is trusted."""
        _checked(token, data, self._trusted)


def authority_of(settings: Settings) -> HttpTimestampAuthority | None:
    """Return the authority of the settings, None when there is none; raises Refused."""
    if not settings.tsa_url:
        return None
    trusted = () if settings.tsa_certificates is None else certificates_in(settings.tsa_certificates)
    return HttpTimestampAuthority(settings.tsa_url, trusted)


def stamped_at(token: bytes, data: bytes, trusted: Sequence[x509.Certificate] = ()) -> datetime:
    """Return the time a stamp says `data` was there; raises VerificationFailed.

    Without trusted certificates it is told what the stamp is about, and not who made it.
    """
    return _checked(token, data, trusted).tst_info.gen_time


def certificates_in(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file; raises Refused when there are none."""
    try:
        with path.open("rb") as file:
            return tuple(x509.load_pem_x509_certificates(file.read(PEM_BYTES_MAX)))
    except (OSError, ValueError):
        raise Refused(f"{path} holds no certificates in PEM.") from None


def _checked(token: bytes, data: bytes, trusted: Sequence[x509.Certificate]) -> TimeStampResponse:
    if len(token) > ANSWER_BYTES_MAX:
        raise VerificationFailed(f"it has more than {ANSWER_BYTES_MAX} octets")
    try:
        response = decode_timestamp_response(token)
        # One form only: what stands behind the end of the DER is no part of the stamp.
        if bytes(response.as_bytes()) != token or PKIStatus(response.status) is not PKIStatus.GRANTED:
            raise VerificationFailed("it is no granted time stamp in DER")
        imprint = bytes(response.tst_info.message_imprint.message)
    except ValueError:
        raise VerificationFailed("it is no time stamp") from None
    if secrets.compare_digest(imprint, hashlib.sha256(data).digest()) is False:
        raise VerificationFailed("it is over something else")
    if trusted:
        try:
            VerifierBuilder(roots=list(trusted)).build().verify_message(response, data)
        except VerificationError:
            raise VerificationFailed("nobody who is trusted made it") from None
    return response
