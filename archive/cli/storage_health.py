"""What `earwitness doctor` says of the bucket: whether its lock is proved, and what it holds is whole.

It tells what the worker found last; it tries nothing out and reads nothing itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from archive.catalogue import legal_duties, scrubs, worm_proofs
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.catalogue.scrubs import Progress
from archive.catalogue.worm_proofs import WormProof
from archive.cli.finding import Finding, Verdict
from archive.clock import SystemClock
from archive.settings import Settings
from archive.store.object import place_of

LOCK = "lock of the bucket"
SCRUB = "stored objects"
COUNT_AGE_MAX = timedelta(days=1)
"""A worker counts every quarter of an hour."""

TRY = "run earwitness storage verify-worm"


def storage_health(settings: Settings) -> list[Finding]:
    """Return what is known of the bucket of the settings; raises Refused, CatalogueUnavailable."""
    settings.require("database_url")
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    try:
        proof = worm_proofs.proof_of(catalogue, place_of(settings.s3_endpoint, settings.s3_bucket))
        now = SystemClock().now()
        return [
            lock_finding(proof, now, obliged=_obliged(catalogue)),
            scrub_finding(scrubs.progress(catalogue), now),
        ]
    finally:
        catalogue.close()


def lock_finding(proof: WormProof | None, now: datetime, *, obliged: int) -> Finding:
    """Judge the last proof; `obliged` customers have a duty that asks for one."""
    wanted = f"; {obliged} customer(s) registered a duty that asks for it" if obliged else ""
    bad = Verdict.WRONG if obliged else Verdict.NOTE
    if proof is None:
        return Finding(LOCK, bad, f"never tried out{wanted}", TRY)
    tried = f"{proof.at:%Y-%m-%d %H:%M} UTC"
    if not proof.is_proved:
        faults = "; ".join(proof.faults)
        return Finding(
            LOCK,
            Verdict.WRONG,
            f"NOT PROVED, this bucket is not WORM ({tried}): {faults}",
            "use another store",
        )
    found = f"lock API proved {tried}; independent custody: {proof.custody}"
    if not proof.holds(now):
        return Finding(LOCK, bad, f"{found}. That is too long ago{wanted}", f"is the worker running? {TRY}")
    return Finding(LOCK, Verdict.FINE, found)


def scrub_finding(counted: tuple[Progress, datetime] | None, now: datetime) -> Finding:
    """Judge what scrubbing found, and how far it is."""
    if counted is None:
        return Finding(SCRUB, Verdict.NOTE, "never counted", "is the worker running?")
    progress, at = counted
    oldest = "" if progress.oldest_at is None else f", the oldest reading of {progress.oldest_at:%Y-%m-%d}"
    found = f"{progress.recordings} recordings{oldest}"
    if progress.damaged:
        found = f"{progress.damaged} objects are damaged; {found}"
        return Finding(SCRUB, Verdict.WRONG, found, "earwitness storage scrub names them")
    if progress.overdue:
        found = f"{progress.overdue} recordings were not read again for 90 days; {found}"
        return Finding(SCRUB, Verdict.WRONG, found, "is the worker running? run earwitness storage scrub")
    if now - at > COUNT_AGE_MAX:
        return Finding(
            SCRUB, Verdict.NOTE, f"{found}; counted {at:%Y-%m-%d %H:%M} UTC", "is the worker running?"
        )
    return Finding(SCRUB, Verdict.FINE, f"{found}, nothing damaged")


def _obliged(catalogue: Catalogue) -> int:
    """Return how many tenants have a duty in force."""
    return sum(
        bool(legal_duties.classes_in_force(catalogue, tenant.id)) for tenant in list_tenants(catalogue)
    )
