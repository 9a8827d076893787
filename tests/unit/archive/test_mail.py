"""Mails as a real mail server gets them: one address each, nothing of people's words in a header."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from archive.embedded.certificates import write_certificates
from archive.errors import Refused
from archive.mail import (
    ATTACHMENT_BYTES_MAX,
    SUBJECT_CHARS_MAX,
    Attachment,
    MailServer,
    MailUnavailable,
    message,
    one_line,
    send,
    server_of,
)
from archive.settings import Settings

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
HOSTILE = [
    "Afspraak\r\nBcc: dief@voorbeeld.nl",
    "Afspraak\nBcc: dief@voorbeeld.nl\n\nAndere tekst",
    "Afspraak\rX: y",
    "Afspraak\u2028Bcc: x\u2029y",
    "\u202eevil\u0000\x1b[31m",
    "=?utf-8?q?a?=\r\n b",
]


class Desk:
    """Takes mails in and remembers them; answers an address as it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.tls: list[bool] = []
        self.refusals: dict[str, str] = {}
        self.data_answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd looks for
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data_answer.startswith("250"):
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            self.tls.append(session.ssl is not None)
        return self.data_answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def serve(desk: Desk) -> Iterator[Callable[..., MailServer]]:
    """Start a mail server on loopback, and stop it at the end."""
    started: list[Controller] = []

    def start(**options: Any) -> MailServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        controller = Controller(desk, hostname="127.0.0.1", port=port, **options)
        controller.start()
        started.append(controller)
        return MailServer("127.0.0.1", port, "noreply@opname.example", starttls=False)

    yield start
    for controller in started:
        controller.stop()


def written(server: MailServer, **changes: Any) -> EmailMessage:
    given = {"to": "klant@voorbeeld.nl", "subject": "Je code", "text": "Hallo,\n\néén regel.\n", **changes}
    return message(
        server,
        given.pop("to"),
        given.pop("subject"),
        given.pop("text"),
        mail_id="0190",
        language="nl",
        at=NOW,
        **given,
    )


async def test_a_mail_arrives_as_it_was_written(desk: Desk, serve: Callable[..., MailServer]) -> None:
    server = serve()
    await send(server, written(server))
    assert desk.envelopes == [("noreply@opname.example", ["klant@voorbeeld.nl"])]
    (mail,) = desk.mails
    assert mail["To"] == "klant@voorbeeld.nl"
    assert mail["From"] == "earwitness <noreply@opname.example>"
    assert mail["Subject"] == "Je code"
    assert mail["Message-ID"] == "<0190@opname.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Sun, 22 Nov 2026 09:30:00 +0000"
    assert mail.get_content().replace("\r\n", "\n") == "Hallo,\n\néén regel.\n"


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_in_a_subject_becomes_a_header(
    desk: Desk, serve: Callable[..., MailServer], text: str
) -> None:
    server = serve()
    attachment = Attachment(f"{text}.flac", "audio/flac", b"fLaC")
    await send(server, written(server, subject=text, attachments=(attachment,)))
    (mail,) = desk.mails
    assert desk.envelopes[0][1] == ["klant@voorbeeld.nl"]
    assert set(map(str.lower, mail.keys())) == {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "content-language",
        "auto-submitted",
        "x-auto-response-suppress",
        "mime-version",
        "content-type",
    }
    assert mail["Subject"].isprintable()
    (file,) = mail.iter_attachments()
    assert file.get_content() == b"fLaC"
    assert "\n" not in (file.get_filename() or "\n")


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_a_person_wrote_stays_within_the_text(
    desk: Desk, serve: Callable[..., MailServer], text: str
) -> None:
    server = serve()
    await send(server, written(server, text=f"Hallo\n.\n{text}\n..\nQUIT\n"))
    (mail,) = desk.mails
    assert mail["Bcc"] is None
    assert "QUIT" in mail.get_content()


@pytest.mark.parametrize(
    "address",
    ["a@b.nl\r\nBcc: c@d.nl", "a@b.nl, c@d.nl", "a b@c.nl", "x", "", "<a@b.nl>", "a@b.nl\n", "a@b@c.nl"],
)
def test_an_address_is_one_address(address: str) -> None:
    with pytest.raises(Refused, match="one address"):
        written(MailServer("x", 25, "noreply@opname.example"), to=address)


