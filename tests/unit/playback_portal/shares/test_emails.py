"""Mail about a recording: a link or a file, by right and policy, written down before it is answered."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from archive.access import Right
from archive.audit import AuditWriter
from archive.catalogue import audit_entries, rights
from archive.catalogue.mails import MAILS_PER_SENDER_MAX, MAILS_PER_TENANT_MAX
from archive.errors import CatalogueUnavailable
from archive.model import Recording
from playback_portal import emails
from playback_portal.openapi import document
from playback_portal.routes import ROUTES

DOCUMENT = document(ROUTES)
TO = "klant@voorbeeld.nl"


def fits(schema: str, content: Any) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(reference, format_checker=jsonschema.FormatChecker()).validate(content)


async def mail(office: Any, recording: Recording, who: str = "anna", **body: Any) -> int:
    answer = await office.api("POST", f"/v1/recordings/{recording.id}/emails", who, {"to": TO, **body})
    if answer.status == 202:
        fits("AskedMail", await answer.json())
    status: int = answer.status
    return status


def allow(office: Any, **allowed: bool) -> None:
    granted = {Right(name): on for name, on in allowed.items()}
    rights.set_rights(office.house.operator, office.tenant_id, office.sharer.id, granted)


async def test_a_link_takes_both_rights(office: Any, recording: Recording) -> None:
    allow(office, email=False)
    assert await mail(office, recording) == 403
    allow(office, email=True, share=False)
    assert await mail(office, recording) == 403
    allow(office, email=True, share=True)
    assert await mail(office, recording, title="Afspraak", message="Zie minuut 2.", days=3) == 202
    (letter,) = office.house.post.sent
    assert (letter.kind, letter.to, letter.language) == ("share", TO, "nl")
    assert letter.fields["organisation"] == "Lindekade Techniek"
    assert letter.fields["message"] == "Zie minuut 2."
    assert letter.actor == f"user:{office.sharer.id}"
    visitor = await office.visitor(letter.fields["link"])
    assert (await visitor.get()).status == 200


async def test_a_file_leaves_only_where_the_tenant_lets_files_out(office: Any, recording: Recording) -> None:
    office.set_policy(files_allowed=True)
    allow(office, email=False)
    assert await mail(office, recording, form="file") == 403
    allow(office, email=True)
    office.set_policy(files_allowed=False)
    assert await mail(office, recording, form="file") == 403
    office.set_policy(files_allowed=True)
    assert await mail(office, recording, form="file", format="wav") == 202
    (letter,) = office.house.post.sent
    assert (letter.kind, letter.fields["format"], letter.recording_id) == ("file", "wav", recording.id)
    assert await mail(office, recording, "bert", form="file") == 404
    assert await mail(office, recording, "otto", form="file") == 403
    log = audit_entries.of_object(office.house.portal, office.tenant_id, f"recording:{recording.id}")
    assert [entry.body["to"] for entry in log if (entry.action, entry.result) == ("mail.queued", "ok")] == [
        TO
    ]


async def test_a_file_no_mail_can_carry_is_refused_when_it_is_asked(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.set_policy(files_allowed=True)
    allow(office, email=True)
    wav_bytes = recording.duration_ms * 8 * 2 * 2
    monkeypatch.setattr(emails, "ATTACHMENT_BYTES_MAX", wav_bytes)
    assert await mail(office, recording, form="file", format="wav") == 202
    monkeypatch.setattr(emails, "ATTACHMENT_BYTES_MAX", wav_bytes - 1)
    assert await mail(office, recording, form="file", format="wav") == 403


@pytest.mark.parametrize(
    "body",
    [
        {"to": "x"},
        {"to": "a@b.nl\r\nBcc: c@d.nl"},
        {"to": "a@b.nl,c@d.nl"},
        {"to": "a" * 250 + "@b.nl"},
        {"message": "x" * 501},
        {"title": "x" * 121},
        {"title": "a\nb"},
        {"form": "fax"},
        {"format": "mp3"},
        {"days": 31},
        {"cc": "c@d.nl"},
        {"message": "half \ud83d"},
        {"title": "\udc00"},
        {"to": "\ud800@b.nl"},
        {"message": ["\ud800"]},
        {"\ud800": 1},
    ],
)
async def test_what_is_out_of_bounds_is_told(office: Any, recording: Recording, body: dict[str, Any]) -> None:
    allow(office, email=True, share=True)
    assert await mail(office, recording, **body) == 400
    assert office.house.post.sent == []


async def test_mails_are_listed_with_what_became_of_them(office: Any, recording: Recording) -> None:
    answer = await office.api("GET", f"/v1/recordings/{recording.id}/emails")
    listed = await answer.json()
    fits("MailPage", listed)
    assert listed == {"items": [], "next": None}
    assert (await office.api("GET", f"/v1/recordings/{recording.id}/emails", "bert")).status == 404


async def test_a_link_by_mail_asks_for_a_code_where_the_policy_wants_a_proof(
    office: Any, recording: Recording
) -> None:
    office.set_policy(proof_required=True)
    assert await mail(office, recording) == 202
    (letter,) = office.house.post.sent
    assert letter.fields["proof"] == "email"
    visitor = await office.visitor(letter.fields["link"])
    assert (await visitor.post("/codes")).status == 200
    code = office.house.post.sent[-1].fields["code"]
    assert (await visitor.post("/proof", {"code": code})).status == 303


@pytest.mark.parametrize("form", ["link", "file"])
async def test_a_mail_is_queued_with_its_entry_or_not_at_all(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    office.set_policy(files_allowed=True)
    rolled_back = refuse_entries(monkeypatch, "mail.queued")
    assert await mail(office, recording, form=form) == 503
    assert rolled_back == ["mail.queued"]
    assert office.house.post.sent == []
    assert (await (await office.api("GET", "/v1/shares")).json())["items"] == []


def refuse_entries(monkeypatch: pytest.MonkeyPatch, action: str) -> list[str]:
    """Let the audit log take no entries of an action; return those that were offered."""
    taken, offered = AuditWriter.append, []

    def append(self: AuditWriter, connection: Any, **entry: Any) -> Any:
        if entry["action"] != action:
            return taken(self, connection, **entry)
        offered.append(action)
        raise CatalogueUnavailable("The audit log takes nothing just now.")

    monkeypatch.setattr(AuditWriter, "append", append)
    return offered


async def test_what_is_written_down_is_done_though_nobody_takes_it_up_yet(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(tenant_id: str, mail_id: str) -> None:
        raise CatalogueUnavailable("Nobody is there.")

    monkeypatch.setattr(office.house.post, "hand_over", away)
    office.set_policy(files_allowed=True)
    assert await mail(office, recording) == 202
    assert await mail(office, recording, form="file") == 202
    share = await office.share(recording, proof="email", to=TO)
    assert (await (await office.visitor(share)).post("/codes")).status == 200


def queue_many(office: Any, count: int, actor: str) -> None:
    """Write mails of somebody down as sent at this moment."""
    with office.house.portal.transaction(office.tenant_id) as connection:
        connection.exec_driver_sql(
            "INSERT INTO mails (id, tenant_id, actor, kind, recipient, language, state, queued_at) SELECT"
            " gen_random_uuid(), %s, %s, 'share', 'x@voorbeeld.nl', 'nl', 'queued', %s"
            " FROM generate_series(1, %s)",
            (office.tenant_id, actor, office.clock.now(), count),
        )


async def test_a_person_sends_so_many_mails_an_hour(office: Any, recording: Recording) -> None:
    office.set_policy(files_allowed=True)
    queue_many(office, MAILS_PER_SENDER_MAX - 1, f"user:{office.sharer.id}")
    # Codes for visitors are nobody's mails.
    queue_many(office, 5, "service:portal")
    office.clock.passes(60)
    assert await mail(office, recording) == 202
    queue_many(office, 1, f"user:{office.sharer.id}")
    for form in ("link", "file"):
        answer = await office.api(
            "POST", f"/v1/recordings/{recording.id}/emails", body={"to": TO, "form": form}
        )
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3541")
    path = f"/v1/recordings/{recording.id}/shares"
    assert (await office.api("POST", path, body={"to": TO})).status == 429
    assert (await office.api("POST", path, body={})).status == 201
    assert (await office.api("POST", path, "program", {"to": TO})).status == 201
    office.clock.passes(3541)
    assert (await office.api("POST", path, body={"to": TO})).status == 201


async def test_all_of_a_tenant_send_so_many_mails_an_hour(office: Any, recording: Recording) -> None:
    queue_many(office, MAILS_PER_TENANT_MAX - 1, "user:others")
    assert await mail(office, recording) == 202
    queue_many(office, 1, "api-client:crm")
    assert await mail(office, recording) == 429
    office.clock.passes(3601)
    assert await mail(office, recording) == 202
