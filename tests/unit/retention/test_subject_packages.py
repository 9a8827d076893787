"""Packages for data subjects: made by a worker, others silenced to the sample, fetched from any byte on."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from archive.access import AccessScope
from archive.audit import AuditWriter
from archive.catalogue import accounts, data_subject_calls, data_subjects, directory, exports
from archive.catalogue.data_subjects import NewRequest
from archive.catalogue.engine import Catalogue
from archive.catalogue.exports import Export, ExportState
from archive.data_subject import Identification, RequestKind, SoughtBy, Treatment
from archive.errors import Refused, StoreUnavailable
from archive.evidence import muting, subject_index
from archive.evidence.exports import Download
from archive.evidence.subject_index import Letterhead
from archive.model import ArchivedRecording, Layout, Party, Role, Tenant
from archive.playback import Playback
from retention.exports import Exports
from tests.unit.retention.ageing import Ageing

MINE, OTHER = "+31687654321", "+31209876543"
SECRETS = ("Bakker-Pietersen", OTHER.removeprefix("+31"))


def noise(channels: int, seed: int, frames: int = 40_000) -> npt.NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-9000, 9000, (frames, channels), dtype=np.int16)


def archived(
    ageing: Ageing, tenant: Tenant, samples: npt.NDArray[np.int16], **changes: Any
) -> ArchivedRecording:
    """Put a call of five seconds of noise into the archive."""
    sound = io.BytesIO()
    soundfile.write(sound, samples, 8000, format="FLAC", subtype="PCM_16")
    parties = (Party("a", MINE, "Jansen, A."), Party("b", OTHER, SECRETS[0]))
    finished = ageing.make_finished(ageing.make_recording(tenant.id).recording)
    fields = {"parties": parties, "duration_ms": 5000, "spans": (), **changes}
    recording = dataclasses.replace(finished.recording, **fields)
    finished = dataclasses.replace(
        finished, recording=recording, audio=sound.getvalue(), audio_media_type="audio/flac"
    )
    made: ArchivedRecording = ageing.house.ingest().archive(finished, ageing.outcome_of(finished))
    return made


@pytest.fixture
def auditor(operator: Catalogue, bakery: Tenant, house: Any, ageing: Ageing) -> AccessScope:
    user = directory.add_user(operator, bakery.id, "visser", now=house.clock.now(), role=Role.AUDITOR)
    return accounts.scope_of_user(ageing.portal, bakery.id, user.id)


def asked(ageing: Ageing, auditor: AccessScope, whole: tuple[str, ...] = ()) -> Export:
    """Take a request all the way to its export; `whole` are given whole, the rest is muted."""
    now = ageing.house.clock.now()
    with ageing.portal.transaction(auditor.tenant_id) as connection:
        new = NewRequest(RequestKind.ACCESS, "A. Jansen", "by post", date(2026, 11, 22))
        request = data_subjects.take_in(connection, auditor, new, now=now)
        request = data_subjects.identify(connection, auditor, request.id, Identification.ACCOUNT, now=now)
        data_subject_calls.search(connection, auditor, request.id, SoughtBy.NUMBER, "0687654321", now=now)
        data_subject_calls.choose_all(connection, auditor, request.id, now=now)
        if whole:
            data_subject_calls.choose(
                connection, auditor, request.id, whole, Treatment.WHOLE, reason="They agree.", now=now
            )
        kept = data_subject_calls.to_export(connection, auditor, request)
        assert auditor.user_id is not None
        return exports.add(
            connection,
            auditor.tenant_id,
            auditor.user_id,
            exports.Order(
                tuple(kept), "AVG-1", "request of a data subject", request_id=request.id, kept=kept
            ),
            now=now,
        )


def making(ageing: Ageing, store: Any = None) -> Exports:
    return Exports(
        store or ageing.store,
        lambda: ageing.house.vault,
        ageing.worker,
        AuditWriter(ageing.worker, "worker/one"),
        ageing.house.clock,
        ageing.house.clock.now,
        ageing.signatory,
    )


def download_of(ageing: Ageing, export: Export) -> Download:
    house = ageing.house
    playback = Playback(
        ageing.store, house.vault, ageing.portal, AuditWriter(ageing.portal, "portal/one"), house.clock
    )
    found = exports.get(ageing.portal, export.tenant_id, export.id)
    return Download(ageing.store, house.vault, ageing.portal, playback, found)


def made(ageing: Ageing, auditor: AccessScope, export: Export) -> tuple[Export, bytes]:
    making(ageing).make(export.tenant_id, export.id)
    found = exports.get(ageing.portal, export.tenant_id, export.id)
    assert found.reason is None
    assert found.state is ExportState.READY
    download = download_of(ageing, export)
    data = b"".join(download.chunks(auditor, 0, download.size_bytes))
    assert found.size_bytes == len(data)
    return found, data


def heard(package: zipfile.ZipFile, name: str) -> npt.NDArray[np.int16]:
    found: npt.NDArray[np.int16] = soundfile.read(io.BytesIO(package.read(name)), dtype="int16")[0]
    return found


def test_l11_the_package_holds_the_own_voice_to_the_sample_and_silence_of_everybody_else(
    ageing: Ageing, bakery: Tenant, auditor: AccessScope
) -> None:
    sounds = [noise(2, 1), noise(2, 2)]
    caller = archived(ageing, bakery, sounds[0]).recording
    transferred = archived(
        ageing,
        bakery,
        sounds[1],
        parties=(
            Party("a", OTHER, SECRETS[0]),
            Party("b", "+31", to_ms=2000),
            Party("b", MINE, from_ms=2000),
        ),
    ).recording
    export = asked(ageing, auditor)
    found, data = made(ageing, auditor, export)
    assert found.done == 2
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        assert package.testzip() is None
        own = heard(package, f"data/recordings/{caller.id}/own-voice-001.flac")
        late = heard(package, f"data/recordings/{transferred.id}/own-voice-001.flac")
        told = {name: package.read(name) for name in package.namelist() if not name.endswith(".flac")}
    assert np.array_equal(own[:, 0], sounds[0][:, 0])
    assert not own[:, 1].any()
    assert not late[:, 0].any()
    assert not late[:16_000, 1].any()
    assert np.array_equal(late[16_000:, 1], sounds[1][16_000:, 1])
    assert set(told) == {"index-nl.html", "index-en.html"} | {
        f"data/recordings/{each.id}/call.json" for each in (caller, transferred)
    }
    for text in told.values():
        assert not [secret for secret in SECRETS if secret.encode() in text]
    facts = json.loads(told[f"data/recordings/{caller.id}/call.json"])
    assert (facts["you"][0]["number"], facts["othersSilenced"]) == (MINE, True)
    for language, word in (("nl", "Autoriteit Persoonsgegevens"), ("en", "data protection authority")):
        index = told[f"index-{language}.html"].decode()
        assert word in index
        assert "AVG-1" in index
        assert f'href="data/recordings/{caller.id}/own-voice-001.flac"' in index


def test_what_is_given_whole_is_the_archived_sound_and_stored_once(
    ageing: Ageing, bakery: Tenant, auditor: AccessScope
) -> None:
    parties = (Party("mixed", MINE), Party("mixed", OTHER, SECRETS[0]))
    mixed = archived(ageing, bakery, noise(1, 3), parties=parties, layout=Layout.MIXED, channels=("mixed",))
    export = asked(ageing, auditor, whole=(mixed.recording.id,))
    _, data = made(ageing, auditor, export)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        sound = package.read(f"data/recordings/{mixed.recording.id}/audio.flac")
        index = package.read("index-en.html").decode()
    assert np.array_equal(soundfile.read(io.BytesIO(sound), dtype="int16")[0], noise(1, 3)[:, 0])
    assert "The whole call, the others too." in index
    assert SECRETS[0] not in index
    sealed = ageing.store.versions(f"{bakery.id}/exports/{export.id}/")
    assert all(version.size_bytes < len(sound) for version in sealed)


def test_a_download_goes_on_at_any_byte_and_each_sound_stands_in_the_log_first(
    ageing: Ageing, bakery: Tenant, auditor: AccessScope
) -> None:
    recording = archived(ageing, bakery, noise(2, 4))
    export = asked(ageing, auditor)
    _, data = made(ageing, auditor, export)
    before = ageing.entries(recording).count(("recording.exported", "ok"))
    assert before == 2, "when it was made, and when it left"
    download, step = download_of(ageing, export), len(data) // 7
    for first in range(0, len(data), step):
        last = min(first + step, len(data))
        assert b"".join(download.chunks(auditor, first, last)) == data[first:last]
    assert ageing.entries(recording).count(("recording.exported", "ok")) > before


def test_the_right_is_asked_again_before_a_voice_leaves(
    ageing: Ageing, bakery: Tenant, auditor: AccessScope
) -> None:
    archived(ageing, bakery, noise(2, 5))
    export = asked(ageing, auditor)
    made(ageing, auditor, export)
    download = download_of(ageing, export)
    administrator = dataclasses.replace(auditor, role=Role.ADMINISTRATOR)
    with pytest.raises(Exception, match="no such recording") as refused:
        b"".join(download.chunks(administrator, 0, download.size_bytes))
    assert not isinstance(refused.value, Refused)


class Away:
    """A store that goes away at the n-th put."""

    def __init__(self, store: Any, puts: int) -> None:
        self._store = store
        self._puts = puts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, *arguments: Any, **options: Any) -> str:
        if self._puts == 0:
            raise StoreUnavailable("The store is away.")
        self._puts -= 1
        version_id: str = self._store.put(*arguments, **options)
        return version_id


@pytest.mark.parametrize("puts", [0, 2, 3, 5])
def test_what_was_broken_off_goes_on_and_a_long_call_is_several_files(
    ageing: Ageing, bakery: Tenant, auditor: AccessScope, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    monkeypatch.setattr(muting, "PIECE_FRAMES", 8000)
    monkeypatch.setattr(muting.muted, "__defaults__", (10_000,))
    samples = noise(2, 6)
    recording = archived(ageing, bakery, samples).recording
    export = asked(ageing, auditor)
    with pytest.raises(StoreUnavailable):
        making(ageing, Away(ageing.store, puts)).make(bakery.id, export.id)
    found, data = made(ageing, auditor, export)
    assert found.done == 1
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        names = sorted(name for name in package.namelist() if name.endswith(".flac"))
        assert len(names) > 2
        whole = np.concatenate([heard(package, name) for name in names])
        index = package.read("index-nl.html").decode()
    assert np.array_equal(whole[:, 0], samples[:, 0])
    assert not whole[:, 1].any()
    assert [f'href="{name}"' in index for name in names] == [True] * len(names)
    assert recording.id in names[0]


def test_the_page_says_what_who_answers_calls_itself_beside_the_name_its_provider_wrote_down() -> None:
    told = subject_index.page(Letterhead("De Bakker", "AVG-1", "<b>Molen"), [], "nl").decode()
    assert "<dt>Van</dt><dd><bdi>De Bakker</bdi></dd>" in told
    assert "<dt>Noemt zich</dt><dd>“<bdi>&lt;b&gt;Molen</bdi>”</dd>" in told
    assert "Noemt zich" not in subject_index.page(Letterhead("De Bakker", "AVG-1"), [], "nl").decode()


def test_a_recording_that_is_gone_is_in_no_package(
    ageing: Ageing, bakery: Tenant, auditor: AccessScope, database: Any
) -> None:
    recording = archived(ageing, bakery, noise(2, 7)).recording
    export = asked(ageing, auditor)
    database.connect().execute("DELETE FROM recordings WHERE id = %s", (recording.id,))
    making(ageing).make(bakery.id, export.id)
    found = exports.get(ageing.portal, export.tenant_id, export.id)
    assert found.state is ExportState.FAILED
