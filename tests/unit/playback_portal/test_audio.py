"""Sound leaves after its audit entry, verified, in the form and range that was asked for."""

import asyncio
import hashlib
import io
import threading
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import aiohttp
import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import event

from archive.catalogue import accounts, directory, portal_sessions
from archive.model import Role
from keys.streaming_aead import CIPHERTEXT_SEGMENT_BYTES, HEADER_BYTES
from playback_portal import audio, streaming
from playback_portal.app import create_app
from playback_portal.services import REFERENCE, SERVICES, TRANSCODES_COUNT_MAX
from playback_portal.transcoding import ChannelFlac, WholeFlac


async def test_the_whole_flac_is_octet_for_octet_what_was_archived(api: Any) -> None:
    answer = await api.audio("two-party")
    assert (answer.status, answer.content_type) == (200, "audio/flac")
    assert await answer.read() == api.house.flac
    recording = api.house.recordings["two-party"]
    assert answer.headers["ETag"] == f'"{recording.sha256}-flac"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(api.house.flac))
    assert answer.headers["Content-Disposition"] == f'inline; filename="{recording.id}.flac"'
    assert answer.headers["Repr-Digest"].startswith("sha-256=:")


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=65479-65481", 65479, 65482),
        ("bytes=1048000-1049000", 1048000, 1049001),
        ("bytes=-1", -1, None),
        ("bytes=1000-", 1000, None),
    ],
)
async def test_a_range_is_that_part_of_the_whole(api: Any, header: str, first: int, last: int | None) -> None:
    answer = await api.audio("two-party", headers={"Range": header})
    assert answer.status == 206
    assert await answer.read() == api.house.flac[first:last]
    start = first % len(api.house.flac)
    stop = len(api.house.flac) if last is None else last
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(api.house.flac)}"


async def test_a_range_fetches_only_the_segments_it_touches(api: Any) -> None:
    """And the header before them, for who listens on only once."""
    await (await api.audio("two-party", headers={"Range": "bytes=200000-200010"})).read()
    del api.house.store.fetched[:]
    await (await api.audio("two-party", headers={"Range": "bytes=200000-200010"})).read()
    sizes = [stop - start for key, start, stop in api.house.store.fetched if key.endswith("/audio")]
    assert sizes == [CIPHERTEXT_SEGMENT_BYTES]


async def test_a_range_asks_the_database_no_more_than_it_must(api: Any) -> None:
    """Who asks, the recording and the audit entry, each in a transaction; a listener waits for all of it."""
    asked: list[str] = []
    portal = api.house.portal._engine

    def noted(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(portal, "before_cursor_execute", noted)
    try:
        await (await api.audio("two-party", headers={"Range": "bytes=0-99"})).read()
    finally:
        event.remove(portal, "before_cursor_execute", noted)
    assert sum("set_config" in statement for statement in asked) == 3
    assert len(asked) <= 9


async def test_a_range_outside_the_audio_is_416_with_its_length(api: Any) -> None:
    answer = await api.audio("two-party", headers={"Range": "bytes=99999999-"})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(api.house.flac)}"


async def test_a_range_of_what_the_client_no_longer_has_gives_the_whole(api: Any) -> None:
    headers = {"Range": "bytes=0-9", "If-Range": '"something else"'}
    assert (await api.audio("mixed", headers=headers)).status == 200
    etag = (await api.audio("mixed")).headers["ETag"]
    assert (await api.audio("mixed", headers={"Range": "bytes=0-9", "If-Range": etag})).status == 206


async def test_who_has_the_audio_already_is_told_so_without_it(api: Any) -> None:
    etag = (await api.audio("mixed")).headers["ETag"]
    answer = await api.audio("mixed", headers={"If-None-Match": f'"x", W/{etag}', "Range": "bytes=0-9"})
    assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", etag)
    assert (await api.audio("mixed", headers={"If-None-Match": '"x"'})).status == 200


async def test_who_wants_another_audio_gets_none(api: Any) -> None:
    etag = (await api.audio("mixed")).headers["ETag"]
    assert (await api.audio("mixed", headers={"If-Match": '"x"'})).status == 412
    assert (await api.audio("mixed", headers={"If-Match": etag, "Range": "bytes=0-9"})).status == 206


