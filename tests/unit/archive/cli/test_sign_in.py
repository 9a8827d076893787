"""Invitations, lost second factors and single sign-on, as the operator arranges them."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import identities, identity_providers, invitations, second_factors
from archive.catalogue.engine import Catalogue
from archive.catalogue.identities import Account
from archive.cli import sign_in
from archive.cli.operator import Operator
from archive.errors import Refused
from archive.model import Tenant
from archive.post import Letter, NoPost
from archive.settings import Settings
from keys.local_keyring import LocalKeyring
from keys.root import open_root

ANNA = "anna@bakery.example"
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


class Letterbox(NoPost):
    """Keeps what is queued."""

    def __init__(self) -> None:
        self.queued: list[Letter] = []

    def queue(self, connection: object, letter: Letter) -> str:
        self.queued.append(letter)
        return "1"


@pytest.fixture
def anna(
    run: Callable[..., str], bakery: Tenant, portal: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> Account:
    monkeypatch.setenv("EARWITNESS_PORTAL_URL", "https://portal.example/")
    run("user", "add", ANNA)
    found = identities.find(portal, ANNA)
    assert found is not None
    return found


def test_an_invitation_can_be_printed_and_its_link_works(
    data: Callable[..., Any], portal: Catalogue, anna: Account
) -> None:
    printed = data("user", "invite", ANNA, "--email", " Anna@Mail.Example ", "--print-link")
    assert printed["email"] == "anna@mail.example"
    address, token = printed["link"].rsplit("/", 1)
    assert address == "https://portal.example/invitation"
    found = invitations.find(portal, token, now=datetime.now(UTC))
    assert found is not None
    assert found.account == anna
    # Whoever was handed it need not read the mail of that address.
    assert not found.mailed


def test_without_a_mail_server_an_invitation_is_refused_and_nothing_is_changed(
    run: Callable[..., str], portal: Catalogue, anna: Account
) -> None:
    assert "SMTP_URL" in run("user", "invite", ANNA, "--email", "anna@mail.example", code=1)
    person = identities.particulars(portal, anna)
    assert person is not None
    assert person.email is None


def mailed_invitation(database: Any, email: str, language: str) -> Letterbox:
    """Invite Anna by mail as the command does, and return what was to be sent."""
    box = Letterbox()
    acting = Operator(Settings(database_url=database.url("earwitness_operator")))
    options = argparse.Namespace(
        action="invite",
        login=ANNA,
        email=email,
        language=language,
        print_link=False,
        json=True,
        data=None,
        config=None,
    )
    try:
        assert sign_in.run(acting, options, box) == 0
    finally:
        acting.catalogue.close()
    return box


def test_a_mailed_invitation_does_not_show_its_link(
    database: Any, anna: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    box = mailed_invitation(database, "anna@mail.example", "en")
    (letter,) = box.queued
    assert (letter.kind, letter.to, letter.language) == ("invitation", "anna@mail.example", "en")
    assert letter.fields["link"] not in capsys.readouterr().out


@pytest.mark.parametrize(
    "email", ["anna", "anna@", "@x", "a b@c", "a@b\r\nBcc: x@y", "x" * 250 + "@mail.example"]
)
def test_what_is_no_address_is_refused(run: Callable[..., str], anna: Account, email: str) -> None:
    assert "not an e-mail address" in run("user", "invite", ANNA, "--email", email, "--print-link", code=1)


def test_lost_second_factors_are_taken_away(
    run: Callable[..., str], portal: Catalogue, anna: Account
) -> None:
    with portal.transaction(anna.tenant_id) as connection:
        second_factors.set_totp(connection, LocalKeyring(b"k" * 32), anna, "A" * 32, 1, now=NOW)
        second_factors.new_recovery_codes(connection, anna)
    run("user", "reset-second-factor", ANNA)
    assert second_factors.of_account(portal, anna) == second_factors.Factors(False, 0, 0)


def test_a_customers_provider_is_written_down_with_its_secret_sealed(
    run: Callable[..., str],
    data: Callable[..., Any],
    portal: Catalogue,
    bakery: Tenant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    LocalKeyring.create(tmp_path / "keyring", b"passphrase")
    monkeypatch.setenv("EARWITNESS_KEYRING", f"file:{tmp_path / 'keyring'}")
    monkeypatch.setenv("EARWITNESS_KEYRING_PASSPHRASE", "passphrase")
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret\n"))
    told = ["--issuer", "https://login.bakery.example", "--client-id", "earwitness"]
    printed = data("sign-in", "set", "bakery.example", *told, "--trust-second-factor")
    assert "s3cret" not in str(printed)
    root = open_root(f"file:{tmp_path / 'keyring'}", b"passphrase")
    found = identity_providers.provider_of(portal, root, bakery.id)
    assert found is not None
    assert (found.client_secret, found.trusts_second_factor) == ("s3cret", True)
    run("sign-in", "remove", "bakery.example")
    assert identity_providers.provider_of(portal, root, bakery.id) is None
    assert "no provider" in run("sign-in", "remove", "bakery.example", code=1)


def test_no_post_takes_nothing(portal: Catalogue, bakery: Tenant) -> None:
    letter = Letter(bakery.id, "reset", "a@b", "nl", {})
    with portal.transaction(bakery.id) as connection, pytest.raises(Refused, match="SMTP_URL"):
        NoPost().queue(connection, letter)
    NoPost().hand_over(bakery.id, "1")


def test_the_address_before_is_told_when_mail_goes_out(
    database: Any, run: Callable[..., str], anna: Account
) -> None:
    run("user", "invite", ANNA, "--email", "old@mail.example", "--print-link")
    box = mailed_invitation(database, "new@mail.example", "nl")
    assert [(each.kind, each.to) for each in box.queued] == [
        ("invitation", "new@mail.example"),
        ("address-changed", "old@mail.example"),
    ]


def test_who_has_another_account_at_the_provider_is_linked_anew(
    run: Callable[..., str], portal: Catalogue, anna: Account
) -> None:
    assert "not linked" in run("user", "unlink", ANNA, code=1)
    with portal.transaction(anna.tenant_id) as connection:
        identities.link(connection, anna, "https://login.example", "one", now=NOW)
    run("user", "unlink", ANNA)
    assert identities.of_subject(portal, anna.tenant_id, "https://login.example", "one") is None
