"""L6, R6 and F7 on a real object store: what somebody or a disk did to an object is found by the next scrub.

SeaweedFS with its real files, PostgreSQL with its real rows; who attacks has the credentials of the
service and the right to bypass GOVERNANCE, or hands on the disk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from structlog.testing import capture_logs

from archive.audit import AuditWriter
from archive.catalogue import cases, scrubs
from archive.catalogue.audit_entries import of_object
from archive.catalogue.engine import Catalogue
from archive.catalogue.store_locks import LETTING_GO, SHORTENED
from archive.clock import SystemClock
from archive.embedded.signed_request import S3Endpoint
from archive.errors import ArchiveError
from archive.model import ArchivedRecording, FinishedRecording, SessionOutcome, StoredObject, Tenant
from archive.playback import Action, Playback
from archive.store.object import whole_second
from archive.store.s3 import ObjectStore
from retention.scrub import HIDDEN, LOST, OVERWRITTEN, UNREADABLE, Finding, Scrub
from retention.store_holds import StoreHolds
from retention.terms import Terms
from tests.unit.archive.sealed.conftest import AUDIO
from tests.unit.retention.ageing import auditor
from tests.unit.retention.holding import person


@dataclasses.dataclass
class Bucket:
    """A bucket, its files, and somebody who has everything the service has."""

    store: ObjectStore
    client: Any
    directory: Path

    def flip_a_bit(self, stored: StoredObject) -> None:
        """Change one bit of an object where it lies on the disk."""
        octets = self.store.get(stored.key, stored.version_id)
        middle = octets[len(octets) // 2 :][:64]
        for volume in sorted(self.directory.rglob("*.dat")):
            with volume.open("r+b") as file:
                place = file.read().find(middle)
                if place >= 0:
                    file.seek(place)
                    file.write(bytes([middle[0] ^ 1]))
                    return
        raise AssertionError("no volume holds the object")

    def put_marker(self, stored: StoredObject) -> None:
        self.client.delete_object(Bucket=self.store._bucket, Key=stored.key)

    def overwrite(self, stored: StoredObject) -> None:
        self.client.put_object(Bucket=self.store._bucket, Key=stored.key, Body=b"forged")

    def shorten(self, stored: StoredObject) -> None:
        self.client.put_object_retention(
            Bucket=self.store._bucket,
            Key=stored.key,
            VersionId=stored.version_id,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)},
            BypassGovernanceRetention=True,
        )

    def let_go(self, stored: StoredObject) -> None:
        self.client.put_object_legal_hold(
            Bucket=self.store._bucket,
            Key=stored.key,
            VersionId=stored.version_id,
            LegalHold={"Status": "OFF"},
        )

    def lose(self, stored: StoredObject) -> None:
        self.client.delete_object(
            Bucket=self.store._bucket,
            Key=stored.key,
            VersionId=stored.version_id,
            BypassGovernanceRetention=True,
        )


@pytest.fixture
def bucket(seaweed: S3Endpoint, seaweed_files: Path) -> Iterator[Bucket]:
    keys = {"aws_access_key_id": seaweed.access_key, "aws_secret_access_key": seaweed.secret_key}
    client = boto3.session.Session().client("s3", endpoint_url=seaweed.url, region_name="us-east-1", **keys)
    # A store that finds a rotten block breaks its answer off; so often it need not be asked again here.
    store = ObjectStore(
        seaweed.url, "recordings", seaweed.access_key, seaweed.secret_key, timeout_s=5, attempts=2
    )
    with closing(store):
        store.ensure_bucket()
        yield Bucket(store, client, seaweed_files)
    client.close()


@pytest.fixture
def archived(
    bucket: Bucket,
    house: Any,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> list[ArchivedRecording]:
    """Three recordings, one of which is to be harmed."""
    house.store, house.clock = bucket.store, SystemClock()
    made = []
    for minutes in range(3):
        finished = make_finished(make_recording(bakery.id, minutes=minutes).recording)
        made.append(house.ingest().archive(finished, outcome_of(finished)))
    return made


@pytest.mark.parametrize(
    ("harm", "found", "plays"),
    [
        (Bucket.flip_a_bit, {"altered", UNREADABLE}, False),
        (Bucket.put_marker, {HIDDEN}, True),
        (Bucket.overwrite, {OVERWRITTEN}, True),
        (Bucket.lose, {LOST}, False),
    ],
)
def test_every_harm_is_found_by_the_next_scrub_and_alarms(
    bucket: Bucket,
    house: Any,
    archived: list[ArchivedRecording],
    worker: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
    harm: Callable[[Bucket, StoredObject], None],
    found: set[str],
    *,
    plays: bool,
) -> None:
    """F7, R6: a line in the log, an entry, a row; and what is whole underneath plays as before."""
    audit = AuditWriter(worker, "worker/test")
    scrub = Scrub(bucket.store, worker, audit, SystemClock())
    assert scrub.batch(bakery.id, None).findings == ()
    harmed = archived[1]
    harm(bucket, harmed.objects[0])
    # A flipped bit is seen only by who reads it: once the time for that has come again.
    again = Scrub(bucket.store, worker, audit, SystemClock(), timedelta())
    late = again if found == {"altered", UNREADABLE} else scrub
    with capture_logs() as told:
        (finding,) = late.batch(bakery.id, None).findings
    assert (finding.recording_id, finding.kind) == (harmed.recording.id, "audio")
    assert finding.what in found
    assert [line["log_level"] for line in told if line["event"] == "an object is not as it was stored"] == [
        "error"
    ]
    (entry,) = [
        entry
        for entry in of_object(worker, bakery.id, f"recording:{harmed.recording.id}")
        if entry.action == "object.damaged"
    ]
    assert (entry.result, entry.body["finding"]) == ("failed", finding.what)
    assert [each.damage.what for each in scrubs.findings(portal, bakery.id)] == [finding.what]
    assert late.tally([bakery.id]).findings == 1
    playback = Playback(bucket.store, house.vault, portal, AuditWriter(portal, "portal/test"), SystemClock())

    def sound() -> bytes:
        opened = playback.open_object(
            auditor(bakery), harmed.recording.id, harmed.objects[0].kind, Action.PLAY
        )
        return opened.read(0, opened.length)

    if plays:
        assert sound() == AUDIO
        return
    with pytest.raises(ArchiveError):
        sound()


def test_a_lock_that_was_shortened_and_a_hold_that_was_taken_off_are_found_and_put_back(
    bucket: Bucket,
    house: Any,
    archived: list[ArchivedRecording],
    worker: Catalogue,
    portal: Catalogue,
    bakery: Tenant,
) -> None:
    """Who has the keys of the bucket needs no hands on its disk for this."""
    kept, held, _ = archived
    tenant_id, scope, now = bakery.id, person(bakery, "anna"), datetime.now(UTC)
    with portal.transaction(tenant_id) as connection:
        case_id = cases.open_case(connection, scope, "", "A claim", now=now)
        cases.add_one(connection, scope, case_id, held.recording.id, now=now)
    audit, clock = AuditWriter(worker, "worker/test"), SystemClock()
    scrub = Scrub(bucket.store, worker, audit, clock, timedelta())
    holds = StoreHolds(bucket.store, worker, clock)
    terms = Terms(bucket.store, lambda: house.vault, worker, audit, clock)
    holds.batch(tenant_id)
    assert scrub.batch(tenant_id, None).findings == ()
    bucket.shorten(kept.objects[0])
    bucket.let_go(held.objects[1])
    assert set(scrub.batch(tenant_id, None).findings) == {
        Finding(kept.recording.id, "audio", SHORTENED),
        Finding(held.recording.id, "peaks", LETTING_GO),
    }
    assert (terms.batch(tenant_id).done, holds.batch(tenant_id).done) == (1, 1)
    facts = bucket.store.head(kept.objects[0].key, kept.objects[0].version_id)
    assert facts.retain_until == whole_second(kept.recording.retain_until)
    assert bucket.store.legal_hold(held.objects[1].key, held.objects[1].version_id)
    assert scrub.batch(tenant_id, None).findings == ()
