"""A lock nobody can take back takes a registered duty and a proved bucket; nothing less does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from archive.audit import AuditWriter
from archive.catalogue import legal_duties, worm_proofs
from archive.catalogue.engine import Catalogue
from archive.catalogue.worm_proofs import PROOF_AGE_MAX, WormProof
from archive.model import ArchivedRecording, FinishedRecording, RetentionClass, SessionOutcome, Tenant
from archive.rewrap import Rewrapping
from archive.store.object import place_of
from tests.unit.archive.sealed.conftest import NOW

SEVEN = RetentionClass.YEARS_7_1000
PLACE = "memory/bucket"


@pytest.fixture
def archive(
    house: Any,
    bakery: Tenant,
    make_recording: Callable[..., ArchivedRecording],
    make_finished: Callable[..., FinishedRecording],
    outcome_of: Callable[[FinishedRecording], SessionOutcome],
) -> Callable[..., ArchivedRecording]:
    """Return a function that archives a new recording of a class."""
    numbers = iter(range(100))

    def archive(retention_class: RetentionClass = SEVEN) -> ArchivedRecording:
        finished = make_finished(make_recording(bakery.id, minutes=next(numbers)).recording)
        recording = dataclasses.replace(finished.recording, retention_class=retention_class)
        finished = dataclasses.replace(finished, recording=recording)
        return house.ingest().archive(finished, outcome_of(finished))

    return archive


@pytest.fixture
def modes(house: Any) -> Callable[[ArchivedRecording], set[str | None]]:
    """Return a function that asks the store in which modes the objects of a recording are locked."""
    return lambda archived: {
        house.store.head(stored.key, stored.version_id).mode for stored in archived.objects
    }


def prove(operator: Catalogue, *, faults: Iterable[str] = (), place: str = PLACE, **more: Any) -> None:
    proof = WormProof(place, more.get("at", NOW), not faults, "not shown", tuple(faults))
    with operator.transaction() as connection:
        worm_proofs.keep(connection, proof)


def oblige(operator: Catalogue, tenant: Tenant, *classes: RetentionClass) -> str:
    with operator.transaction(tenant.id) as connection:
        duty = legal_duties.register(
            connection, tenant.id, "Wft 4:14", classes or (SEVEN,), "operator:0", NOW
        )
    return duty.id


def test_a_registered_duty_on_a_proved_bucket_locks_for_good(
    archive: Any, modes: Any, operator: Catalogue, bakery: Tenant
) -> None:
    prove(operator)
    oblige(operator, bakery)
    assert modes(archive()) == {"COMPLIANCE"}


def test_a_licence_of_seven_years_is_no_duty(archive: Any, modes: Any, operator: Catalogue) -> None:
    """An erasure the law asks for must be possible."""
    prove(operator)
    assert modes(archive()) == {"GOVERNANCE"}


@pytest.mark.parametrize("proof", ["none", "failed", "of another bucket", "too old"])
def test_a_bucket_that_is_not_proved_never_gets_it(
    archive: Any, modes: Any, operator: Catalogue, bakery: Tenant, proof: str
) -> None:
    """R7: and the recording is archived all the same."""
    oblige(operator, bakery)
    if proof == "failed":
        prove(operator)
        prove(operator, faults=["minio shorten: a lock under COMPLIANCE was shortened"])
    elif proof == "of another bucket":
        prove(operator, place="s3.example/bucket")
    elif proof == "too old":
        prove(operator, at=NOW - PROOF_AGE_MAX - timedelta(seconds=1))
    assert modes(archive()) == {"GOVERNANCE"}


def test_a_duty_is_about_its_classes_and_its_tenant_while_it_is_in_force(
    archive: Any, modes: Any, operator: Catalogue, bakery: Tenant, florist: Tenant, database: Any
) -> None:
    prove(operator)
    oblige(operator, florist)
    assert modes(archive()) == {"GOVERNANCE"}
    duty = oblige(operator, bakery, SEVEN, RetentionClass.DAYS_365)
    firm = archive()
    assert modes(archive(RetentionClass.DAYS_90)) == {"GOVERNANCE"}
    assert modes(archive(RetentionClass.DAYS_365)) == {"COMPLIANCE"}
    admin = database.connect()
    admin.execute("SET session_replication_role TO replica")  # two people did, as test_duties has it
    admin.execute("UPDATE legal_duties SET ended_by = 'operator:0', ended_at = now() WHERE id = %s", (duty,))
    assert modes(archive()) == {"GOVERNANCE"}
    assert modes(firm) == {"COMPLIANCE"}, "no lock that stands changes"


def test_what_was_put_before_the_duty_is_not_taken_for_what_it_asks(
    house: Any, archive: Any, modes: Any, operator: Catalogue, bakery: Tenant, finished: FinishedRecording,
    outcome_of: Any,
) -> None:  # fmt: skip
    """A try that was broken off left objects under GOVERNANCE; the next one puts its own beside them."""
    recording = dataclasses.replace(finished.recording, retention_class=SEVEN)
    finished = dataclasses.replace(finished, recording=recording)

    class Stopped(Exception):  # noqa: N818 - a kill, not a fault
        pass

    class Stopping(AuditWriter):
        def append(self, *args: Any, **fields: Any) -> Any:
            raise Stopped

    stopping = Stopping(house.catalogue, "recorder/test")
    with pytest.raises(Stopped):
        house.ingest(audit=stopping).archive(finished, outcome_of(finished))
    prove(operator)
    oblige(operator, bakery)
    assert modes(house.ingest().archive(finished, outcome_of(finished))) == {"COMPLIANCE"}


def test_a_key_that_is_wrapped_anew_is_locked_as_its_recording(
    house: Any, archive: Any, operator: Catalogue, worker: Catalogue, bakery: Tenant
) -> None:
    prove(operator)
    oblige(operator, bakery)
    archived = archive()
    audit = AuditWriter(worker, "worker/test")
    rewrapping = Rewrapping(house.store, house.vault, worker, audit, house.clock)
    rewrapping.supersede(bakery.id, archived.kek_id, actor="operator:0", reason="rotation")
    (key,) = [each for each in house.store.versions("") if "/key." in each.key]
    assert house.store.head(key.key, key.version_id).mode == "COMPLIANCE"


def test_an_embedded_store_is_the_same_bucket_on_another_port() -> None:
    """And a server elsewhere is another one, whatever its bucket is called."""
    assert place_of("http://127.0.0.1:8333", "b") == place_of("http://localhost:9000", "b") == "localhost/b"
    assert place_of("https://s3.example", "b") == "s3.example/b"
    assert len({place_of(f"https://s3.example{port}", "b") for port in ("", ":9000")}) == 2
