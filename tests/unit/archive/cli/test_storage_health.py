"""What the doctor says of the bucket's lock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from archive.catalogue import legal_duties, worm_proofs
from archive.catalogue.engine import Catalogue
from archive.catalogue.scrubs import Progress
from archive.catalogue.worm_proofs import PROOF_AGE_MAX, WormProof
from archive.cli.finding import Verdict
from archive.cli.storage_health import COUNT_AGE_MAX, LOCK, lock_finding, scrub_finding, storage_health
from archive.model import RetentionClass, Tenant
from archive.settings import Settings

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PROVED = WormProof("localhost/earwitness", NOW, True, "no: on this machine", ())
FAILED = WormProof("localhost/earwitness", NOW, False, "no", ("boto3 shorten: a lock was shortened",))


@pytest.mark.parametrize(
    ("proof", "age", "obliged", "verdict", "word"),
    [
        (None, timedelta(), 0, Verdict.NOTE, "never tried out"),
        (None, timedelta(), 2, Verdict.WRONG, "2 customer(s) registered a duty"),
        (PROVED, timedelta(), 2, Verdict.FINE, "lock API proved"),
        (PROVED, timedelta(), 0, Verdict.FINE, "independent custody: no"),
        (PROVED, PROOF_AGE_MAX, 0, Verdict.FINE, "lock API proved"),
        (PROVED, PROOF_AGE_MAX + timedelta(seconds=1), 0, Verdict.NOTE, "too long ago"),
        (PROVED, PROOF_AGE_MAX + timedelta(seconds=1), 1, Verdict.WRONG, "too long ago"),
        (FAILED, timedelta(), 0, Verdict.WRONG, "boto3 shorten"),
    ],
)
def test_the_lock_is_judged_by_its_last_proof_and_by_who_needs_one(
    proof: WormProof | None, age: timedelta, obliged: int, verdict: Verdict, word: str
) -> None:
    """The lock API and independent custody are told apart."""
    finding = lock_finding(proof, NOW + age, obliged=obliged)
    assert finding.verdict is verdict
    assert word in finding.found
    assert bool(finding.advice) == (verdict is not Verdict.FINE)


@pytest.mark.parametrize(
    ("counted", "verdict", "word"),
    [
        (None, Verdict.NOTE, "never counted"),
        ((Progress(7, 0, NOW, 0), NOW), Verdict.FINE, "7 recordings"),
        ((Progress(7, 0, NOW, 0), NOW - COUNT_AGE_MAX), Verdict.FINE, "nothing damaged"),
        ((Progress(7, 0, NOW, 0), NOW - COUNT_AGE_MAX - timedelta(seconds=1)), Verdict.NOTE, "counted"),
        ((Progress(7, 1, NOW, 0), NOW), Verdict.WRONG, "1 recordings were not read again"),
        ((Progress(7, 1, NOW, 2), NOW), Verdict.WRONG, "2 objects are damaged"),
        ((Progress(7, 0, NOW, 0, 1, 1), NOW), Verdict.WRONG, "2 objects are damaged"),
    ],
)
def test_what_is_stored_is_judged_by_what_scrubbing_found(
    counted: tuple[Progress, datetime] | None, verdict: Verdict, word: str
) -> None:
    finding = scrub_finding(counted, NOW)
    assert finding.verdict is verdict
    assert word in finding.found
    assert bool(finding.advice) == (verdict is not Verdict.FINE)


def test_the_doctor_asks_for_the_bucket_of_the_settings(
    database: Any, operator: Catalogue, bakery: Tenant
) -> None:
    settings = Settings(
        database_url=database.url("earwitness_operator"), s3_endpoint="http://127.0.0.1:9", s3_bucket="mine"
    )
    with operator.transaction(bakery.id) as connection:
        legal_duties.register(
            connection, bakery.id, "Wft 4:14", [RetentionClass.YEARS_7_1000], "operator:0", NOW
        )
        worm_proofs.keep(connection, PROVED)
    (found,) = [each for each in storage_health(settings) if each.check == LOCK]
    assert (found.verdict, "1 customer(s) registered" in found.found) == (Verdict.WRONG, True)
    with operator.transaction() as connection:
        worm_proofs.keep(connection, WormProof("localhost/mine", datetime.now(UTC), True, "no", ()))
    (found,) = [each for each in storage_health(settings) if each.check == LOCK]
    assert found.verdict is Verdict.FINE
