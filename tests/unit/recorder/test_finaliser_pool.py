"""A finaliser process opens one call's journal with the key of its job, and archives what it finds."""

import dataclasses
import multiprocessing
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from archive.allowance import month_of
from archive.catalogue import directory, minutes, policies, quarantine, sessions
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import insert_recording
from archive.clock import SystemClock
from archive.errors import CatalogueUnavailable, Refused
from archive.intent import AS_TOLD, Dating
from archive.model import (
    AboveCap,
    ArchivedRecording,
    FinishedRecording,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SessionOutcome,
    Tenant,
    User,
)
from archive.settings import Settings
from keys.local_keyring import LocalKeyring
from recorder import finaliser_pool
from recorder.errors import LocalDefect
from recorder.finaliser_job import FinaliseJob
from recorder.finaliser_pool import finalise_job, open_catalogue, prepare_worker
from recorder.journal.writer import JournalWriter
from recorder.rtp.batch import PACKET_ROW
from recorder.state import CallState, DialogState, StreamState
from retention.policy import retain_until
from tests.unit.archive.conftest import (
    archived_recording,
    bakery,
    database,
    operator,
    recorder,
    worker,
)

__all__ = ["bakery", "database", "operator", "recorder", "worker"]

STARTED_NS = 1_790_000_000_000_000_000
STARTED_AT = datetime.fromtimestamp(1_790_000_000, UTC)
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

    def dating(self, recording_id: RecordingId) -> None:
        return None

    def believed_time(self) -> datetime:
        return STARTED_AT + timedelta(seconds=1)

    def archive(
        self, finished: FinishedRecording, outcome: SessionOutcome, dating: Dating
    ) -> ArchivedRecording:
        assert dating == AS_TOLD
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


