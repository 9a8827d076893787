"""Mail as it goes to the mail server: one message to one address, over a protected connection.

`message` writes it (RFC 5322, RFC 2045), `send` hands it over (RFC 5321). A connection in
clear text is for a mail server on this machine alone, unless the settings say otherwise.

Rules: nothing that came from a person gets into a header unfolded: a line feed in a title
is a blank, and an address is one address. What the server refuses for good is Refused;
all else may be tried again. Neither addresses nor words of a mail stand in an error.

Not here: what mails say (`retention.letters`), and when they are sent (`retention.mail`).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from archive.errors import DependencyUnavailable, Refused
from archive.settings import Settings

TIMEOUT_S = 30.0
"""RFC 5321 section 4.5.3.2 allows minutes; a server that needs them is asked again later."""

SUBJECT_CHARS_MAX = 200
ATTACHMENT_BYTES_MAX = 15 * 1024 * 1024
"""As text of a mail a file is a third longer; few mail servers take more than 25 MB."""

PORTS = {"smtp": 587, "smtps": 465}


class MailUnavailable(DependencyUnavailable):
    """The mail server can't be reached, or asks to be asked later."""


@dataclass(frozen=True)
class MailServer:
    """Where mails are handed over; `sender` is the address they come from."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    implicit_tls: bool = False
    starttls: bool = True
    authorities: Path | None = None


@dataclass(frozen=True)
class Attachment:
    """A file within a mail."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A picture that comes along in a mail; its HTML calls it `cid:` and its `id` (RFC 2392).

    The id is of nothing else in the world (RFC 2045 section 7).
    """

    id: str
    name: str
    subtype: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Markup:
    """A mail as HTML beside its text, and the pictures in it."""

    html: str
    pictures: tuple[Picture, ...] = ()


def server_of(settings: Settings) -> MailServer | None:
    """Return the mail server of the settings, None when there is none; raises Refused for a wrong one."""
    if not settings.smtp_url:
        return None
    wrong = Refused("EARWITNESS_SMTP_URL has the form smtp(s)://USER:PASSWORD@HOST:PORT.")
    try:
        url = urlsplit(settings.smtp_url)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise wrong from None
    if url.scheme not in PORTS or not host or url.path not in {"", "/"}:
        raise wrong
    protected = settings.smtp_tls == "starttls" or (settings.smtp_tls == "auto" and not _is_here(host))
    return MailServer(
        host=host,
        port=port or PORTS[url.scheme],
        sender=settings.smtp_from or f"noreply@{urlsplit(settings.portal_url).hostname or 'localhost'}",
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        implicit_tls=url.scheme == "smtps",
        starttls=url.scheme == "smtp" and protected,
        authorities=settings.smtp_ca,
    )


def message(
    server: MailServer,
    to: str,
    subject: str,
    text: str,
    *,
    mail_id: str,
    language: str,
    at: datetime,
    markup: Markup | None = None,
    attachments: tuple[Attachment, ...] = (),
) -> EmailMessage:
    """Write a mail; `mail_id` makes its Message-ID, the same however often it is sent.

    With `markup` it is HTML too, for programs that show it (RFC 2046 section 5.1.4).

    Raises Refused for an address that is none, and for attachments above ATTACHMENT_BYTES_MAX.
    """
    if sum(len(each.content) for each in attachments) > ATTACHMENT_BYTES_MAX:
        raise Refused(f"A mail carries files of at most {ATTACHMENT_BYTES_MAX // 1024**2} MiB.")
    mail = EmailMessage(policy=SMTP)
    domain = server.sender.rpartition("@")[2]
    try:
        mail["From"] = Address("earwitness", addr_spec=server.sender)
        mail["To"] = Address(addr_spec=to)
    except (ValueError, IndexError, MessageError):
        raise Refused("A mail goes from one address to one address.") from None
    mail["Subject"] = one_line(subject)[:SUBJECT_CHARS_MAX]
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{mail_id}@{domain}>"
    # RFC 3834: nobody's holiday answers it.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(text, cte="quoted-printable")
    if markup is not None:
        _add_markup(mail, markup)
    for each in attachments:
        main, _, sub = each.media_type.partition("/")
        mail.add_attachment(each.content, maintype=main, subtype=sub, filename=one_line(each.name))
    mail["Content-Language"] = language
    return mail


def _add_markup(mail: EmailMessage, markup: Markup) -> None:
    """Put the HTML beside the text, and its pictures beside the HTML (RFC 2387)."""
    mail.add_alternative(markup.html, subtype="html", cte="quoted-printable")
    html = next(each for each in mail.iter_parts() if each.get_content_type() == "text/html")
    for each in markup.pictures:
        html.add_related(
            each.content,
            maintype="image",
            subtype=each.subtype,
            cid=f"<{each.id}>",
            disposition="inline",
            filename=f"{each.name}.{each.subtype}",
        )


async def send(server: MailServer, mail: EmailMessage) -> None:
    """Hand a mail over; raises MailUnavailable, or Refused when the server never takes it."""
    try:
        await aiosmtplib.send(
            mail,
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.implicit_tls,
            # Never "if the server offers it": who sits in between would see to it that it does not.
            start_tls=server.starttls,
            tls_context=_tls(server),
            timeout=TIMEOUT_S,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = {refused.code for refused in error.recipients}
        raise _judged(min(codes, default=550), "The mail server refuses the address.") from None
    except aiosmtplib.SMTPAuthenticationError:
        raise MailUnavailable("The mail server refuses our name or password: see SMTP_URL.") from None
    except aiosmtplib.SMTPResponseException as error:
        raise _judged(error.code, f"The mail server refuses the mail ({error.code}).") from None
    except (aiosmtplib.SMTPException, OSError) as error:
        reason = type(error).__name__
        raise MailUnavailable(f"The mail server does not take mails now ({reason}).") from None


def one_line(text: str) -> str:
    """Return a text without anything that could end a line or turn what follows it around."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _judged(code: int, reason: str) -> Refused | MailUnavailable:
    # RFC 5321 section 4.2.1: 5yz is for good, 4yz for now.
    return Refused(reason) if code >= 500 else MailUnavailable(reason)


def _tls(server: MailServer) -> ssl.SSLContext | None:
    if not (server.implicit_tls or server.starttls):
        return None
    context = ssl.create_default_context()
    if server.authorities is not None:
        try:
            context.load_verify_locations(server.authorities)
        except (OSError, ssl.SSLError):
            raise MailUnavailable("EARWITNESS_SMTP_CA can't be read.") from None
    return context


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