def test_subjects_and_files_have_limits() -> None:
    server = MailServer("x", 25, "noreply@opname.example")
    assert len(written(server, subject="x" * 300)["Subject"]) == SUBJECT_CHARS_MAX
    fits = Attachment("a.flac", "audio/flac", b"x" * ATTACHMENT_BYTES_MAX)
    assert written(server, attachments=(fits,)).is_multipart()
    with pytest.raises(Refused, match="at most 15 MiB"):
        written(server, attachments=(fits, Attachment("b", "audio/flac", b"x")))


def test_a_line_is_one_line() -> None:
    assert one_line(" a\r\n\tb \u2028 c\x00 ") == "a b c"


@pytest.mark.parametrize(
    ("answer", "error"),
    [("550 No such user", Refused), ("450 Busy", MailUnavailable), ("421 Later", MailUnavailable)],
)
async def test_what_is_refused_for_good_is_told_apart_from_what_may_be_tried_again(
    desk: Desk, serve: Callable[..., MailServer], answer: str, error: type[Exception]
) -> None:
    server = serve()
    desk.refusals["klant@voorbeeld.nl"] = answer
    with pytest.raises(error) as raised:
        await send(server, written(server))
    assert "klant@" not in str(raised.value)
    desk.refusals.clear()
    desk.data_answer = answer
    with pytest.raises(error):
        await send(server, written(server))


async def test_a_server_that_is_away_is_asked_again(unused_tcp_port: int) -> None:
    server = MailServer("127.0.0.1", unused_tcp_port, "noreply@opname.example", starttls=False)
    with pytest.raises(MailUnavailable):
        await send(server, written(server))


async def test_protection_is_never_given_up_because_the_server_offers_none(
    desk: Desk, serve: Callable[..., MailServer]
) -> None:
    plain = serve()
    server = MailServer("127.0.0.1", plain.port, plain.sender, starttls=True)
    with pytest.raises(MailUnavailable):
        await send(server, written(server))
    assert desk.mails == []


async def test_a_name_and_password_go_over_a_protected_connection_alone(
    desk: Desk, serve: Callable[..., MailServer], tmp_path: Path
) -> None:
    authority, certificate, key = write_certificates(tmp_path, datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    given: list[tuple[bytes, bytes]] = []

    def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given.append((data.login, data.password))
        return AuthResult(success=data.password == b"geheim%", handled=False)

    plain = serve(tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticator)

    def server(password: str, authorities: Path | None = authority) -> MailServer:
        return MailServer(
            "localhost", plain.port, plain.sender, "anna", password, starttls=True, authorities=authorities
        )

    await send(server("geheim%"), written(plain))
    assert desk.tls == [True]
    assert (b"anna", b"geheim%") in given
    with pytest.raises(MailUnavailable, match="name or password") as raised:
        await send(server("fout"), written(plain))
    assert "fout" not in str(raised.value)
    given.clear()
    # A certificate nobody vouches for gets no password.
    with pytest.raises(MailUnavailable):
        await send(server("geheim%", None), written(plain))
    assert given == []


@pytest.mark.parametrize(
    ("url", "tls", "expected"),
    [
        ("smtp://127.0.0.1:2525", "auto", ("127.0.0.1", 2525, False, False)),
        ("smtp://localhost", "auto", ("localhost", 587, False, False)),
        ("smtp://mail.example", "auto", ("mail.example", 587, False, True)),
        ("smtp://mail.example", "none", ("mail.example", 587, False, False)),
        ("smtp://localhost", "starttls", ("localhost", 587, False, True)),
        ("smtps://mail.example", "auto", ("mail.example", 465, True, False)),
    ],
)
def test_the_settings_say_where_and_how(url: str, tls: str, expected: tuple[Any, ...]) -> None:
    server = server_of(Settings(smtp_url=url, smtp_tls=tls, portal_url="https://opname.example"))
    assert server is not None
    assert (server.host, server.port, server.implicit_tls, server.starttls) == expected
    assert server.sender == "noreply@opname.example"


def test_a_name_and_password_stand_percent_encoded_in_the_setting() -> None:
    server = server_of(Settings(smtp_url="smtp://anna%40x:p%25%3A@mail.example", smtp_from="a@b.example"))
    assert server is not None
    assert (server.user, server.password, server.sender) == ("anna@x", "p%:", "a@b.example")
    assert "p%:" not in repr(server)


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example", "smtp://", "smtp://x:port", "smtp://x/y"]
)
def test_a_setting_that_is_no_mail_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Refused, match="EARWITNESS_SMTP_URL has the form"):
        server_of(Settings(smtp_url=url))
    assert server_of(Settings()) is None