async def test_audio_in_a_codec_we_can_not_decode_is_never_sent_as_flac(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "ARCHIVED_MEDIA_TYPE", "audio/another")
    for query in ("", "?format=wav", "?channel=a"):
        answer = await api.audio("two-party", query)
        assert answer.status == 409
        assert (await answer.json(content_type=None))["type"].endswith(":not-decoded")


async def test_a_wav_has_both_channels_sample_for_sample(api: Any) -> None:
    answer = await api.audio("two-party", "?format=wav")
    assert answer.content_type == "audio/wav"
    with wave.open(io.BytesIO(await answer.read())) as file:
        assert file.readframes(file.getnframes()) == api.house.samples.tobytes()


@pytest.mark.parametrize(("channel", "index"), [("a", 0), ("b", 1)])
@pytest.mark.parametrize("form", ["flac", "wav"])
async def test_one_channel_is_that_party_alone(api: Any, channel: str, index: int, form: str) -> None:
    answer = await api.audio("two-party", f"?format={form}&channel={channel}")
    found, rate = soundfile.read(io.BytesIO(await answer.read()), dtype="int16")
    assert rate == 8000
    assert np.array_equal(found, api.house.samples[:, index])
    assert f"-{channel}.{form}" in answer.headers["Content-Disposition"]


def likeness(heard: npt.NDArray[np.float64], said: npt.NDArray[np.int16]) -> float:
    """Return how alike two sounds are, 0 to 1, whichever of them comes some milliseconds later."""
    length = min(len(heard), len(said))
    one, other = (np.fft.rfft(each[:length] / np.linalg.norm(each[:length] * 1.0)) for each in (heard, said))
    return float(np.abs(np.fft.irfft(one * other.conj())).max())


