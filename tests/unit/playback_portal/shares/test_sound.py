"""The sound of a play link: in pieces, at a pace, after a counted play, and never the recording itself."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any

import av
import pytest

from archive.access import Right
from archive.catalogue import audit_entries, rights, shares
from archive.model import Recording
from archive.shared import standing
from playback_portal import opus
from playback_portal.byte_range import ByteRange
from playback_portal.play_links import (
    MAKING,
    PACE_TIMES,
    RESPONSE_BYTES,
    RESPONSE_BYTES_MAX,
    RUNS_COUNT_MAX,
    Link,
    Runs,
    derivative_of,
)

CLIP_S = 40


def entries(office: Any, recording: Recording) -> list[tuple[str, str, str]]:
    found = audit_entries.of_object(office.house.portal, office.tenant_id, f"recording:{recording.id}")
    return [
        (entry.actor.partition(":")[0], entry.action, entry.result)
        for entry in found
        if entry.action.startswith("share.")
    ]


async def test_a_visitor_hears_the_shared_span_and_nothing_else(office: Any, recording: Recording) -> None:
    share = await office.share(recording, fromMs=10_000, toMs=20_000)
    visitor = await office.visitor(share)
    assert (await visitor.post("/plays")).status == 200
    heard = await visitor.all_sound()
    with av.open(io.BytesIO(heard)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert container.streams.audio[0].codec_context.name in {"opus", "libopus"}
    assert samples / 48_000 == pytest.approx(10, abs=0.1)
    assert heard[:4] == b"\x1a\x45\xdf\xa3"


async def test_it_is_no_file_of_the_archive(office: Any, house: Any, recording: Recording) -> None:
    visitor = await office.visitor(await office.share(recording))
    await visitor.post("/plays")
    heard = await visitor.all_sound()
    assert b"fLaC" not in heard
    # The octets of the recording come by none of what a link opens.
    assert len(heard) < 0.3 * len(house.flac)


async def test_without_range_or_beyond_the_end_there_is_nothing(office: Any, recording: Recording) -> None:
    visitor = await office.visitor(await office.share(recording))
    await visitor.post("/plays")
    for headers in ({}, {"Range": "bytes=99999999-"}, {"Range": "bytes=0-1,5-6"}, {"Range": "octets=0-"}):
        answer = await visitor.get("/sound", **headers)
        assert answer.status == 416, headers
        assert answer.headers["Content-Range"].startswith("bytes */")
        assert b"\x1a\x45\xdf\xa3" not in await answer.read()


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-99999999", "bytes=-99999999", "bytes=1000-"])
async def test_no_response_carries_more_than_a_quarter(office: Any, recording: Recording, asked: str) -> None:
    visitor = await office.visitor(await office.share(recording))
    await visitor.post("/plays")
    status, piece, answer = await visitor.sound(asked)
    length = int(answer.headers["Content-Range"].rpartition("/")[2])
    assert status == 206
    assert len(piece) <= min(RESPONSE_BYTES_MAX, RESPONSE_BYTES, length // 4)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Disposition"] == "inline"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_the_derivative_never_comes_faster_than_the_pace(office: Any, recording: Recording) -> None:
    share = await office.share(recording)
    visitor = await office.visitor(share)
    await visitor.post("/plays")
    began = office.clock.now()
    heard = await visitor.all_sound()
    took_s = (office.clock.now() - began).total_seconds()
    # A quarter may come at once; the rest takes its time.
    assert took_s >= 0.75 * CLIP_S / PACE_TIMES - 0.5
    assert took_s <= CLIP_S / PACE_TIMES
    assert len(heard) > 4 * 1000


async def test_many_visitors_and_requests_at_once_get_no_more_than_one(
    office: Any, recording: Recording
) -> None:
    share = await office.share(recording)
    visitors = [await office.visitor(share) for _ in range(6)]
    for visitor in visitors:
        await visitor.post("/plays")
    began = office.clock.now()
    got = 0
    for round_ in range(4):
        answers = await asyncio.gather(
            *(visitor.sound(f"bytes={round_ * 7000}-") for visitor in visitors for _ in range(3))
        )
        got += sum(len(piece) for status, piece, _ in answers if status == 206)
        assert {status for status, _, _ in answers} <= {206, 429}
        office.clock.passes(0.3)
    took_s = (office.clock.now() - began).total_seconds()
    length = int((await visitors[0].sound("bytes=0-0"))[2].headers["Content-Range"].rpartition("/")[2])
    assert got <= length / 4 + length / CLIP_S * PACE_TIMES * took_s + 1


async def test_who_asks_too_far_ahead_is_told_when_to_come_back(office: Any, recording: Recording) -> None:
    share = await office.share(recording)
    visitor = await office.visitor(share)
    await visitor.post("/plays")

    office.waiter.held = released = asyncio.Event()
    waiting = [asyncio.create_task(visitor.sound("bytes=0-")) for _ in range(60)]
    pending, refused = set(waiting), None
    async with asyncio.timeout(10):
        while refused is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            refused = next((task.result() for task in done if task.result()[0] == 429), None)
    assert int(refused[2].headers["Retry-After"]) >= 1
    released.set()
    await asyncio.gather(*pending)


async def test_a_visit_gets_the_sound_three_times_and_then_it_is_another_play(
    office: Any, recording: Recording
) -> None:
    share = await office.share(recording, playsMax=2)
    visitor = await office.visitor(share)
    assert await (await visitor.post("/plays")).json() == {"plays": 1}
    # To press play again meanwhile is no other play.
    assert await (await visitor.post("/plays")).json() == {"plays": 1}
    for _ in range(3):
        await visitor.all_sound()
    status, _, _ = await visitor.sound()
    assert status == 403
    assert await (await visitor.post("/plays")).json() == {"plays": 2}
    assert (await visitor.sound())[0] == 206
    late = await office.visitor(share)
    assert (await late.post("/plays")).status == 404
    assert (await visitor.sound("bytes=2000-"))[0] == 206
    listed = await (await office.api("GET", f"/v1/shares/{share['id']}")).json()
    assert (listed["plays"], listed["state"]) == (2, "spent")


async def test_sound_needs_a_counted_play_and_its_entry_comes_first(
    office: Any, recording: Recording
) -> None:
    share = await office.share(recording)
    visitor = await office.visitor(share)
    assert (await visitor.sound())[0] == 403
    assert (await visitor.get()).status == 200
    assert (await visitor.sound())[0] == 403
    await visitor.post("/plays")
    made = entries(office, recording)
    assert made[-2:] == [("share", "share.opened", "ok"), ("share", "share.played", "ok")]
    assert (await visitor.sound())[0] == 206
    # A visit is of one link.
    other = await office.visitor(await office.share(recording))
    other.client.session.cookie_jar.update_cookies(
        {
            "ew_visit": visitor.client.session.cookie_jar.filter_cookies(
                visitor.client.make_url(visitor.address)
            )["ew_visit"].value
        },
        other.client.make_url("/"),
    )
    assert (await other.sound())[0] == 403


async def test_a_link_ends_while_somebody_listens(office: Any, recording: Recording) -> None:
    """Ended, over, or its maker's right taken away: no further piece."""
    for end in ("revoked", "over", "right"):
        share = await office.share(recording, days=1)
        visitor = await office.visitor(share)
        await visitor.post("/plays")
        assert (await visitor.sound())[0] == 206
        if end == "revoked":
            assert (await office.api("DELETE", f"/v1/shares/{share['id']}")).status == 204
        elif end == "over":
            office.clock.passes(24 * 3600)
        else:
            rights.set_rights(office.house.operator, office.tenant_id, office.sharer.id, {Right.SHARE: False})
        assert (await visitor.sound())[0] == 404, end
        assert (await visitor.post("/plays")).status == 404
        assert (await visitor.get()).status == 404


