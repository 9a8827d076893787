"""Mails of who chose a look have it: name, colour and logo, fetched from nowhere, and every word as text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.branding import Stationery
from archive.catalogue import brandings
from archive.catalogue.brandings import Look
from archive.catalogue.engine import Catalogue
from archive.logo import on_white, remade
from archive.mail import MailServer
from archive.model import Tenant
from archive.post import Letter, MailPost
from keys.envelope import new_key
from keys.local_keyring import LocalKeyring
from retention import letter_paper
from retention.letters import LETTERS, filled
from retention.mail import Mailer
from tests.drawn_logo import drawn_logo
from tests.unit.retention.mail_desk import Desk
from tests.unit.retention.test_letters import FIELDS

LINK = "https://opname.example/invitation/geheim-token"
HOSTILE = "<script>x()</script>\"' 'שלום' & {link} %s"
LOGO = remade(drawn_logo()).png
LOGO_ID = f"{hashlib.sha256(LOGO).hexdigest()[:32]}@logo.earwitness"
PAPER = Stationery("De Warme Bakker", "#0a4f8a", LOGO)


class Read(HTMLParser):
    """What a page is made of: its elements with what they hold, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [held for name, held in self.elements if name == tag]


def html_of(kind: str, language: str = "nl", paper: Stationery = PAPER, **fields: str) -> str:
    said = filled(kind, language, {**FIELDS, "organisation": paper.organisation, **fields})
    made = letter_paper.page(said, paper, language)
    assert made is not None
    return made.html


@pytest.mark.parametrize("kind", LETTERS)
@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_mail_says_in_html_what_it_says_as_text(kind: str, language: str) -> None:
    said, read = filled(kind, language, FIELDS), Read(html_of(kind, language))
    told = " ".join(read.words.split())
    for line in said.text.splitlines():
        assert " ".join(line.split()) in told
    assert {held["href"] for held in read.all("a")} <= {
        FIELDS[name] for name in ("link", "ending", "choosing")
    }


@pytest.mark.parametrize("kind", LETTERS)
def test_nothing_in_a_mail_is_fetched_or_run(kind: str) -> None:
    html = html_of(kind)
    read = Read(html)
    assert {tag for tag, _ in read.elements} <= {
        *("html", "head", "meta", "title", "body", "table", "tr", "td", "p", "a", "img", "br", "bdi")
    }
    assert [held["src"] for held in read.all("img")] == [f"cid:{LOGO_ID}"]
    assert not re.search(r"url\(|@import|\bon\w+=", html)


@pytest.mark.parametrize("kind", LETTERS)
def test_hostile_names_and_words_are_text(kind: str) -> None:
    hostile = dict.fromkeys(("organisation", "login", "by", "title", "named", "period"), HOSTILE)
    paper = Stationery(HOSTILE, "#0a4f8a", PAPER.logo)
    read = Read(html_of(kind, paper=paper, **hostile, message=f"{HOSTILE}\n\nhttps://elders.example/x"))
    assert read.all("script") == []
    assert HOSTILE in read.words
    assert "https://elders.example/x" not in {held["href"] for held in read.all("a")}
    assert [held["alt"] for held in read.all("img")] == [HOSTILE]


def test_the_longest_words_are_broken_in_the_mail_and_underneath_it() -> None:
    html = html_of("share", paper=Stationery("Molen", "#0a4f8a", None, "x" * 60))
    broken = [each for each in Read(html).all("td") if "overflow-wrap:anywhere" in (each["style"] or "")]
    assert len(broken) == 2


def test_a_logo_that_can_not_be_read_keeps_no_mail_back() -> None:
    said = filled("share", "nl", FIELDS)
    made = letter_paper.page(said, Stationery("Molen", None, LOGO[:99]), "nl")
    assert made is not None
    assert made.pictures[0].content == LOGO[:99]


def test_a_name_from_right_to_left_turns_nothing_around_it() -> None:
    said = filled("share", "nl", {**FIELDS, "organisation": "שלום 123", "title": "סוד"})
    assert "\u2068שלום 123\u2069 deelt een opgenomen gesprek met je: “\u2068סוד\u2069”." in said.text
    assert "\u2068" not in filled("share", "nl", FIELDS).text
    assert "<bdi>שלום 123</bdi>" in html_of("share", paper=Stationery("שלום 123", "#0a4f8a"))


def test_what_a_person_wrote_begins_a_paragraph_of_its_own() -> None:
    html = html_of("share", message="Zie minuut 2.\nEn 3.\n\nGroet")
    assert ">Zie minuut 2.<br>En 3.</p>" in html
    assert ">Groet</p>" in html


def test_who_chose_no_look_sends_plain_text() -> None:
    assert letter_paper.page(filled("share", "nl", FIELDS), Stationery("De Warme Bakker"), "nl") is None


@pytest.mark.parametrize(("accent", "logo"), [("#0a4f8a", None), (None, PAPER.logo)])
def test_a_colour_or_a_logo_alone_is_enough(accent: str | None, logo: bytes | None) -> None:
    html = html_of("invitation", paper=Stationery("Molen", accent, logo))
    assert (f'src="cid:{LOGO_ID}"' in html) is (logo is not None)
    assert ("border-top:4px solid #0a4f8a" in html) is (accent is not None)


