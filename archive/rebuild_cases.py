"""Cases read back from their copies in the bucket, before the recordings are.

Rules: nothing in the bucket is changed. A copy whose key was destroyed is that of a case that
ended. One that opens by no means is told, never passed over: a rule for later calls that is lost
silently loses evidence. Not here: recordings (`archive.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from archive.case_copy import (
    OBJECT_BYTES_MAX,
    CopiedCase,
    CopiedMember,
    opened_copy,
    place_of,
)
from archive.catalogue import restored_cases
from archive.catalogue.directory import ensure_tenant
from archive.catalogue.engine import Catalogue
from archive.data_key import Vault, key_was_destroyed
from archive.errors import ArchiveError, NotFound, VerificationFailed
from archive.model import RecordingId, Tenant, TenantId
from archive.store.object import ObjectVersion, Store

_log = structlog.get_logger()

Doubt = Callable[[str], None]
"""Is told what somebody has to look at."""


@dataclass
class CasesFound:
    """How many cases were missing, and to which cases each recording belongs."""

    added: int = 0
    members: dict[tuple[TenantId, RecordingId], dict[str, CopiedMember]] = field(
        default_factory=lambda: defaultdict(dict)
    )


def rebuild_cases(store: Store, vault: Vault, catalogue: Catalogue, doubt: Doubt) -> CasesFound:
    """Bring back every case whose copy opens; raises DependencyUnavailable.

    Tenants that are missing are made under their id, with a name to be corrected.
    """
    found, now = CasesFound(), store.clock()
    for (tenant_id, case_id), versions in sorted(_copies(store).items()):
        case, number, refusal = _newest_that_opens(store, vault, versions)
        if refusal is not None and not key_was_destroyed(refusal):
            _log.error("ALARM: the copy of a case does not open", case_id=case_id, reason=str(refusal))
            instead = "" if case is None else "; an older one was taken, what was decided since is missing"
            doubt(f"case {case_id} of tenant {tenant_id}: its copy does not open: {refusal}{instead}")
        if case is None:
            continue
        with catalogue.transaction(tenant_id) as connection:
            ensure_tenant(connection, lost_tenant(tenant_id), now=now)
            returned = restored_cases.bring_back(connection, case, number, now=now)
        found.added += returned.is_new
        for each in case.members:
            found.members[tenant_id, each.recording_id][case_id] = each
        for line in returned.doubts:
            doubt(line)
    return found


def lost_tenant(tenant_id: TenantId) -> Tenant:
    """Return a tenant of whom the id alone is known."""
    return Tenant(tenant_id, f"Rebuilt {tenant_id}", f"{tenant_id}.rebuilt.invalid")


def _copies(store: Store) -> dict[tuple[TenantId, str], list[ObjectVersion]]:
    """Return every version of every copy, by case, the newest first."""
    found: dict[tuple[TenantId, str], list[tuple[int, ObjectVersion]]] = defaultdict(list)
    for version in store.versions(""):
        place = place_of(version.key)
        # What is larger than any copy of ours is not read.
        if place is not None and not version.is_delete_marker and version.size_bytes <= OBJECT_BYTES_MAX:
            found[place[:2]].append((place[2], version))
    return {
        case: [version for _, version in sorted(each, key=lambda one: one[0], reverse=True)]
        for case, each in found.items()
    }


def _newest_that_opens(
    store: Store, vault: Vault, versions: list[ObjectVersion]
) -> tuple[CopiedCase | None, int, ArchiveError | None]:
    """Return the case of the first copy that opens with its number, and why the newest does not."""
    refusal: ArchiveError | None = None
    for version in versions:
        place = place_of(version.key)
        number = 0 if place is None else place[2]
        try:
            octets = store.get(version.key, version.version_id)
            return opened_copy(vault, version.key, octets), number, refusal
        except (NotFound, VerificationFailed) as error:
            refusal = refusal or error
    return None, 0, refusal
