"""The certificate of the SIP listener: read, checked, and renewed while calls run.

`SipCertificate` has the two contexts connections are made with: `server` for those that
peers open, `client` for the few we open to a peer whose own is gone. With authorities of
clients (`SIP_TLS_CLIENT_CA`) either side has to show a certificate of theirs. Without them
a peer shows none, and of a connection we open nobody can tell who answered it.

Rules: what is on disk is taken only when all of it fits together, else what is in use stays.
A connection keeps the context it was made with, so that a renewal touches none. TLS 1.2 and
1.3 with forward secrecy and authenticated encryption (RFC 9325), no renegotiation, no tickets.
Not here: who a peer is (its address), and the portal's certificate (`playback_portal.cli`).
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from archive.embedded.private_file import write_private
from archive.errors import Refused
from archive.settings import Settings
from recorder.tls_alert import AlertingContext

CERT, KEY, CLIENT_CA = (f"EARWITNESS_SIP_TLS_{name}" for name in ("CERT", "KEY", "CLIENT_CA"))
CIPHERS = "@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20"
FILE_SIZE_BYTES_MAX = 4 * 1024 * 1024  # as certificates of other listeners (`archive.timestamp`)

_log = structlog.get_logger()


@dataclass(frozen=True)
class CertificateFiles:
    """The PEM files of the settings; without `authorities` clients show no certificate."""

    chain: Path
    key: Path
    authorities: Path | None = None

    def stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Return what changes when a file is written anew or replaced; None for one that is not there."""
        return tuple(_stamp_of(path) for path in (self.chain, self.key, self.authorities) if path is not None)


