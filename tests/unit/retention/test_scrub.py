"""Scrubbing finds what is missing or altered, and only that."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from archive.audit import AuditWriter, verify_log
from archive.catalogue import scrubs
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import insert_recording
from archive.catalogue.scrubs import READ_WITHIN, Progress
from archive.clock import SystemClock
from archive.errors import NotFound, StoreUnavailable, VerificationFailed
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome, Tenant
from archive.placing import objects_prefix
from archive.rewrap import Rewrapping
from archive.store.object import ObjectFacts, ObjectVersion
from retention.scrub import HIDDEN, INTERVAL, LOST, OVERWRITTEN, UNREADABLE, Finding, Scrub
from tests.unit.archive.sealed.conftest import SettableClock


class Shelf:
    """Objects by key and version; the whole of a store that scrubbing sees."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes | Exception] = {}
        self.reads = 0
        self.answers = True

    def get(self, key: str, version_id: str) -> bytes:
        self.reads += 1
        found = self.objects.get((key, version_id), NotFound("no such version"))
        if isinstance(found, Exception):
            raise found
        return found

    locks = False

    def head(self, key: str, version_id: str) -> ObjectFacts:
        raise NotFound("no store of this kind is asked for a lock")

    def fetch(self, key: str, version_id: str) -> tuple[bytes, ObjectFacts]:
        return self.get(key, version_id), self.head(key, version_id)

    def lengthen(self, key: str, version_id: str, until: datetime, mode: str) -> None:
        raise NotFound("no store of this kind has a lock")

    def versions(self, prefix: str) -> list[ObjectVersion]:
        found = self.objects.items()
        return [
            ObjectVersion(key, version_id, 1, True, False)
            for (key, version_id), octets in found
            if key.startswith(prefix) and not isinstance(octets, NotFound)
        ]

    def healthy(self) -> bool:
        return self.answers


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def keep(
    recorder: Catalogue, shelf: Shelf, make_recording: Callable[..., ArchivedRecording]
) -> Callable[..., ArchivedRecording]:
    """Return a function that archives a recording whose objects are on the shelf."""

    def keep(tenant: Tenant, minutes: int = 0) -> ArchivedRecording:
        made = make_recording(tenant.id, minutes=minutes)
        objects = []
        for stored in made.objects:
            content = f"sealed {stored.key}".encode()
            shelf.objects[stored.key, stored.version_id] = content
            digest = hashlib.sha256(content).hexdigest()
            objects.append(
                dataclasses.replace(stored, ciphertext_bytes=len(content), ciphertext_sha256=digest)
            )
        archived = dataclasses.replace(made, objects=tuple(objects))
        with recorder.transaction(tenant.id) as connection:
            insert_recording(connection, archived)
        return archived

    return keep


@pytest.fixture
def scrub(worker: Catalogue, shelf: Shelf) -> Scrub:
    return Scrub(shelf, worker, AuditWriter(worker, "worker/test"), SystemClock())


def test_what_is_as_it_was_written_gives_no_finding(
    scrub: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant
) -> None:
    """Every object of the recording is read, by its version."""
    archived = keep(bakery)
    batch = scrub.batch(bakery.id, None)
    assert (batch.objects, batch.findings, batch.next_cursor) == (len(archived.objects), (), None)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (b"sealed otherwise", "of another length"),
        (NotFound("gone"), LOST),
        (VerificationFailed("short"), "shorter than stored"),
    ],
)
def test_damage_is_found_and_stands_in_the_audit_log(
    scrub: Scrub,
    keep: Callable[..., ArchivedRecording],
    bakery: Tenant,
    shelf: Shelf,
    worker: Catalogue,
    damage: bytes | Exception,
    what: str,
) -> None:
    """Whoever asks later whether it was noticed, and when, finds the entry."""
    stored = keep(bakery).objects[0]
    shelf.objects[stored.key, stored.version_id] = damage
    (finding,) = scrub.batch(bakery.id, None).findings
    assert (finding.kind, finding.what) == (stored.kind, what)
    assert verify_log(worker)["worker/test"].sequence == 1


def test_one_altered_bit_is_enough(
    scrub: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf
) -> None:
    """The length is right, the digest is not."""
    archived = keep(bakery)
    stored = archived.objects[-1]
    content = shelf.objects[stored.key, stored.version_id]
    assert isinstance(content, bytes)
    shelf.objects[stored.key, stored.version_id] = bytes([content[0] ^ 1]) + content[1:]
    assert scrub.verify(archived) == {(stored.kind, "altered")}