@pytest.mark.parametrize(("query", "channels"), [("", [0, 1]), ("&channel=a", [0]), ("&channel=b", [1])])
async def test_an_opus_file_holds_what_each_party_said(api: Any, query: str, channels: list[int]) -> None:
    """Lossy, so not sample for sample: as long as the call, each party in its own channel, and small."""
    answer = await api.audio("two-party", f"?format=opus{query}")
    assert (answer.status, answer.content_type) == (200, "audio/ogg")
    assert '.opus"' in answer.headers["Content-Disposition"]
    content = await answer.read()
    with av.open(io.BytesIO(content)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        assert container.streams.audio[0].codec_context.name in {"opus", "libopus"}
    heard, said = np.concatenate(frames, axis=1)[:, ::6], api.house.samples.T
    assert heard.shape == (len(channels), pytest.approx(said.shape[1], abs=80))
    for channel, mine in zip(channels, heard, strict=True):
        alike = [likeness(mine, each) for each in said]
        assert alike[channel] > 0.5
        assert min(alike) < 0.1
    assert len(content) < 4200 * len(channels) * said.shape[1] / 8000


async def test_a_conference_as_opus_is_one_channel(api: Any) -> None:
    content = await (await api.audio("multi", "?format=opus")).read()
    with av.open(io.BytesIO(content)) as container:
        assert container.streams.audio[0].codec_context.layout.nb_channels == 1


@pytest.mark.parametrize(
    "query",
    [
        "?format=wav",
        "?format=wav&channel=b",
        "?format=flac&channel=a",
        "?format=opus",
        "?format=opus&channel=b",
    ],
)
async def test_a_range_of_a_derived_form_is_that_part_of_it(api: Any, query: str) -> None:
    content = await (await api.audio("two-party", query)).read()
    first, last = len(content) * 3 // 5 + 1, len(content) * 4 // 5
    answer = await api.audio("two-party", query, headers={"Range": f"bytes={first}-{last}"})
    assert answer.status == 206
    assert await answer.read() == content[first : last + 1]
    assert answer.headers["Content-Range"].endswith(f"/{len(content)}")


async def test_each_form_has_an_etag_of_its_own(api: Any) -> None:
    queries = ("", "?format=wav", "?format=wav&channel=a", "?channel=a", "?channel=b", "?format=opus")
    etags = {(await api.audio("two-party", query)).headers["ETag"] for query in queries}
    assert len(etags) == len(queries)


async def test_a_mixed_recording_has_no_party_alone_and_says_so(api: Any) -> None:
    answer = await api.audio("mixed", "?channel=a")
    assert answer.status == 409
    assert "mixed" in (await answer.json(content_type=None))["detail"]
    assert (await api.audio("mixed", "?channel=mixed")).status == 200


async def test_a_conference_gives_each_channel_by_its_name(api: Any) -> None:
    found, _ = soundfile.read(io.BytesIO(await (await api.audio("multi")).read()), dtype="int16")
    third, _ = soundfile.read(
        io.BytesIO(await (await api.audio("multi", "?channel=3")).read()), dtype="int16"
    )
    assert np.array_equal(found[:, 2], third)
    assert (await api.audio("multi", "?channel=4")).status == 400


@pytest.mark.parametrize(
    "query", ["?format=mp3", "?format=mp4&channel=a", "?channel=c", "?download=yes", "?x=1"]
)
async def test_a_wrong_parameter_is_named_and_nothing_is_logged_as_played(api: Any, query: str) -> None:
    before = api.house.events("two-party")
    answer = await api.audio("two-party", query)
    assert answer.status == 400
    assert (await answer.json(content_type=None))["errors"]
    assert api.house.events("two-party") == before


async def test_the_audit_entry_is_durable_before_the_first_octet_is_fetched(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries_at_fetch: list[int] = []
    before = len(api.house.history("two-party"))
    get = api.house.store.get

    def counting(
        key: str, version_id: str, first: int | None = None, last_exclusive: int | None = None
    ) -> bytes:
        if first != 0 or last_exclusive != HEADER_BYTES:
            entries_at_fetch.append(len(api.house.history("two-party")) - before)
        data: bytes = get(key, version_id, first, last_exclusive)
        return data

    monkeypatch.setattr(api.house.store, "get", counting)
    await (await api.audio("two-party")).read()
    assert entries_at_fetch
    assert set(entries_at_fetch) == {1}


async def test_downloading_needs_its_own_scope_and_has_its_own_entry(api: Any) -> None:
    assert (await api.audio("two-party", key="player")).status == 200
    answer = await api.audio("two-party", "?download=1", key="player")
    assert answer.status == 403
    assert (await answer.json(content_type=None))["requiredScope"] == "recordings:download"
    assert api.house.events("two-party")[-1] == ("recording.downloaded", "refused")
    answer = await api.audio("two-party", "?download=1")
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    await answer.read()
    assert api.house.events("two-party")[-1] == ("recording.downloaded", "ok")


async def test_a_store_that_is_away_is_a_503_without_an_octet(api: Any) -> None:
    for away_after in (0, 1):
        api.house.store.fetched.clear()
        api.house.store.away_after = away_after
        answer = await api.audio("two-party")
        assert answer.status == 503
        assert b"fLaC" not in await answer.read()


async def test_a_store_that_goes_away_while_sending_never_looks_like_the_end_of_the_audio(api: Any) -> None:
    api.house.store.fetched.clear()
    api.house.store.away_after = 2
    answer = await api.audio("two-party")
    assert answer.status == 200
    with pytest.raises(aiohttp.ClientError):
        await answer.read()


@pytest.mark.parametrize("query", ["", "?format=wav", "?channel=a"])
async def test_an_altered_segment_is_never_sent(api: Any, query: str) -> None:
    """The last segment is altered: what comes before may have gone, but not as a whole file."""
    recording = api.house.recordings["damaged"]
    key = f"{recording.tenant_id}/{recording.id}/audio"
    api.house.store.alter[key] = len(api.house.store.objects[key, "v1"][0]) - 20
    answer = await api.audio("damaged", query)
    if answer.status == 200:
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
    else:
        assert answer.status == 500
        assert (await answer.json(content_type=None))["type"].endswith("verification-failed")


async def test_an_altered_first_segment_is_a_500_before_any_octet(api: Any) -> None:
    recording = api.house.recordings["damaged"]
    api.house.store.alter[f"{recording.tenant_id}/{recording.id}/audio"] = 5000
    answer = await api.audio("damaged")
    assert answer.status == 500
    assert hashlib.sha256(await answer.read()).hexdigest() != recording.sha256


async def test_a_listener_who_stops_reading_loses_the_connection(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stalled:
        async def write(self, piece: bytes) -> None:
            await asyncio.Event().wait()

    class Transport:
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    class Request(dict[Any, Any]):
        app: ClassVar = {SERVICES: house.services()}
        transport = Transport()

    monkeypatch.setattr(streaming, "STALL_S_MAX", 0.01)
    request = Request({REFERENCE: "reference"})
    stream: Any = streaming._stream
    await stream(request, Stalled(), b"piece", iter([]), audio._check_again)
    assert request.transport.aborted
    assert b"earwitness_portal_audio_broken_total 1.0" in request.app[SERVICES].metrics.text()
    assert b"earwitness_portal_audio_bytes_total 0.0" in request.app[SERVICES].metrics.text()


async def test_whose_right_is_taken_away_while_listening_hears_it_break_off(
    api: Any, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the next range: one answer that is read for long is asked for again while it goes out."""
    now = house.services().clock.now()
    person = directory.add_user(house.operator, house.tenant_id, "ann", now=now, role=Role.AUDITOR)
    scopes = ("recordings:read", "recordings:play")
    client = accounts.add_api_client(
        house.operator, house.tenant_id, "ann", scopes, now=now, user_id=person.id
    )
    house.keys["ann"] = client.key
    content = await (await api.audio("two-party", key="ann")).read()

    def in_two(source: WholeFlac, first: int, last_exclusive: int) -> Iterator[bytes]:
        yield content[:1000]
        directory.set_user(house.operator, house.tenant_id, "ann", now=now, role=Role.USER)
        yield content[1000:]

    monkeypatch.setattr(streaming, "RECHECK_S", -1.0)
    monkeypatch.setattr(WholeFlac, "pieces", in_two)
    answer = await api.audio("two-party", key="ann")
    assert answer.status == 200
    with pytest.raises(aiohttp.ClientError):
        await answer.read()
    assert (await api.audio("two-party", key="ann")).status == 404


async def test_whose_session_is_ended_while_listening_hears_it_break_off(
    api: Any, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who signs out everywhere ends what their other browser is reading, though they may hear it still."""
    now = house.services().clock.now()
    person = directory.add_user(house.operator, house.tenant_id, "olga", now=now, role=Role.AUDITOR)
    headers = house.signed_in(person)
    path = f"/v1/recordings/{house.recordings['two-party'].id}/audio"
    content = await (await api.client.get(path, headers=headers)).read()

    def in_two(source: WholeFlac, first: int, last_exclusive: int) -> Iterator[bytes]:
        yield content[:1000]
        with house.portal.transaction(house.tenant_id) as connection:
            portal_sessions.end_all(connection, house.tenant_id, person.id)
        yield content[1000:]

    monkeypatch.setattr(streaming, "RECHECK_S", -1.0)
    monkeypatch.setattr(WholeFlac, "pieces", in_two)
    answer = await api.client.get(path, headers=headers)
    assert answer.status == 200
    with pytest.raises(aiohttp.ClientError):
        await answer.read()


async def test_as_many_single_channels_are_made_at_once_as_allowed_and_no_more(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, lock = threading.Barrier(TRANSCODES_COUNT_MAX), threading.Lock()
    running: list[int] = []
    most: list[int] = []

    class Slow(ChannelFlac):
        def __init__(self, reader: Any, channel: int) -> None:
            with lock:
                running.append(1)
                most.append(len(running))
            # Nobody goes on before all that are allowed run together.
            together.wait(30)
            super().__init__(reader, channel)
            with lock:
                running.pop()

    monkeypatch.setattr(audio, "ChannelFlac", Slow)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(3 * TRANSCODES_COUNT_MAX))
    async with TestClient(TestServer(create_app(house.services()))) as client:
        path = f"/v1/recordings/{house.recordings['multi'].id}/audio?channel=1"
        headers = {"Authorization": f"Bearer {house.keys['all']}"}

        async def ask() -> int:
            async with client.get(path, headers=headers) as answer:
                await answer.read()
                return answer.status

        statuses = await asyncio.gather(*(ask() for _ in range(2 * TRANSCODES_COUNT_MAX)))
    assert set(statuses) == {200}
    assert max(most) == TRANSCODES_COUNT_MAX
