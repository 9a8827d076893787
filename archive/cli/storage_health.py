"""What `earwitness doctor` says of the bucket: whether its lock is proved, and what duties ask of it.

It tells what the worker found last and tries nothing out itself.
"""

from __future__ import annotations

from datetime import datetime

from archive.catalogue import legal_duties, worm_proofs
from archive.catalogue.directory import list_tenants
from archive.catalogue.engine import Catalogue
from archive.catalogue.worm_proofs import WormProof
from archive.cli.finding import Finding, Verdict
from archive.clock import SystemClock
from archive.settings import Settings
from archive.store.object import place_of

LOCK = "lock of the bucket"
TRY = "run earwitness storage verify-worm"


def storage_health(settings: Settings) -> list[Finding]:
    """Return what is known of the bucket of the settings; raises Refused, CatalogueUnavailable."""
    settings.require("database_url")
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    try:
        proof = worm_proofs.proof_of(catalogue, place_of(settings.s3_endpoint, settings.s3_bucket))
        return [lock_finding(proof, SystemClock().now(), obliged=_obliged(catalogue))]
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


def _obliged(catalogue: Catalogue) -> int:
    """Return how many tenants have a duty in force."""
    return sum(
        bool(legal_duties.classes_in_force(catalogue, tenant.id)) for tenant in list_tenants(catalogue)
    )