def test_a_store_that_is_away_is_no_finding(
    scrub: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf, worker: Catalogue
) -> None:
    """The batch is tried again when it is back."""
    stored = keep(bakery).objects[0]
    shelf.objects[stored.key, stored.version_id] = StoreUnavailable("away")
    shelf.answers = False
    with pytest.raises(StoreUnavailable):
        scrub.batch(bakery.id, None)
    assert verify_log(worker) == {}


def test_batches_go_through_everything_of_one_tenant_once(
    scrub: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, florist: Tenant, shelf: Shelf
) -> None:
    """However many there are, a batch is bounded."""
    for minutes in range(5):
        keep(bakery, minutes)
    keep(florist)
    sizes, cursor = [], None
    while True:
        batch = scrub.batch(bakery.id, cursor, recordings_max=2)
        sizes.append(batch.objects)
        cursor = batch.next_cursor
        if cursor is None:
            break
    assert sizes == [10, 10, 5]
    assert shelf.reads == 25


def test_an_entry_tells_when_and_holds_no_number(
    scrub: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf, worker: Catalogue
) -> None:
    """The parties of a damaged recording are nobody's business here."""
    stored = keep(bakery).objects[0]
    del shelf.objects[stored.key, stored.version_id]
    before = datetime.now(UTC)
    scrub.batch(bakery.id, None)
    head = verify_log(worker)["worker/test"]
    assert head.sequence == 1
    assert "+31" not in repr(head)
    assert datetime.now(UTC) >= before