SENT = {
    "text/plain": "\n-- \nVerstuurd met earwitness, voor De Warme Bakker",
    "text/html": "Verstuurd met earwitness, voor <bdi>De Warme Bakker</bdi></p>\n</td></tr></table>\n</body>\n</html>",
}


def test_who_goes_by_the_name_that_was_written_down_needs_no_other_under_the_text() -> None:
    said = filled("share", "nl", FIELDS)
    assert letter_paper.text(said, PAPER, "nl") == said.text
    signed = letter_paper.text(said, Stationery("Molen", written_down="De Bakker\r\n\r\nX"), "en")
    assert signed == f"{said.text}\n-- \nSent with earwitness, for De Bakker X\n"


@pytest.fixture
def root() -> LocalKeyring:
    return LocalKeyring(new_key())


@pytest.fixture
def sent(
    portal: Catalogue, worker: Catalogue, clock: Any, server: MailServer, root: LocalKeyring, desk: Desk
) -> Callable[..., EmailMessage]:
    """Return what queues a letter, sends it and reads it back from the mail server."""

    def no_sound() -> Any:
        raise AssertionError

    mailer = Mailer(worker, AuditWriter(worker, "worker/test"), clock, server, lambda: root, no_sound)

    def send(tenant: Tenant, kind: str = "invitation", **fields: str) -> EmailMessage:
        told = {**FIELDS, "link": LINK, "organisation": tenant.name, **fields}
        with portal.transaction(tenant.id) as connection:
            letter = Letter(tenant.id, kind, "anna@voorbeeld.nl", "nl", told)
            mail_id = MailPost(root, clock).queue(connection, letter)
        mailer.send(tenant.id, mail_id)
        return desk.mails[-1]

    return send


def looks(portal: Catalogue, tenant: Tenant, clock: Any, **look: Any) -> None:
    logo = look.pop("logo", None)
    with portal.transaction(tenant.id) as connection:
        made = brandings.put_draft(
            connection, Look(tenant.id, "", **look), "user:boss", now=clock.now(), logo=logo
        )
        brandings.publish(connection, tenant.id, made.version)


def test_a_mail_brings_the_look_its_sender_has_when_it_leaves(
    portal: Catalogue, bakery: Tenant, clock: Any, sent: Callable[..., EmailMessage]
) -> None:
    plain = sent(bakery)
    assert plain.get_content_type() == "text/plain"
    assert bakery.name in plain["Subject"]
    looks(portal, bakery, clock, name="Molen & Zn", accent_light="#0a4f8a", logo=PAPER.logo)
    mail = sent(bakery)
    assert mail["Subject"] == "Je account bij Molen & Zn"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Molen & Zn heeft een account voor je gemaakt" in text.get_content()
    for body in (text, html):
        assert body.get_content().replace("\r\n", "\n").rstrip().endswith(SENT[body.get_content_type()])
    assert "Molen &amp; Zn heeft een account voor je gemaakt" in html.get_content()
    assert "#0a4f8a" in html.get_content()
    (picture,) = [each for each in mail.walk() if each.get_content_type() == "image/png"]
    assert picture["Content-ID"] == f"<{LOGO_ID}>"
    assert f'src="cid:{LOGO_ID}"' in html.get_content()
    assert picture.get_content_disposition() == "inline"
    assert picture.get_content() == on_white(LOGO)
    assert picture.get_content() != LOGO


def test_another_organisation_has_none_of_it(
    portal: Catalogue, bakery: Tenant, florist: Tenant, clock: Any, sent: Callable[..., EmailMessage]
) -> None:
    looks(portal, bakery, clock, name="Molen", accent_light="#0a4f8a")
    mail = sent(florist)
    assert mail.get_content_type() == "text/plain"
    assert "Molen" not in mail.as_string()


def test_a_draft_is_in_no_mail(
    portal: Catalogue, bakery: Tenant, clock: Any, sent: Callable[..., EmailMessage]
) -> None:
    with portal.transaction(bakery.id) as connection:
        look = Look(bakery.id, "", "Molen", "#0a4f8a")
        brandings.put_draft(connection, look, "user:boss", now=clock.now(), logo=PAPER.logo)
    mail = sent(bakery)
    assert mail.get_content_type() == "text/plain"
    assert "Molen" not in mail.as_string()


def test_no_name_makes_a_header(
    database: Any, bakery: Tenant, portal: Catalogue, clock: Any, sent: Callable[..., EmailMessage]
) -> None:
    """Even one that reached the database past every check, as the name written down or as the chosen one."""
    hostile = "Molen\r\nBcc: x@elders.example\r\n\r\n<script>"
    looks(portal, bakery, clock, name="Molen", accent_light="#0a4f8a")
    for table, own in (("tenants", "id"), ("brandings", "tenant_id")):
        database.connect().execute(f"UPDATE {table} SET name = %s WHERE {own} = %s", (hostile, bakery.id))
        for kind in ("invitation", "share"):
            mail = sent(bakery, kind)
            assert mail["Bcc"] is None
            assert "<script>" in mail["Subject"] or table == "tenants"
            assert mail["Subject"].isprintable()
            html = mail.get_body(("html",))
            assert html is not None
            assert "<script>" not in html.get_content()
