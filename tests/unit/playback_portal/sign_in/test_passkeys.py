"""Passkeys: alone when the device makes sure of its person, else behind a password; each answer once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive.catalogue import passkeys, portal_sessions
from archive.catalogue.identities import Account
from archive.model import Role


def _device_class() -> Any:
    specification = importlib.util.spec_from_file_location("device", Path(__file__).with_name("device.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.Device


Device = _device_class()


@pytest.fixture
def owned(browser: Any, door: Any) -> Callable[..., Any]:
    """Return how somebody adds a passkey on the way in: the person and the device."""

    async def own(role: Role = Role.ADMINISTRATOR) -> tuple[Any, Any]:
        user = door.person(role)
        device = Device(browser.origin.replace("127.0.0.1", "localhost"))
        await browser.sign_in(door.login(user))
        await browser.get("/sign-in/set-up")
        asked = await (await browser.send("/sign-in/set-up/passkey/options", {})).json()
        credential = device.make(asked["options"])
        answer = {"challenge": asked["challenge"], "credential": credential, "next": "/recordings?has=pause"}
        made = await browser.send("/sign-in/set-up/passkey", answer)
        assert made.status == 200, await made.text()
        assert (await made.json())["location"] == "/recordings?has=pause"
        return user, device

    return own


async def answered(browser: Any, device: Any, path: str = "/sign-in/passkey", **changes: Any) -> Any:
    """Return what the portal says to a signature of a device."""
    asked = await (await browser.send(f"{path}/options", {})).json()
    answer = {"challenge": asked["challenge"], "credential": device.sign(asked["options"]), "next": "/me"}
    return await browser.send(path, {**answer, **changes})


async def test_who_adds_a_passkey_on_the_way_in_is_in(browser: Any, door: Any, owned: Any) -> None:
    ada, _ = await owned()
    assert (await browser.get("/me/security")).status == 200
    assert [event for event, _ in door.events(ada)][:3] == [
        "sign-in.begun",
        "passkey.added",
        "session.opened",
    ]


async def test_a_passkey_alone_signs_in_without_a_password(
    browsers: Callable[[], Any], door: Any, owned: Any
) -> None:
    ada, device = await owned()
    browser = browsers()
    answer = await answered(browser, device)
    assert answer.status == 200, await answer.text()
    assert (await answer.json())["location"] == "/me"
    assert (await browser.get("/me")).status == 200
    assert ada.login in browser.page


async def test_alone_it_must_make_sure_of_its_person(browsers: Callable[[], Any], owned: Any) -> None:
    _, device = await owned()
    device.verifies = False
    assert (await answered(browsers(), device)).status == 403


async def test_behind_a_password_it_is_enough_to_have_it(
    browsers: Callable[[], Any], door: Any, owned: Any
) -> None:
    ada, device = await owned()
    device.verifies = False
    browser = browsers()
    answer = await browser.sign_in(door.login(ada))
    assert answer.headers["Location"] == "/sign-in/second-factor"
    await browser.get("/sign-in/second-factor")
    assert (await answered(browser, device, "/sign-in/second-factor/passkey")).status == 200
    assert (await browser.get("/me")).status == 200


async def test_behind_a_password_wrong_answers_wait(
    browsers: Callable[[], Any], door: Any, owned: Any
) -> None:
    ada, device = await owned()
    browser = browsers()
    await browser.sign_in(door.login(ada))
    await browser.get("/sign-in/second-factor")
    path = "/sign-in/second-factor/passkey"
    for _ in range(5):
        assert (await browser.send(path, {"challenge": "", "credential": {}})).status == 403
    waits = await answered(browser, device, path)
    assert waits.status == 429
    assert "attempts" in (await waits.json())["message"] or "pogingen" in (await waits.json())["message"]
    door.clock.passes(5)
    assert (await answered(browser, device, path)).status == 200


async def test_what_was_set_up_a_moment_before_is_not_set_up_over(
    browsers: Callable[[], Any], door: Any, owned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who know the password begin at once: who comes second gets nothing, and takes nothing away."""
    user = door.person(Role.ADMINISTRATOR)
    first, second = browsers(), browsers()
    asked = {}
    for browser in (first, second):
        await browser.sign_in(door.login(user))
        await browser.get("/sign-in/set-up")
        asked[browser] = await (await browser.send("/sign-in/set-up/passkey/options", {})).json()
    # As when the second was let past the door before the first was through: its session is still there.
    monkeypatch.setattr(portal_sessions, "end_all", lambda *given, **named: 0)

    async def sent(browser: Any) -> Any:
        device = Device(browser.origin.replace("127.0.0.1", "localhost"))
        credential = device.make(asked[browser]["options"])
        answer = {"challenge": asked[browser]["challenge"], "credential": credential}
        return await browser.send("/sign-in/set-up/passkey", answer)

    assert (await sent(first)).status == 200
    assert (await sent(second)).status == 409
    assert len(passkeys.of_account(door.house.portal, Account(door.tenant_id, user.id))) == 1