class Clock(SystemClock):
    def now(self) -> datetime:
        return STARTED_AT


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Prepare this very process as a worker, without lowering its priority."""
    stand_in = Archive()
    nowhere = Catalogue(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}", timeout_s=1)
    finaliser_pool._workers[:] = [finaliser_pool._Worker(tmp_path, nowhere, stand_in, Clock())]
    yield stand_in
    finaliser_pool._workers.clear()
    nowhere.close()


@dataclass
class Office:
    """A tenant with a user of 1000 minutes, and an archive of the call states of it."""

    catalogue: Catalogue
    archive: Archive
    anna: User

    def state(self, number: int = 0, **changes: object) -> CallState:
        fields = {
            "recording_id": f"01999999-0000-7000-8000-00000000001{number}",
            "tenant_id": self.anna.tenant_id,
            "owner": self.anna.id,
            "retention_class": "7y-1000",
            **changes,
        }
        return dataclasses.replace(STATE, **fields)

    def finalise(self, state: CallState, tails: dict[str, int]) -> Recording:
        finalise_job(FinaliseJob(state.to_json(), UID, CALL_KEY, tails))
        return self.archive.given[-1][0].recording

    def used_s(self) -> int:
        return minutes.used(self.catalogue, self.anna.tenant_id, self.anna.id, month_of(STARTED_AT))

    def use(self, seconds: int) -> None:
        """Book a long talk of the same month."""
        class_ = RetentionClass.YEARS_7_1000
        verdict = minutes.Verdict(seconds, seconds, above_cap=False, retention_class=class_)
        talk = archived_recording(self.anna.tenant_id, owner=self.anna.id, started_at=STARTED_AT).recording
        with self.catalogue.transaction(self.anna.tenant_id) as connection:
            minutes.book(connection, talk, lambda *_: verdict, now=STARTED_AT)


@pytest.fixture
def office(
    archive: Archive, operator: Catalogue, recorder: Catalogue, bakery: Tenant, tmp_path: Path
) -> Office:
    anna = directory.add_user(
        operator,
        bakery.id,
        "anna",
        now=STARTED_AT - timedelta(days=1),
        licence=RetentionClass.YEARS_7_1000,
        mode=RecordingMode.ALWAYS,
    )
    finaliser_pool._workers[:] = [finaliser_pool._Worker(tmp_path, recorder, archive, Clock())]
    return Office(recorder, archive, anna)


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
        open_catalogue(Settings())


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


def test_the_minutes_of_a_recording_are_booked_before_it_is_archived(office: Office, tmp_path: Path) -> None:
    """A second of audio is a second, and the recording keeps the class of its licence."""
    recording = office.finalise(office.state(), written(tmp_path))
    assert (recording.retention_class, recording.flags) == (RetentionClass.YEARS_7_1000, ())
    assert recording.retain_until == retain_until(RetentionClass.YEARS_7_1000, recording.ended_at)
    assert office.used_s() == 1


@pytest.mark.parametrize(
    ("above_cap", "kept"),
    [
        (AboveCap.KEEP, RetentionClass.YEARS_7_1000),
        (AboveCap.STOP, RetentionClass.YEARS_7_1000),
        (AboveCap.DAYS_90, RetentionClass.DAYS_90),
    ],
)
def test_minute_1001_is_kept_as_the_policy_of_the_tenant_says(
    office: Office, operator: Catalogue, tmp_path: Path, above_cap: AboveCap, kept: RetentionClass
) -> None:
    """The recording that reaches the cap is within it; the next one is not, and says so."""
    policies.set_policy(operator, office.anna.tenant_id, above_cap=above_cap)
    office.use(1000 * 60 - 1)
    tails = written(tmp_path)
    within = office.finalise(office.state(0, call_group="one"), tails)
    assert (within.retention_class, within.flags) == (RetentionClass.YEARS_7_1000, ())
    above = office.finalise(office.state(1, call_group="two"), tails)
    assert (above.retention_class, above.flags) == (kept, ("above-cap",))
    assert above.retain_until == retain_until(kept, above.ended_at)
    assert f"class {kept} kept until" in office.archive.given[-1][1].trace[-1]


def test_a_job_that_runs_again_gives_the_recording_the_same_class(office: Office, tmp_path: Path) -> None:
    """It died between booking and archiving, and the minutes were used up by another call meanwhile."""
    tails = written(tmp_path)
    first = office.finalise(office.state(), tails)
    office.use(1000 * 60)
    assert office.finalise(office.state(), tails) == first
    assert office.used_s() == 1 + 1000 * 60


def test_the_licence_of_today_does_not_change_what_was_recorded_yesterday(
    office: Office, operator: Catalogue, tmp_path: Path
) -> None:
    """The class in force when the recording started stays with it."""
    directory.set_user(
        operator, office.anna.tenant_id, "anna", now=STARTED_AT, licence=RetentionClass.DAYS_90
    )
    assert office.finalise(office.state(), written(tmp_path)).retention_class is RetentionClass.YEARS_7_1000


def test_two_sessions_of_one_call_are_not_billed_twice(office: Office, tmp_path: Path) -> None:
    tails = written(tmp_path)
    for number in range(2):
        office.finalise(office.state(number, session_id=f"session {number}"), tails)
    assert office.used_s() == 1


def test_what_is_in_quarantine_or_nobodys_books_nothing(archive: Archive, tmp_path: Path) -> None:
    """It needs no database that answers: nothing is asked for a recording nobody owns."""
    finalise_job(FinaliseJob(STATE.to_json(), UID, CALL_KEY, written(tmp_path)))
    assert archive.given[0][0].recording.owner is None


def test_the_journal_does_not_bring_back_what_was_destroyed_in_quarantine(
    office: Office, worker: Catalogue, tmp_path: Path
) -> None:
    """The recorder died between archiving and releasing the journal, and came back after the decision."""
    state = office.state(owner=None, quarantined=True)
    tails = written(tmp_path)
    recording = office.finalise(state, tails)
    assert recording.state is RecordingState.QUARANTINED
    archived = ArchivedRecording(recording, (), "kek", b"")
    with office.catalogue.transaction(recording.tenant_id) as connection:
        insert_recording(connection, archived)
        sessions.insert_outcome(connection, office.archive.given[-1][1])
    with worker.transaction(recording.tenant_id) as connection:
        quarantine.remove(connection, recording.tenant_id, recording.id, recording.session_id)
    assert finalise_job(FinaliseJob(state.to_json(), UID, CALL_KEY, tails)) is None
    assert len(office.archive.given) == 1