@pytest.mark.parametrize("harm", ["gone", "of another recording", "rubbish"])
def test_a_key_that_was_wrapped_anew_has_to_stand_beside_its_recording(
    house: Any,
    worker: Catalogue,
    bakery: Tenant,
    harm: str,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> None:
    """Without it the bucket alone would not open the recording any more."""
    finished = [make_finished(make_recording(bakery.id, minutes=n).recording) for n in range(2)]
    one, other = (house.ingest().archive(each, outcome_of(each)) for each in finished)
    audit = AuditWriter(worker, "worker/test")
    scrub = Scrub(house.store, worker, audit, house.clock)
    rewrapping = Rewrapping(house.store, house.vault, worker, audit, house.clock)
    rewrapping.supersede(bakery.id, one.kek_id, actor="operator:0", reason="rotation")
    assert scrub.batch(bakery.id, None).findings == ()
    [key, others] = [
        next(
            each
            for each in house.store.versions(objects_prefix(bakery.id, archived.recording.id))
            if "/key." in each.key
        )
        for archived in (one, other)
    ]
    if harm == "gone":
        house.store._versions[key.key].clear()
    elif harm == "rubbish":
        house.store.damage(key.key, key.version_id, b"rubbish")
    else:
        house.store.damage(key.key, key.version_id, house.store.get(others.key, others.version_id))
    assert scrub.batch(bakery.id, None).findings == (), "what was read a moment ago is not read again"
    house.clock.moment += INTERVAL
    assert scrub.batch(bakery.id, None).findings == (Finding(one.recording.id, "key", "missing"),)


@pytest.fixture
def now() -> SettableClock:
    return SettableClock()


@pytest.fixture
def timed(worker: Catalogue, shelf: Shelf, now: SettableClock) -> Scrub:
    """A scrub by a clock that can be set."""
    return Scrub(shelf, worker, AuditWriter(worker, "worker/test"), now)


def test_what_was_read_is_read_again_after_a_month_and_looked_for_at_each_pass(
    timed: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf, now: SettableClock
) -> None:
    """L6: so that each object is read within 90 days, also when two passes fail."""
    assert 3 * INTERVAL <= READ_WITHIN
    stored = keep(bakery).objects[0]
    assert timed.batch(bakery.id, None).objects == 5
    now.moment += INTERVAL - timedelta(seconds=1)
    assert (timed.batch(bakery.id, None).objects, shelf.reads) == (0, 5)
    shelf.objects[stored.key, stored.version_id] = NotFound("gone")
    assert [each.what for each in timed.batch(bakery.id, None).findings] == [LOST]
    shelf.objects[stored.key, stored.version_id] = f"sealed {stored.key}".encode()
    assert timed.batch(bakery.id, None).findings == (), "what was found is looked at again at the next pass"
    now.moment += INTERVAL
    assert timed.batch(bakery.id, None).objects == 5


def test_a_pass_that_was_broken_off_reads_only_what_it_had_not(
    timed: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf
) -> None:
    """The store went away in the middle; what was read before stays read."""
    kept = [keep(bakery, minutes) for minutes in range(3)]
    last = max(kept, key=lambda archived: archived.recording.id).objects[2]
    octets = shelf.objects[last.key, last.version_id]
    shelf.objects[last.key, last.version_id], shelf.answers = StoreUnavailable("away"), False
    with pytest.raises(StoreUnavailable):
        timed.batch(bakery.id, None)
    shelf.objects[last.key, last.version_id], shelf.answers = octets, True
    assert timed.batch(bakery.id, None).objects == 5


def test_an_object_that_alone_cannot_be_read_is_damaged(
    timed: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf
) -> None:
    """A store that finds a rotten block by its own sum answers with an error of its own, for ever."""
    archived = keep(bakery)
    stored = archived.objects[1]
    shelf.objects[stored.key, stored.version_id] = StoreUnavailable("500 InternalError")
    found = timed.batch(bakery.id, None).findings
    assert found == (Finding(archived.recording.id, stored.kind, UNREADABLE),)


@pytest.mark.parametrize(("marker", "what"), [(True, HIDDEN), (False, OVERWRITTEN)])
def test_what_lies_on_top_of_a_pinned_version_is_found(
    house: Any,
    worker: Catalogue,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
    what: str,
    *,
    marker: bool,
) -> None:
    """R6: within one pass, though the pinned version plays as before."""
    finished = make_finished(make_recording(bakery.id).recording)
    archived = house.ingest().archive(finished, outcome_of(finished))
    scrub = Scrub(house.store, worker, AuditWriter(worker, "worker/test"), house.clock)
    assert scrub.batch(bakery.id, None).findings == ()
    house.store.cover(archived.objects[0].key, marker=marker)
    (finding,) = scrub.batch(bakery.id, None).findings
    assert (finding.kind, finding.what) == (archived.objects[0].kind, what)


def test_a_finding_is_entered_once_told_at_each_pass_and_taken_off_when_it_is_mended(
    timed: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf, worker: Catalogue
) -> None:
    """The alarm goes on until somebody mended it; the audit log tells when it began and when it ended."""
    archived = keep(bakery)
    stored, of_it = archived.objects[0], f"recording:{archived.recording.id}"
    octets = shelf.objects[stored.key, stored.version_id]
    shelf.objects[stored.key, stored.version_id] = b"rotten"
    with capture_logs() as told:
        for _ in range(2):
            timed.batch(bakery.id, None)
    assert [line["log_level"] for line in told if line["event"].startswith("an object")] == ["error"] * 2
    (found,) = scrubs.findings(worker, bakery.id)
    assert (found.recording_id, found.damage) == (archived.recording.id, (stored.kind, "of another length"))
    shelf.objects[stored.key, stored.version_id] = octets
    timed.batch(bakery.id, None)
    assert scrubs.findings(worker, bakery.id) == []
    entries = [(entry.action, entry.result) for entry in of_object(worker, bakery.id, of_it)]
    assert entries == [("object.damaged", "failed"), ("object.mended", "ok")]


def test_progress_tells_what_is_too_late_and_what_is_damaged(
    timed: Scrub,
    keep: Callable[..., ArchivedRecording],
    bakery: Tenant,
    florist: Tenant,
    shelf: Shelf,
    worker: Catalogue,
    now: SettableClock,
) -> None:
    """Of all tenants together, for doctor and metrics: whoever reads it sees nothing of anybody."""
    archived = [keep(tenant) for tenant in (bakery, florist)]
    now.moment = max(each.recording.ended_at for each in archived) + READ_WITHIN
    assert timed.tally([bakery.id, florist.id]) == Progress(2, 0, archived[0].recording.ended_at, 0)
    now.moment += timedelta(seconds=1)
    assert timed.tally([bakery.id, florist.id]).overdue == 2
    shelf.objects[archived[0].objects[0].key, archived[0].objects[0].version_id] = b"rotten"
    timed.batch(bakery.id, None)
    told = timed.tally([bakery.id, florist.id])
    assert (told.recordings, told.overdue, told.findings) == (2, 1, 1)
    assert scrubs.progress(worker) == (told, now.moment)
