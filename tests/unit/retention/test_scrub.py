"""Scrubbing finds what is missing or altered, and only that."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from archive.audit import AuditWriter, verify_log
from archive.catalogue.engine import Catalogue
from archive.catalogue.recordings import insert_recording
from archive.clock import SystemClock
from archive.errors import NotFound, StoreUnavailable, VerificationFailed
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome, Tenant
from archive.placing import objects_prefix
from archive.rewrap import Rewrapping
from archive.store.object import ObjectVersion
from retention.scrub import Finding, Scrub


class Shelf:
    """Objects by key and version; the whole of a store that scrubbing sees."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes | Exception] = {}
        self.reads = 0

    def get(self, key: str, version_id: str) -> bytes:
        self.reads += 1
        found = self.objects.get((key, version_id), NotFound("no such version"))
        if isinstance(found, Exception):
            raise found
        return found

    def versions(self, prefix: str) -> list[ObjectVersion]:
        found = self.objects.items()
        return [
            ObjectVersion(key, version_id, len(octets), True, False)
            for (key, version_id), octets in found
            if key.startswith(prefix) and isinstance(octets, bytes)
        ]


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
        (NotFound("gone"), "missing"),
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
    assert scrub.verify(archived) == [Finding(archived.recording.id, stored.kind, "altered")]


def test_a_store_that_is_away_is_no_finding(
    scrub: Scrub, keep: Callable[..., ArchivedRecording], bakery: Tenant, shelf: Shelf, worker: Catalogue
) -> None:
    """The batch is tried again when it is back."""
    stored = keep(bakery).objects[0]
    shelf.objects[stored.key, stored.version_id] = StoreUnavailable("away")
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
    assert scrub.batch(bakery.id, None).findings == (Finding(one.recording.id, "key", "missing"),)
