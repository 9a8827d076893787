"""Mail about a recording: a link or a file, by right and policy, written down before it is answered."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from archive.access import Right
from archive.catalogue import audit_entries, rights
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
        {"form": "fax"},
        {"format": "mp3"},
        {"days": 31},
        {"cc": "c@d.nl"},
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