async def test_brackets_of_any_depth_are_no_answer(browser: Any) -> None:
    statuses = set()
    for depth in range(900, sys.getrecursionlimit() + 5):
        body = b'{"credential": ' + b"[" * depth + b"]" * depth + b"}"
        sent = {"Sec-Fetch-Site": "same-origin", "Origin": browser.origin}
        answer = await browser.client.post("/sign-in/passkey", data=body, headers=sent)
        statuses.add(answer.status)
    assert 400 in statuses
    assert not {each for each in statuses if each >= 500}


@pytest.mark.parametrize(
    ("path", "kind"), [("/sign-in", "x-www-form-urlencoded"), ("/sign-in/passkey", "json")]
)
async def test_a_body_that_is_not_compressed_as_it_says_is_a_fault_of_the_request(
    browser: Any, path: str, kind: str
) -> None:
    sent = {"Sec-Fetch-Site": "same-origin", "Origin": browser.origin, "Content-Encoding": "gzip"}
    headers = {**sent, "Content-Type": f"application/{kind}"}
    answer = await browser.client.post(path, data=b"no gzip at all", headers=headers)
    assert answer.status == 400


async def test_an_answer_counts_once(browsers: Callable[[], Any], owned: Any) -> None:
    _, device = await owned()
    first, second = browsers(), browsers()
    asked = await (await first.send("/sign-in/passkey/options", {})).json()
    answer = {"challenge": asked["challenge"], "credential": device.sign(asked["options"])}
    assert (await first.send("/sign-in/passkey", answer)).status == 200
    assert (await second.send("/sign-in/passkey", answer)).status == 403
    for more in ("!!!!", "=", "\n"):
        respelled = {**answer, "challenge": asked["challenge"] + more}
        assert (await second.send("/sign-in/passkey", respelled)).status == 403


async def test_an_answer_late_of_another_page_or_to_another_question_is_refused(
    browsers: Callable[[], Any], clock: Any, owned: Any
) -> None:
    _, device = await owned()
    browser = browsers()
    asked = await (await browser.send("/sign-in/passkey/options", {})).json()
    other = await (await browser.send("/sign-in/passkey/options", {})).json()
    credential = device.sign(asked["options"])
    for changed in (
        {"challenge": other["challenge"], "credential": credential},
        {"challenge": asked["challenge"][:-4] + "AAAA", "credential": credential},
        {"challenge": "", "credential": credential},
        {"challenge": asked["challenge"], "credential": {}},
        {"challenge": asked["challenge"], "credential": {**credential, "response": {}}},
        {"challenge": asked["challenge"], "credential": {**credential, "rawId": 7}},
    ):
        assert (await browser.send("/sign-in/passkey", changed)).status == 403
    device.origin = "https://evil.example"
    assert (await answered(browser, device)).status == 403
    device.origin = browser.origin.replace("127.0.0.1", "localhost")
    late = {"challenge": asked["challenge"], "credential": credential}
    clock.passes(5 * 60)
    assert (await browser.send("/sign-in/passkey", late)).status == 403
    assert (await answered(browser, device)).status == 200


async def test_a_device_that_was_copied_is_refused(browsers: Callable[[], Any], owned: Any) -> None:
    _, device = await owned()
    device.count = 5
    assert (await answered(browsers(), device)).status == 200
    device.count = 4
    assert (await answered(browsers(), device)).status == 403


async def test_a_device_of_somebody_else_is_no_second_factor(
    browsers: Callable[[], Any], door: Any, owned: Any
) -> None:
    ada, _ = await owned()
    _, theirs = await owned()
    browser = browsers()
    await browser.sign_in(door.login(ada))
    await browser.get("/sign-in/second-factor")
    assert (await answered(browser, theirs, "/sign-in/second-factor/passkey")).status == 403
    assert door.events(ada)[-1] == ("sign-in.refused", "refused")


async def test_a_handle_that_lies_about_its_person_opens_nothing(
    browsers: Callable[[], Any], door: Any, owned: Any
) -> None:
    _, device = await owned()
    bert = door.person()
    device.handle = passkeys.handle_of(Account(door.tenant_id, bert.id))
    assert (await answered(browsers(), device)).status == 403
    device.handle = b"short"
    assert (await answered(browsers(), device)).status == 403


async def test_what_is_no_json_is_told_so(browser: Any) -> None:
    answer = await browser.client.post("/sign-in/passkey", data=b"\xff{", headers={"Origin": browser.origin})
    assert answer.status == 400