async def test_the_derivative_is_made_once_and_stands_sealed_beside_its_recording(
    office: Any, house: Any, recording: Recording
) -> None:
    share = await office.share(recording)
    visitors = [await office.visitor(share) for _ in range(3)]
    answers = await asyncio.gather(*(visitor.post("/plays") for visitor in visitors))
    assert {answer.status for answer in answers} == {200}
    prefix = f"{office.tenant_id}/{recording.id}/share/{share['id']}/"
    (version,) = house.store.versions(prefix)
    sealed = house.store.get(version.key, version.version_id)
    heard = await visitors[0].all_sound()
    assert heard not in sealed
    assert heard[100:200] not in sealed
    found = shares.find(house.portal, share["link"].rpartition("/")[2])
    assert found is not None
    assert found.derivative is not None
    assert found.derivative.object_key == version.key


async def test_who_read_the_link_before_its_derivative_was_there_has_none_made_again(
    office: Any, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A play that comes just as the first making ends waits for nothing and takes no core."""
    app, catalogue = office.client.server.app, office.house.portal
    share = await office.share(recording)
    token = share["link"].rpartition("/")[2]
    found = shares.find(catalogue, token)
    assert found is not None
    archived = standing(catalogue, found, now=office.clock.now())
    # As the link stood while it was read, whatever was made meanwhile.
    early = Link(token, replace(found, derivative=None), archived)
    kept = await derivative_of(app, early)
    monkeypatch.setattr(opus, "encoded", lambda *_: pytest.fail("It was encoded twice."))
    await asyncio.sleep(0)
    assert share["id"] not in app[MAKING]
    assert await derivative_of(app, early) == kept


async def test_a_derivative_that_was_altered_is_not_played(
    office: Any, house: Any, recording: Recording
) -> None:
    share = await office.share(recording)
    visitor = await office.visitor(share)
    await visitor.post("/plays")
    (version,) = house.store.versions(f"{office.tenant_id}/{recording.id}/share/")
    house.store.alter[version.key] = 100
    status, body, _ = await visitor.sound()
    assert status == 500
    assert b"\x1a\x45\xdf\xa3" not in body
    house.store.alter.clear()


def test_what_is_fetched_in_one_go_is_told_from_jumps() -> None:
    runs = Runs()
    lengths = [runs.length("one", ByteRange(first, first + 10)) for first in (0, 10, 20, 500, 510, 0)]
    assert lengths == [10, 20, 30, 10, 20, 10]
    for n in range(RUNS_COUNT_MAX):
        runs.length(f"other {n}", ByteRange(0, 10))
    # Forgotten: what went on seems to jump.
    assert runs.length("one", ByteRange(10, 20)) == 10
