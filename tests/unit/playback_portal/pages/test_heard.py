"""Who listened to my calls: what others did, when and what for; one's own doings and other people's calls are not there."""

from __future__ import annotations

import html
from typing import Any

import pytest
from sqlalchemy import delete

from archive.catalogue import audit_entries as entries
from archive.catalogue import tables
from archive.model import RecordingId


def done(house: Any, recording_id: RecordingId, actor: str, action: str, **body: Any) -> None:
    services = house.services()
    with services.audit.transaction(house.tenant_id) as connection:
        services.audit.append(
            connection,
            tenant_id=house.tenant_id,
            actor=actor,
            action=action,
            object=f"recording:{recording_id}",
            result="ok",
            body=body,
            at=services.clock.now(),
        )


async def page_of(api: Any, key: str = "anna", rest: str = "") -> tuple[int, str]:
    answer = await api.get(f"/me/heard{rest}", key, {"Accept-Language": "en"})
    return answer.status, html.unescape(await answer.text())


async def test_others_who_listened_stand_there_with_what_for_and_oneself_does_not(
    api: Any, insert: Any
) -> None:
    house = api.house
    anna, bert = house.people["anna"].id, house.people["bert"].id
    mine = insert(house.tenant_id, 400, owner=anna)
    his = insert(house.tenant_id, 401, owner=bert)
    done(house, mine.id, f"user:{bert}", "recording.played", purpose="Klacht 88")
    done(house, mine.id, f"user:{bert}", "recording.downloaded")
    done(house, mine.id, f"user:{anna}", "recording.played", purpose="Zelf geluisterd")
    done(house, his.id, f"user:{anna}", "recording.played", purpose="Van een ander")
    done(house, mine.id, "share:abc", "share.played")
    status, text = await page_of(api)
    assert status == 200
    for words in ("bert", "Klacht 88", "listened", "downloaded the recording", "Somebody outside"):
        assert words in text, words
    assert "Zelf geluisterd" not in text
    assert "Van een ander" not in text
    assert "Van een ander" in (await page_of(api, "bert"))[1]


async def test_a_recording_that_is_destroyed_while_the_page_is_read_leaves_it(
    api: Any, insert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = api.house
    mine = insert(house.tenant_id, 402, owner=house.people["anna"].id)
    done(house, mine.id, f"user:{house.people['bert'].id}", "recording.played", purpose="Net op tijd")
    assert "Net op tijd" in (await page_of(api))[1]
    read = entries.entry_of

    def destroying(row: Any) -> Any:
        with house.worker.transaction(house.tenant_id) as connection:
            connection.execute(delete(tables.recordings).where(tables.recordings.c.id == mine.id))
        return read(row)

    monkeypatch.setattr(entries, "entry_of", destroying)
    status, text = await page_of(api)
    assert (status, "Net op tijd" in text) == (200, False)


async def test_only_the_periods_of_the_page_are_taken_and_a_program_has_no_calls(api: Any) -> None:
    assert (await page_of(api, rest="?days=90"))[0] == 200
    assert (await page_of(api, rest="?days=9999"))[0] == 400
    assert (await page_of(api, "all"))[0] == 403
