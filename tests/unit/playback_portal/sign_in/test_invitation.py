"""Links by mail: they work once and for a while, and asking for one tells nothing of who exists."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from archive import throttle
from archive.catalogue import identities, invitations
from archive.catalogue.identities import Account
from archive.catalogue.invitations import LIFE_S, Kind
from archive.errors import CatalogueUnavailable
from archive.model import Role

NEW = "a new horse battery"
PATIENCE_S = 10.0


def invited(door: Any, clock: Any, kind: Kind = Kind.INVITATION, role: Role = Role.USER) -> tuple[Any, str]:
    """Return somebody without a password, and the path of their link."""
    user = door.person(role, password=None)
    account = Account(door.tenant_id, user.id)
    with door.house.operator.transaction(door.tenant_id) as connection:
        identities.set_email(connection, account, f"{user.login}@mail.example")
        token = invitations.make(connection, account, kind, now=clock.now())
    return user, f"/invitation/{token}"


async def letters(door: Any, count: int) -> list[Any]:
    """Wait until so many letters were handed over."""
    for _ in range(int(PATIENCE_S / 0.02)):
        if len(door.house.post.sent) >= count:
            break
        await asyncio.sleep(0.02)
    return list(door.house.post.sent)


async def test_a_link_lets_its_reader_choose_a_password_and_proves_their_address(
    browser: Any, door: Any, clock: Any
) -> None:
    user, path = invited(door, clock)
    assert (await browser.get(path)).status == 200
    assert door.login(user) in browser.page
    answer = await browser.post(path, {"password": NEW, "again": NEW})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert (await browser.get("/me")).status == 200
    assert (await browser.sign_in(f"{user.login}@mail.example", NEW)).status == 303
    assert [event for event, _ in door.events(user)][:2] == ["invitation.used", "session.opened"]


async def test_a_link_works_once_and_opening_it_uses_nothing(browser: Any, door: Any, clock: Any) -> None:
    _, path = invited(door, clock)
    for _ in range(3):
        assert (await browser.get(path)).status == 200
    assert (await browser.post(path, {"password": NEW, "again": NEW})).status == 303
    assert (await browser.get(path)).status == 404
    assert (await browser.post(path, {"password": NEW, "again": NEW})).status == 404


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_link_ends_by_time(browser: Any, door: Any, clock: Any, kind: Kind) -> None:
    _, path = invited(door, clock, kind)
    clock.passes(LIFE_S[kind] - 1)
    assert (await browser.get(path)).status == 200
    clock.passes(1)
    assert (await browser.get(path)).status == 404


async def test_a_newer_link_or_another_address_ends_the_earlier_one(
    browser: Any, door: Any, clock: Any
) -> None:
    user, first = invited(door, clock)
    account = Account(door.tenant_id, user.id)
    with door.house.operator.transaction(door.tenant_id) as connection:
        second = invitations.make(connection, account, Kind.RESET, now=clock.now())
    assert (await browser.get(first)).status == 404
    assert (await browser.get(f"/invitation/{second}")).status == 200
    with door.house.operator.transaction(door.tenant_id) as connection:
        identities.set_email(connection, account, "somewhere.else@mail.example")
    assert (await browser.get(f"/invitation/{second}")).status == 404


@pytest.mark.parametrize("token", ["x", "a" * 500, "%00", "01a20297-4e3b-7904-abfe-8a55a7dc8b99." + "A" * 43])
async def test_what_is_no_link_is_told_so(browser: Any, token: str) -> None:
    assert (await browser.get(f"/invitation/{token}")).status == 404


async def test_a_poor_password_is_told_and_the_link_stays(browser: Any, door: Any, clock: Any) -> None:
    user, path = invited(door, clock)
    for password, again in (
        ("short", "short"),
        (NEW, NEW + "!"),
        ("a" * 12, "a" * 12),
        (user.login * 2,) * 2,
    ):
        assert (await browser.post(path, {"password": password, "again": again})).status == 400
    assert (await browser.post(path, {"password": NEW, "again": NEW})).status == 303


async def test_a_link_is_no_second_factor(browser: Any, door: Any, clock: Any) -> None:
    _, path = invited(door, clock, role=Role.ADMINISTRATOR)
    answer = await browser.post(path, {"password": NEW, "again": NEW})
    assert answer.headers["Location"] == "/sign-in/set-up"


async def test_a_link_is_stored_as_its_hash(door: Any, clock: Any) -> None:
    _, path = invited(door, clock)
    secret = path.rpartition(".")[2]
    with door.house.portal.transaction(door.tenant_id) as connection:
        rows = connection.exec_driver_sql("SELECT invitations::text FROM invitations").scalars().all()
    assert rows
    assert not any(secret in row for row in rows)


async def test_whoever_forgot_a_password_gets_a_link_at_their_proved_address(
    browser: Any, door: Any, clock: Any
) -> None:
    user = door.person(email="forgetful@mail.example")
    await browser.get("/sign-in/forgotten")
    assert (await browser.post("/sign-in/forgotten", {"login": door.login(user)})).status == 200
    (letter,) = await letters(door, 1)
    assert (letter.kind, letter.to) == ("reset", "forgetful@mail.example")
    assert letter.fields["login"] == door.login(user)
    link = urlsplit(letter.fields["link"])
    assert link.hostname == "localhost"
    assert (await browser.post(link.path, {"password": NEW, "again": NEW})).status == 303
    assert (await browser.sign_in(door.login(user), NEW)).status == 303


async def test_a_letter_that_cannot_be_handed_over_now_waits_for_a_worker(
    browser: Any, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written down with its entry; that the queue is away is no refusal of what was asked."""
    asked: list[str] = []

    def away(_: object, tenant_id: str, mail_id: str) -> None:
        asked.append(mail_id)
        raise CatalogueUnavailable("away")

    monkeypatch.setattr(type(door.house.post), "hand_over", away)
    door.person(email="waiting@mail.example")
    assert (await browser.post("/sign-in/forgotten", {"login": "waiting@mail.example"})).status == 200
    async with asyncio.timeout(60):
        while not asked:
            await asyncio.sleep(0.02)
    assert len(asked) == 1