class SipCertificate:
    """The contexts in use; `ends_at` is when the first certificate of the chain ends.

    `memory` is a file that names the certificate this recorder ran with: by it a restart after the
    end, when calls may be running, is told from a certificate that is put in too late.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    ends_at: datetime

    def __init__(self, files: CertificateFiles, now: datetime, memory: Path | None = None) -> None:
        """Read the files; raises Refused with the setting that is wrong and what to do."""
        self._files = files
        self._memory = memory
        self._taken = self._seen = files.stamp()
        self._load(now)

    def renew(self, now: datetime) -> bool:
        """Take what is on disk if it changed and has rested since the last look; call this now and then.

        Returns whether it was taken. Raises Refused, once, for files that can't be used: what was in
        use stays. That they must have rested spares a pair of which one half is written.
        """
        stamp, before = self._files.stamp(), self._seen
        self._seen = stamp
        if stamp == self._taken or stamp != before:
            return False
        self._taken = stamp
        self._load(now)
        self.remember()
        return True

    def remember(self) -> None:
        """Write down which certificate is in use."""
        if self._memory is None:
            return
        try:
            write_private(self._memory, self._name.encode())
        except OSError as error:
            _log.warning("which certificate of SIP is in use can't be noted", reason=error.strerror)

    def _load(self, now: datetime) -> None:
        chain = _checked(self._files)
        self._check_dates(chain, now)
        server, client = _server(self._files), _client(self._files)
        self.server, self.client = server, client
        self._name = _name_of(chain)
        self.ends_at = _end_of(chain)

    def _check_dates(self, chain: list[x509.Certificate], now: datetime) -> None:
        ends_at = _end_of(chain)
        if ends_at <= now and not self._ran_with(chain):
            raise Refused(
                f"{CERT}: a certificate in {self._files.chain} ended on {ends_at.date()}. Put a renewed one "
                "there with its key; if it has not ended, set this machine's clock."
            )
        if ends_at <= now:
            # Without it calls by UDP and TCP would be lost too, and those that run.
            _log.error("ALARM: the certificate of SIP ended and is used on; renew it", ended=str(ends_at))
        if any(each.not_valid_before_utc > now for each in chain):
            # A clock that is behind after a start without a network comes right by itself, and calls go on.
            _log.error(
                "the certificate of SIP is not valid yet; is this machine's clock right?", setting=CERT
            )

    def _ran_with(self, chain: list[x509.Certificate]) -> bool:
        try:
            return self._memory is not None and self._memory.read_text() == _name_of(chain)
        except (OSError, UnicodeDecodeError):
            return False


def certificate_of(settings: Settings, now: datetime) -> SipCertificate | None:
    """Return the certificate of the settings, None where nothing listens by TLS; raises Refused."""
    chain, key, authorities = settings.sip_tls_cert, settings.sip_tls_key, settings.sip_tls_client_ca
    listens = any(transport == "tls" for transport, _, _ in settings.sip_listeners)
    if (chain is None) != (key is None):
        raise Refused(f"{CERT} and {KEY} belong together: set both.")
    if chain is None or key is None:
        if listens:
            raise Refused(f"EARWITNESS_SIP_LISTEN names a tls listener: set {CERT} and {KEY} for it.")
        if authorities is not None:
            raise Refused(f"{CLIENT_CA} is for a tls listener: set {CERT} and {KEY} too.")
        return None
    if not listens:
        _log.warning("SIP has a certificate and no tls listener: name one, tls:HOST", sip=settings.sip_listen)
        return None
    memory = settings.journal_dir / "sip-certificate"
    return SipCertificate(CertificateFiles(chain, key, authorities), now, memory)


def _checked(files: CertificateFiles) -> list[x509.Certificate]:
    """Return the chain; raises Refused with what is wrong with the files."""
    chain = _certificates(CERT, files.chain)
    if _public_key(files.key) != _encoded(chain[0].public_key()):
        raise Refused(
            f"{CERT} and {KEY} are no pair: the key in {files.key} is not that of the first certificate in "
            f"{files.chain}. Take both from one issue, the recorder's own certificate before its authorities."
        )
    if files.authorities is not None:
        _certificates(CLIENT_CA, files.authorities)
    return chain


def _name_of(chain: list[x509.Certificate]) -> str:
    return hashlib.sha256(b"".join(each.public_bytes(Encoding.DER) for each in chain)).hexdigest()


def _end_of(chain: list[x509.Certificate]) -> datetime:
    return min(each.not_valid_after_utc for each in chain)


def _certificates(setting: str, path: Path) -> list[x509.Certificate]:
    content = _content(setting, path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise Refused(f"{setting}: {path} holds no certificates in PEM that can be read.") from None


def _public_key(path: Path) -> bytes:
    content = _content(KEY, path)
    try:
        return _encoded(load_pem_private_key(content, None).public_key())
    except TypeError:
        raise Refused(
            f"{KEY}: {path} is sealed by a passphrase. Give the key without one, in a file that the "
            "recorder's account alone may read."
        ) from None
    except ValueError:
        raise Refused(f"{KEY}: {path} holds no private key in PEM that can be read.") from None


def _content(setting: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_SIZE_BYTES_MAX)
    except OSError as error:
        raise Refused(
            f"{setting}: {path} can't be read ({error.strerror}). Put the file there and let the recorder's "
            "account read it."
        ) from None


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _server(files: CertificateFiles) -> ssl.SSLContext:
    context = _equipped(AlertingContext(ssl.PROTOCOL_TLS_SERVER), files)
    # A session taken up again would not show its certificate; connections of exchanges last, and are few.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _client(files: CertificateFiles) -> ssl.SSLContext:
    """Return the context of connections we open: to an address, which names no host to compare."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _equipped(context, files)


def _equipped(context: ssl.SSLContext, files: CertificateFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    # An authority that issues for one customer may stand in the file without the one above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.set_ciphers(CIPHERS)
        context.load_cert_chain(files.chain, files.key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise Refused(f"{CERT} or {KEY} can't be used: OpenSSL says {reason}.") from None
    if files.authorities is not None:
        context.load_verify_locations(files.authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
