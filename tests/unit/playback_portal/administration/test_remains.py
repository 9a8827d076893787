"""What is left of a destroyed recording: told to auditors and administrators, and to nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from archive.catalogue import destructions, directory
from archive.catalogue.destructions import DestroyedObject, Signed
from archive.model import Recording
from tests.unit.playback_portal.administration.conftest import NOTHING

pytestmark = pytest.mark.usefixtures("deferred", "ella")


def expired(office: Any, *, finished: bool = True) -> Recording:
    """Return a recording of Anna whose term was over and that a sweep destroyed."""
    over = office.now - timedelta(minutes=5)
    recording = office.stored(owner=office.anna.id, retain_until=over)
    with office.house.worker.transaction(office.tenant.id) as connection:
        claimed = destructions.claim(
            connection, office.tenant.id, recording.id, claim="x", until=office.now, now=office.now
        )
        assert claimed is not None
        found = [DestroyedObject("audio", "1"), DestroyedObject("peaks", "1")]
        planned = destructions.plan(connection, claimed, found)
        destructions.erase(connection, planned, now=office.now)
        if finished:
            signed = Signed(b'{"format": "certificate"}', b"\x30\x80")
            destructions.finish(connection, planned, signed, now=office.now)
    return recording


@pytest.mark.parametrize("who", ["ella", "boss"])
async def test_auditors_and_administrators_see_what_is_left_and_its_certificate(
    office: Any, who: str
) -> None:
    recording = expired(office)
    page = await office.opened(who, f"/recordings/{recording.id}")
    for told in ("Vernietigde opname", "90 dagen", "2 versies", "Sleutel vernietigd"):
        assert told in page
    assert f'href="/v1/recordings/{recording.id}/certificate"' in page
    assert f'href="/v1/recordings/{recording.id}/certificate?format=p7s"' in page
    assert f'href="/admin/audit?recording={recording.id}"' in page
    for gone in ("Jansen", "+31612345678", "06 1234 5678", "anna"):
        assert gone not in page
    assert ("recording.opened", "ok") in office.events(f"recording:{recording.id}")


async def test_while_the_key_is_destroyed_there_is_no_certificate_yet(office: Any) -> None:
    recording = expired(office, finished=False)
    page = await office.opened("ella", f"/recordings/{recording.id}")
    assert "de sleutel wordt vernietigd" in page
    assert "/certificate" not in page


async def test_whose_recording_it_was_and_everybody_else_learns_nothing(office: Any) -> None:
    """Word for word what an id answers that nothing has."""
    directory.set_user(office.house.operator, office.tenant.id, "anna", now=office.now, access="own")
    recording = expired(office)

    async def told(recording_id: str, path: str) -> tuple[int, str]:
        answer = await office.as_person("anna", "GET", path.replace("{id}", recording_id))
        text = (await answer.text()).replace(answer.headers["X-Request-Id"], "").replace(recording_id, "")
        return answer.status, text

    for path in ("/recordings/{id}", "/recordings/{id}/history", "/v1/recordings/{id}"):
        (status, text), nothing = await told(recording.id, path), await told(NOTHING, path)
        assert status == 404
        assert len(text) == len(nothing[1])
    assert recording.id not in await office.opened("anna", "/recordings?sort=-start")


async def test_a_recording_nobody_destroyed_stays_unknown_to_an_administrator(office: Any) -> None:
    await office.opened("boss", f"/recordings/{office.stored().id}", 404)
    await office.opened("boss", f"/recordings/{NOTHING}", 404)


async def test_the_audit_log_of_one_recording_is_one_press_from_its_page(office: Any) -> None:
    recording, other = office.stored(), office.stored()
    for each in (recording, other):
        await office.posted("ella", f"/recordings/{each.id}/holds", reason="Claim")
    assert f"/admin/audit?recording={recording.id}" in await office.opened(
        "ella", f"/recordings/{recording.id}/history"
    )
    page = await office.opened("ella", f"/admin/audit?recording={recording.id}")
    assert "zette de opname vast" in page
    assert other.id[-6:] not in page
    # And as a file, of the same entries; an address does as well as an id.
    assert f"object=recording:{recording.id}" in page
    again = await office.opened("ella", f"/admin/audit?recording=https://x.example/recordings/{recording.id}")
    assert f'value="{recording.id}"' in again
    assert "Claim" not in await office.opened("ella", "/admin/audit?recording=x")


async def test_who_may_not_read_the_log_has_no_link_to_it(office: Any) -> None:
    directory.set_user(office.house.operator, office.tenant.id, "anna", now=office.now, access="own")
    recording = office.stored(owner=office.anna.id)
    assert "/admin/audit" not in await office.opened("anna", f"/recordings/{recording.id}/history")