async def test_asking_tells_nothing_and_mails_nobody_but_who_is_known(browser: Any, door: Any) -> None:
    user, unproved = door.person(email="known@mail.example"), door.person()
    pages = []
    for login in ("nobody@bakery.example", door.login(unproved), "known@mail.example", "", door.login(user)):
        assert (await browser.post("/sign-in/forgotten", {"login": login})).status == 200
        pages.append(browser.page)
    assert len(set(pages)) == 1
    assert [letter.to for letter in await letters(door, 2)] == ["known@mail.example"] * 2


async def test_nobody_is_flooded_with_mails_and_the_answer_stays_the_same(
    browser: Any, door: Any, clock: Any
) -> None:
    door.person(email="flooded@mail.example")
    for _ in range(throttle.RESET.failures_max + 5):
        assert (await browser.post("/sign-in/forgotten", {"login": "flooded@mail.example"})).status == 200
    clock.passes(throttle.RESET.first_s)
    await browser.post("/sign-in/forgotten", {"login": "flooded@mail.example"})
    assert len(await letters(door, throttle.RESET.failures_max + 1)) == throttle.RESET.failures_max + 1


async def test_a_link_ends_the_wait_of_who_was_attacked(browser: Any, door: Any, clock: Any) -> None:
    user, path = invited(door, clock)
    for _ in range(throttle.ACCOUNT_HERE.failures_max + 3):
        await browser.sign_in(door.login(user), "wrong")
    assert (await browser.sign_in(door.login(user), NEW)).status == 429
    assert (await browser.post(path, {"password": NEW, "again": NEW})).status == 303
    assert (await browser.sign_in(door.login(user), NEW)).status == 303


async def test_links_lead_to_the_portals_own_address_whatever_a_request_names(
    browser: Any, door: Any
) -> None:
    door.person(email="host@mail.example")
    sent = {"Host": "evil.example"}
    await browser.client.post("/sign-in/forgotten", data={"login": "host@mail.example"}, headers=sent)
    (letter,) = await letters(door, 1)
    assert "evil" not in letter.fields["link"]


async def test_only_a_link_that_was_mailed_proves_the_address(browser: Any, door: Any, clock: Any) -> None:
    for mailed in (True, False):
        user = door.person(password=None)
        account = Account(door.tenant_id, user.id)
        with door.house.portal.transaction(door.tenant_id) as connection:
            identities.set_email(connection, account, f"{user.login}@mail.example")
            token = invitations.make(connection, account, Kind.INVITATION, now=clock.now(), mailed=mailed)
        form = {"password": "four words in a row", "again": "four words in a row"}
        assert (await browser.post(f"/invitation/{token}", form, token=False)).status == 303
        found = identities.particulars(door.house.portal, account)
        assert found is not None
        assert found.email_verified is mailed
