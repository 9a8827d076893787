"""Which recordings get a lock nobody can take back: those a legal duty is about, on a proved bucket.

COMPLIANCE holds against everybody until its date, an erasure that the law asks for
included. So it takes two things: a duty the tenant registered for the retention class
(`archive.catalogue.legal_duties`), and a bucket whose self-test passed recently
(`archive.catalogue.worm_proofs`). Everything else is locked under GOVERNANCE.

Rules: a missing or failed proof never keeps a recording from being archived. Not here:
until when a lock stands.
"""

from __future__ import annotations

from datetime import datetime

from archive.catalogue import legal_duties, worm_proofs
from archive.catalogue.engine import Catalogue
from archive.model import RetentionClass, TenantId
from archive.store.object import Store


def compliance_classes(
    catalogue: Catalogue, store: Store, tenant_id: TenantId, now: datetime
) -> frozenset[RetentionClass]:
    """Return the classes whose recordings are locked under COMPLIANCE now; raises CatalogueUnavailable."""
    duties = legal_duties.classes_in_force(catalogue, tenant_id)
    return duties if duties and is_proved(catalogue, store, now) else frozenset()


def is_proved(catalogue: Catalogue, store: Store, now: datetime) -> bool:
    """Return whether this very bucket was proved to lock, recently enough; raises CatalogueUnavailable."""
    proof = worm_proofs.proof_of(catalogue, store.place)
    return proof is not None and proof.holds(now)
