"""A finaliser process opens one call's journal with the key of its job, and archives what it finds."""

import multiprocessing
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from archive.errors import CatalogueUnavailable, Refused
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome
from archive.settings import Settings
from keys.local_keyring import LocalKeyring
from recorder import finaliser_pool
from recorder.errors import LocalDefect
from recorder.finaliser_job import FinaliseJob
from recorder.finaliser_pool import finalise_job, open_ingest, prepare_worker
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import PACKET_ROW
from recorder.state import CallState, DialogState, StreamState

STARTED_NS = 1_790_000_000_000_000_000
UID = bytes(range(16))
CALL_KEY = bytes(range(32))
DIALOG = DialogState("call@example.org", "l", "r", "", "", "", (), 1, 1, "udp", "", "", 0, None, "", "")
STATE = CallState(
    recording_id="01999999-0000-7000-8000-000000000000",
    session_id="01999999-0000-7000-8000-000000000001",
    call_group="01999999-0000-7000-8000-000000000002",
    tenant_id="01999999-0000-7000-8000-000000000003",
    peer_id=None,
    owner=None,
    mode="always",
    retention_class="90d",
    direction="in",
    layout="mixed",
    started_ns=STARTED_NS,
    kept=True,
    dialog=DIALOG,
    streams=(StreamState(0, "1", "mixed", "127.0.0.1", 20_000, {"8": "PCMA/8000"}),),
    ended_ns=STARTED_NS + 10**9,
    end_reason="bye",
)
JOB = FinaliseJob(STATE.to_json(), UID, CALL_KEY)


@dataclass
class Archive:
    """Stands in for the ingest: keeps what it is given."""

    given: list[tuple[FinishedRecording, SessionOutcome]] = field(default_factory=list)

    def archive(self, finished: FinishedRecording, outcome: SessionOutcome) -> ArchivedRecording:
        self.given.append((finished, outcome))
        return ArchivedRecording(finished.recording, (), "kek", b"")


def written(directory: Path) -> dict[str, int]:
    """Write one second of a call into a journal; return its tails."""
    writer = JournalWriter(directory / "capture-0")
    writer.open()
    rows = np.zeros(50, PACKET_ROW)
    rows["sequence"], rows["timestamp"] = np.arange(50), np.arange(50) * 160
    rows["arrival"], rows["size"], rows["payload_type"] = np.arange(50) * 200, 160, 8
    segment = writer.open_segment(UID, CALL_KEY, STARTED_NS)
    writer.append_audio(segment, (0, 7, 0, 50), rows.tobytes() + bytes(50 * 160))
    writer.commit()
    writer.sync()
    tails = writer.tails(UID)
    writer.close()
    return tails


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Prepare this very process as a worker, without lowering its priority."""
    stand_in = Archive()
    finaliser_pool._workers[:] = [finaliser_pool._Worker(tmp_path, stand_in)]
    yield stand_in
    finaliser_pool._workers.clear()


@pytest.fixture
def service(tmp_path: Path) -> Settings:
    """Settings of a machine whose database and store are away."""
    keyring = tmp_path / "keyring"
    LocalKeyring.create(keyring, b"passphrase")
    return Settings(
        database_url=f"postgresql+psycopg://nobody@/nothing?host={tmp_path}",
        database_timeout_s=1,
        s3_endpoint="http://127.0.0.1:9",
        s3_access_key="access",
        s3_secret_key="secret",
        keyring=f"file:{keyring}",
        keyring_passphrase="passphrase",
        key_store=f"dir:{tmp_path / 'keys'}",
        journal_dir=tmp_path / "journal",
    )


@pytest.mark.parametrize("with_tails", [True, False])
def test_a_job_archives_what_stands_in_the_journal(
    archive: Archive, tmp_path: Path, with_tails: bool
) -> None:
    """By the tails of the track, or after a crash by searching, the second of audio is found."""
    tails = written(tmp_path)
    archived = finalise_job(FinaliseJob(STATE.to_json(), UID, CALL_KEY, tails if with_tails else None))
    finished, outcome = archive.given[0]
    assert archived.recording.id == STATE.recording_id
    assert finished.recording.packets.received == 50
    assert finished.recording.flags == ()
    assert (outcome.reason, outcome.recording_ids) == ("bye", (STATE.recording_id,))


def test_a_journal_file_that_is_gone_shows_in_the_recording(archive: Archive, tmp_path: Path) -> None:
    """What tails promise and the disk does not have makes the recording partial; it is archived all the same."""
    (tmp_path / "capture-0").mkdir()
    finalise_job(FinaliseJob(STATE.to_json(), UID, CALL_KEY, {"capture-0/epoch-00000001.journal": 64}))
    assert "journal-damaged" in archive.given[0][0].recording.flags


def test_a_job_shows_no_key_and_travels_whole() -> None:
    """The call key is in the pickle and not in the text of a job."""
    assert "call_key" not in repr(JOB)
    assert pickle.loads(pickle.dumps(JOB)) == JOB


def test_a_process_that_was_not_prepared_refuses_jobs() -> None:
    """A pool without its initializer is a defect of ours, said at once."""
    with pytest.raises(LocalDefect, match="initializer"):
        finalise_job(JOB)


def test_settings_that_are_missing_are_named() -> None:
    """Without database, store and keys nothing can be archived."""
    with pytest.raises(Refused, match=r"EARWITNESS_DATABASE_URL.*EARWITNESS_KEY_STORE"):
        open_ingest(Settings())


def test_a_spawned_worker_steps_back_and_says_when_the_catalogue_is_away(service: Settings) -> None:
    """Processes of the pool run at nice 10; a job that can't be archived comes back as such, to be tried again."""
    (service.journal_dir / "capture-0").mkdir(parents=True)
    before = os.nice(0)
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=prepare_worker, initargs=(service,)
    ) as pool:
        assert pool.submit(os.nice, 0).result(timeout=60) == min(before + 10, 19)
        with pytest.raises(CatalogueUnavailable):
            pool.submit(finalise_job, JOB).result(timeout=60)
