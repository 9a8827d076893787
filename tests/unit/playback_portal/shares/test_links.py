"""Play links are made within right and policy, opened with their proof, and tell nothing before it."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from archive.access import Right
from archive.audit import AuditWriter
from archive.catalogue import audit_entries, brandings, people, policies, rights, share_policies, share_visits
from archive.catalogue.shares import SHARES_PER_RECORDING_MAX, hash_of
from archive.errors import CatalogueUnavailable
from archive.model import Recording
from archive.pace import Pace
from archive.throttle import SHARE_ANYWHERE
from playback_portal import admission, play_links
from playback_portal.openapi import document
from playback_portal.pages.play_link import masked
from playback_portal.routes import ROUTES

DOCUMENT = document(ROUTES)
PIN = "482913"
SECRETS = ("Jansen", "612345678", "201234567", "Afspraak")


def fits(schema: str, content: Any) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(reference, format_checker=jsonschema.FormatChecker()).validate(content)


async def test_a_link_is_told_once_and_kept_as_a_hash(office: Any, recording: Recording) -> None:
    share = await office.share(recording, title="Afspraak", proof="pin", to="klant@voorbeeld.nl")
    fits("MadeShare", share)
    token = share["link"].rpartition("/s/")[2]
    assert len(token) == 65
    assert re.fullmatch("[0-9]{6}", share["pin"])
    with office.house.portal.transaction(office.tenant_id) as connection:
        row = connection.exec_driver_sql("SELECT * FROM shares WHERE id = %s", (share["id"],)).one()
    told = " ".join(map(str, row))
    assert hash_of(token) in told
    assert token not in told
    assert token[22:] not in told
    assert share["pin"] not in told
    listed = await (await office.api("GET", f"/v1/shares/{share['id']}")).json()
    fits("Share", listed)
    assert {"link", "pin"}.isdisjoint(listed)
    assert token not in str(listed)


async def test_a_link_looks_as_the_organisation_that_shared_it(office: Any, recording: Recording) -> None:
    look = brandings.Look(office.tenant_id, "", "Molen & Zn", "#0a4f8a", None)
    visitor = await office.visitor(await office.share(recording))
    plain = await (await visitor.get()).text()
    assert "/static/branding/" not in plain
    with office.house.portal.transaction(office.tenant_id) as connection:
        made = brandings.put_draft(connection, look, "user:boss", now=recording.started_at)
    assert "/static/branding/" not in await (await visitor.get()).text(), "a draft is for who made it"
    with office.house.portal.transaction(office.tenant_id) as connection:
        brandings.publish(connection, office.tenant_id, made.version)
    page = await (await visitor.get()).text()
    assert f"/static/branding/{office.tenant_id}/{made.version}/style.css" in page
    assert "Molen &amp; Zn" in page
    written = people.tenant_of(office.house.portal, office.tenant_id).name
    assert f"<bdi>{written}</bdi>" in page, "whoever they say they are"
    assert written not in plain.partition("<footer>")[2]


async def test_tokens_are_256_random_bits_behind_their_tenant(office: Any, recording: Recording) -> None:
    tokens = {(await office.share(recording))["link"].rpartition("/s/")[2] for _ in range(20)}
    assert len({token[22:] for token in tokens}) == 20
    assert len({token[:22] for token in tokens}) == 1


async def test_no_entry_of_the_audit_log_holds_a_link_or_pin(office: Any, recording: Recording) -> None:
    share = await office.share(recording, proof="pin", pin=PIN)
    visitor = await office.visitor(share)
    await visitor.get()
    await visitor.post("/proof", {"code": "000000"})
    await visitor.post("/proof", {"code": PIN})
    await visitor.post("/plays")
    log = str(list(audit_entries.of_tenant(office.house.portal, office.tenant_id)))
    assert "share.played" in log
    assert share["link"].rpartition("/s/")[2][22:] not in log
    assert PIN not in log


async def test_who_lacks_the_right_makes_no_link(office: Any, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.id}/shares"
    rights.set_rights(office.house.operator, office.tenant_id, office.sharer.id, {Right.SHARE: False})
    assert (await office.api("POST", path, body={})).status == 403
    for who, status in (("bert", 404), ("ada", 404), ("otto", 403)):
        assert (await office.api("POST", path, who, {})).status == status, who
    rights.set_rights(office.house.operator, office.tenant_id, office.sharer.id, {Right.SHARE: True})
    assert (await office.api("POST", path, body={})).status == 201
    assert (await office.api("POST", path, "program", {})).status == 201


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"fromMs": 0, "toMs": 999}, 403),
        ({"fromMs": 5000, "toMs": 5000}, 400),
        ({"toMs": 41_000}, 400),
        ({"fromMs": -1}, 400),
        ({"days": 31}, 400),
        ({"days": 0}, 400),
        ({"endsAt": "2026-11-22T09:00:00Z"}, 403),
        ({"endsAt": "2027-11-22T09:00:00Z"}, 403),
        ({"endsAt": "2026-11-23T09:00:00Z", "days": 1}, 400),
        ({"playsMax": 0}, 400),
        ({"playsMax": 1001}, 400),
        ({"title": "x" * 121}, 400),
        ({"title": "a\nb"}, 400),
        ({"proof": "pin", "pin": "12345"}, 403),
        ({"proof": "pin", "pin": "1" * 13}, 400),
        ({"proof": "none", "pin": "123456"}, 403),
        ({"proof": "email"}, 400),
        ({"to": "no address"}, 400),
        ({"to": "a@b.nl\r\nBcc: x@y.nl"}, 400),
        ({"unknown": 1}, 400),
        ({"fromMs": 39_000, "toMs": 40_000}, 201),
        ({"title": "x" * 120, "days": 30, "playsMax": 1000, "pin": "1" * 12}, 201),
    ],
)
async def test_what_is_out_of_bounds_is_refused(
    office: Any, recording: Recording, body: dict[str, Any], status: int
) -> None:
    answer = await office.api("POST", f"/v1/recordings/{recording.id}/shares", body=body)
    assert answer.status == status, await answer.text()


async def test_sending_a_link_takes_the_right_to_mail_too(office: Any, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.id}/shares"
    rights.set_rights(office.house.operator, office.tenant_id, office.sharer.id, {Right.EMAIL: False})
    assert (await office.api("POST", path, body={"to": "klant@voorbeeld.nl"})).status == 403
    assert office.house.post.sent == []
    assert (await office.api("POST", path, body={})).status == 201


async def test_a_link_is_made_with_its_entry_or_not_at_all(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(self: AuditWriter, connection: Any, **entry: Any) -> Any:
        raise CatalogueUnavailable("The audit log takes nothing just now.")

    with monkeypatch.context() as patched:
        patched.setattr(AuditWriter, "append", append)
        body = {"to": "klant@voorbeeld.nl"}
        answer = await office.api("POST", f"/v1/recordings/{recording.id}/shares", body=body)
    assert answer.status == 503
    assert (await (await office.api("GET", "/v1/shares")).json())["items"] == []
    assert office.house.post.sent == []
    share = await office.share(recording)
    log = audit_entries.of_object(office.house.portal, office.tenant_id, f"recording:{recording.id}")
    made = [entry.body for entry in log if entry.action == "share.added"]
    assert [(body or {})["share"] for body in made] == [share["id"]]


async def test_what_somebody_else_decides_meanwhile_stays(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = share_policies.policy_of

    def meanwhile(catalogue: Any, tenant_id: Any) -> Any:
        found = asked(catalogue, tenant_id)
        office.set_policy(links_allowed=False)
        return found

    monkeypatch.setattr(share_policies, "policy_of", meanwhile)
    first = share_policies.change

    def changed(connection: Any, tenant_id: Any, changes: Any) -> Any:
        policy = first(connection, tenant_id, {"links_allowed": False})
        assert not policy.links_allowed
        return first(connection, tenant_id, changes)

    monkeypatch.setattr(share_policies, "change", changed)
    answer = await office.api("PATCH", "/v1/share-policy", "ada", {"daysMax": 3})
    told = await answer.json()
    assert (told["daysMax"], told["linksAllowed"]) == (3, False)


async def test_a_recording_has_a_bounded_number_of_links(office: Any, recording: Recording) -> None:
    with office.house.portal.transaction(office.tenant_id) as connection:
        for n in range(SHARES_PER_RECORDING_MAX - 1):
            connection.exec_driver_sql(
                "INSERT INTO shares (id, tenant_id, recording_id, token_hash, user_id, title, from_ms, to_ms,"
                " proof, made_at, ends_at) VALUES (%s, %s, %s, %s, %s, '', 0, 1000, 'none', %s, %s)",
                (
                    f"{recording.id[:-3]}{n:03}",
                    office.tenant_id,
                    recording.id,
                    f"{recording.id}{n}",
                    office.sharer.id,
                    office.clock.now(),
                    office.clock.now() + timedelta(days=1),
                ),
            )
    await office.share(recording)
    answer = await office.api("POST", f"/v1/recordings/{recording.id}/shares", body={})
    assert answer.status == 409
    office.clock.passes(24 * 3600)
    await office.share(recording)


async def test_the_policy_of_the_tenant_holds(office: Any, recording: Recording) -> None:
    path = f"/v1/recordings/{recording.id}/shares"
    answer = await office.api("PATCH", "/v1/share-policy", "ada", {"daysMax": 3, "proofRequired": True})
    changed = await answer.json()
    fits("SharePolicy", changed)
    assert (changed["daysMax"], changed["proofRequired"], changed["linksAllowed"]) == (3, True, True)
    assert (await office.api("GET", "/v1/share-policy")).status == 403
    assert (await office.api("POST", path, body={"days": 4})).status == 403
    assert (await office.api("POST", path, body={"proof": "none"})).status == 403
    share = await office.share(recording)
    assert share["proof"] == "pin"
    assert share["endsAt"] == "2026-11-25T09:30:00.000Z"
    # Without links at all those that are there work no longer either, until there are again.
    office.set_policy(links_allowed=False)
    assert (await office.api("POST", path, body={})).status == 403
    assert (await (await office.visitor(share)).get()).status == 404
    office.set_policy(links_allowed=True)
    assert (await (await office.visitor(share)).get()).status == 200
    answer = await office.api("PATCH", "/v1/share-policy", "ada", {"daysMax": None, "proofRequired": None})
    assert (await answer.json())["daysMax"] == share_policies.DAYS_MAX
    for wrong in ({"daysMax": 31}, {"daysMax": 0}, {"linksAllowed": 1}, {"x": True}):
        assert (await office.api("PATCH", "/v1/share-policy", "ada", wrong)).status == 400


async def test_where_the_tenant_wants_a_purpose_sharing_takes_one_too(
    office: Any, recording: Recording
) -> None:
    policies.set_policy(office.house.operator, office.tenant_id, purpose_required=True)
    path = f"/v1/recordings/{recording.id}/shares"
    answer = await office.api("POST", path, "program", {})
    assert (answer.status, (await answer.json(content_type=None))["type"]) == (
        403,
        "urn:earwitness:problem:purpose-required",
    )
    # One's own takes none.
    assert (await office.api("POST", path, body={})).status == 201


async def test_links_are_listed_to_who_made_them_and_who_answers_for_the_tenant(
    office: Any, recording: Recording
) -> None:
    mine, ended = await office.share(recording), await office.share(recording)
    assert (await office.api("DELETE", f"/v1/shares/{ended['id']}", "bert")).status == 404
    assert (await office.api("DELETE", f"/v1/shares/{ended['id']}", "ada")).status == 204
    assert (await office.api("DELETE", f"/v1/shares/{ended['id']}", "ada")).status == 204

    async def listed(who: str, query: str = "") -> set[str]:
        page = await (await office.api("GET", f"/v1/shares{query}", who)).json()
        fits("SharePage", page)
        return {each["id"] for each in page["items"]}

    for who in ("anna", "ada", "otto", "program"):
        assert await listed(who) == {mine["id"], ended["id"]}, who
        assert await listed(who, "?state=active") == {mine["id"]}
        assert await listed(who, "?state=ended") == {ended["id"]}
    assert await listed("bert") == set()
    first = await (await office.api("GET", "/v1/shares?limit=1", "ada")).json()
    second = await (await office.api("GET", f"/v1/shares?limit=1&cursor={first['next']}", "ada")).json()
    # Both were made at the same moment: then the id decides.
    one_after_the_other = [each["id"] for page in (first, second) for each in page["items"]]
    assert one_after_the_other == sorted((ended["id"], mine["id"]), reverse=True)
    assert second["next"] is None
    assert (await office.api("GET", "/v1/shares?state=x")).status == 400
    of_recording = await (await office.api("GET", f"/v1/recordings/{recording.id}/shares", "otto")).json()
    assert {each["id"]: each["state"] for each in of_recording["items"]} == {
        mine["id"]: "active",
        ended["id"]: "revoked",
    }
    done = audit_entries.of_object(office.house.portal, office.tenant_id, f"recording:{recording.id}")
    assert ("share.revoked", "ok") in {(entry.action, entry.result) for entry in done}


async def test_the_page_of_a_link_goes_nowhere_and_shows_the_shared_span(
    office: Any, recording: Recording
) -> None:
    share = await office.share(recording, title="<b>Afspraak</b> \u202e{{7*7}}"[:12], fromMs=0, toMs=9000)
    visitor = await office.visitor(share)
    answer = await visitor.get()
    page = await answer.text()
    assert answer.status == 200
    assert "&lt;b&gt;Afspraak" in page
    assert "Lindekade Techniek" in page
    assert "0:09" in page
    # No number and no name of a party: the visitor knows what they are told.
    assert "612345678" not in page
    assert "Jansen" not in page
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert " style=" not in page
    assert "onclick" not in page


@pytest.mark.parametrize("proof", ["pin", "email"])
async def test_nothing_of_the_call_is_told_before_the_proof(
    office: Any, recording: Recording, proof: str
) -> None:
    share = await office.share(recording, title="Afspraak", proof=proof, to="klant@voorbeeld.nl")
    visitor = await office.visitor(share)
    for rest in ("", "/sound", "/plays", "/proof", "/codes"):
        for ask in (visitor.get, visitor.post):
            answer = await ask(rest)
            text = await answer.text()
            assert not [secret for secret in SECRETS if secret in text], rest
            assert "2026" not in text
            assert "klant@" not in text
            assert b"\x1a\x45\xdf\xa3" not in await answer.read()
    assert (await visitor.sound())[0] == 403


async def test_a_pin_opens_and_wrong_ones_wait_longer_and_longer(office: Any, recording: Recording) -> None:
    share = await office.share(recording, proof="pin", pin=PIN)
    visitor, other = await office.visitor(share), await office.visitor(share)
    for n in range(5):
        answer = await visitor.post("/proof", {"code": f"00000{n}"})
        assert answer.status == 403
    answer = await visitor.post("/proof", {"code": PIN})
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    # Another browser does not get around it.
    assert (await other.post("/proof", {"code": PIN})).status == 429
    office.clock.passes(3)
    answer = await other.post("/proof", {"code": f" {PIN[:3]} {PIN[3:]} "})
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert f"Path={other.address}" in cookie
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert (await other.get()).status == 200
    assert (await other.post("/plays")).status == 200
    assert (await other.sound())[0] == 206
    assert (await visitor.sound())[0] == 403


async def test_no_hundred_guesses_at_once_are_heard(office: Any, recording: Recording) -> None:
    visitor = await office.visitor(await office.share(recording, proof="pin", pin=PIN))
    answers = await asyncio.gather(*(visitor.post("/proof", {"code": f"{n:06}"}) for n in range(40)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(403) <= 6
    assert statuses.count(429) >= 34


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("k@voorbeeld.nl", "…@voorbeeld.nl"),
        ("kl@voorbeeld.nl", "k…@voorbeeld.nl"),
        ("kla@voorbeeld.nl", "k…@voorbeeld.nl"),
        ("klant@voorbeeld.nl", "kl…@voorbeeld.nl"),
        (None, ""),
    ],
)
def test_no_mailbox_is_told_whole_before_its_code(address: str | None, told: str) -> None:
    assert masked(address) == told


async def test_a_code_goes_by_mail_and_works_for_a_while(office: Any, recording: Recording) -> None:
    share = await office.share(recording, proof="email", to="klant@voorbeeld.nl")
    visitor = await office.visitor(share)
    assert "kl…@voorbeeld.nl" in await (await visitor.get()).text()
    office.house.post.sent.clear()

    async def sent() -> str:
        answer = await visitor.post("/codes")
        assert answer.status == 200, await answer.text()
        letter = office.house.post.sent[-1]
        assert (letter.kind, letter.to, letter.tenant_id) == (
            "share-code",
            "klant@voorbeeld.nl",
            office.tenant_id,
        )
        code: str = letter.fields["code"]
        return code

    first, second = await sent(), await sent()
    if first != second:
        assert (await visitor.post("/proof", {"code": first})).status == 403
    office.clock.passes(600)
    assert (await visitor.post("/proof", {"code": second})).status == 403
    third = await sent()
    assert (await visitor.post("/codes")).status == 429
    answers = await asyncio.gather(*(visitor.post("/proof", {"code": third}) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [303, 403, 403]
    assert (await visitor.post("/plays")).status == 200


async def test_a_code_by_mail_counts_once(office: Any, recording: Recording) -> None:
    share = await office.share(recording, proof="email", to="klant@voorbeeld.nl")
    visitor, other = await office.visitor(share), await office.visitor(share)
    await visitor.post("/codes")
    code = office.house.post.sent[-1].fields["code"]
    assert (await visitor.post("/proof", {"code": code})).status == 303
    assert (await other.post("/proof", {"code": code})).status == 403
    assert (await visitor.post("/plays")).status == 200
    assert (await other.post("/plays")).status == 403


async def test_who_has_the_pin_clears_nobody_who_guesses_it_elsewhere(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = await office.visitor(await office.share(recording, proof="pin", pin=PIN))
    place = "192.0.2.1"
    monkeypatch.setattr(admission, "address_of", lambda _: place)
    heard = 0
    for n in range(SHARE_ANYWHERE.failures_max + 10):
        place = f"198.51.100.{n}"
        heard += (await visitor.post("/proof", {"code": f"{n:06}"})).status == 403
        place = "192.0.2.1"
        assert (await visitor.post("/proof", {"code": PIN})).status == 303
    assert heard == SHARE_ANYWHERE.failures_max


async def test_a_link_is_entered_so_often_by_one_network_and_so_often_in_all(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play_links, "PER_NETWORK", Pace(1, 3))
    monkeypatch.setattr(play_links, "PER_LINK", Pace(1, 5))
    link, another = await office.share(recording), await office.share(recording)
    visitor, place = await office.visitor(link), "192.0.2.1"
    monkeypatch.setattr(admission, "address_of", lambda _: place)
    asked = [await visitor.get(), await visitor.post("/plays"), await visitor.get(), await visitor.get()]
    assert [answer.status for answer in asked] == [200, 200, 200, 429]
    assert asked[-1].headers["Retry-After"] == "2"
    assert (await visitor.post("/plays")).status == 429
    # Who listens already is not held up.
    assert (await visitor.sound())[0] == 206
    place = "192.0.2.2"
    other = await office.visitor(link)
    assert [(await other.get()).status for _ in range(3)] == [200, 200, 429]
    assert (await (await office.visitor(another)).get()).status == 429
    place = "192.0.2.3"
    assert (await (await office.visitor(another)).get()).status == 200
    office.clock.passes(2)
    assert (await visitor.get()).status == 200


async def test_many_visits_from_one_place_push_nobody_else_out(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_visits, "VISITS_PER_SHARE_MAX", 4)
    link, place = await office.share(recording), "192.0.2.1"
    monkeypatch.setattr(admission, "address_of", lambda _: place)
    listener = await office.visitor(link)
    assert (await listener.post("/plays")).status == 200
    place = "192.0.2.2"
    crowd = [await office.visitor(link) for _ in range(6)]
    for each in crowd:
        office.clock.passes(1)
        assert (await each.post("/plays")).status == 200
    assert (await listener.sound())[0] == 206
    assert [(await each.sound())[0] for each in crowd] == [403] * 3 + [206] * 3


async def test_what_is_no_link_is_not_there_and_who_tries_many_waits(
    office: Any, recording: Recording
) -> None:
    share = await office.share(recording)
    token = share["link"].rpartition("/s/")[2]
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    others = [changed, token[:-1], token + "A", "A" * 65, token[:21] + "_" + token[22:], "x"]
    for wrong in others:
        visitor = await office.visitor(f"/s/{wrong}")
        answer = await visitor.get()
        assert answer.status == 404, wrong
        assert (await visitor.sound())[0] == 404
        assert (await visitor.post("/plays")).status == 404
    visitor = await office.visitor(f"/s/{changed}")
    statuses = [(await visitor.get()).status for _ in range(60)]
    assert statuses[-1] == 429
    assert set(statuses) == {404, 429}
    # Who has a link is not kept from it by who guesses.
    assert (await (await office.visitor(share)).get()).status == 200


async def test_a_link_opens_nothing_else(office: Any, recording: Recording) -> None:
    share = await office.share(recording)
    visitor = await office.visitor(share)
    await visitor.post("/plays")
    token = share["link"].rpartition("/s/")[2]
    for route in ROUTES:
        if route.permission is None:
            continue
        path = re.sub(r"\{\w+\}", recording.id, route.path)
        for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Cookie": f"ew_session={token}"}):
            answer = await visitor.client.request(route.method, path, headers=headers, allow_redirects=False)
            assert answer.status in {303, 401}, (route, headers)
            assert not [secret for secret in SECRETS if secret in await answer.text()]


async def test_a_page_of_another_site_plays_nothing(office: Any, recording: Recording) -> None:
    visitor = await office.visitor(await office.share(recording, proof="pin", pin=PIN))
    for rest in ("/plays", "/proof", "/codes"):
        answer = await visitor.post(rest, {"code": PIN}, **{"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
