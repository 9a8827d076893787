"""The certificate of destruction: what went, when, by which rule and how, signed.

A JSON document with a detached CMS signature beside it. It holds ids that mean nothing outside the archive,
keys of objects with their versions and the SHA-256 of their ciphertext; no number, no name
and nothing that was said. Objects that the catalogue knew and the store did not show any more
when they were to go stand apart: nobody saw them deleted.

Rules: pure. Not here: when it is given (`retention.destruction`).
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

from archive.catalogue.destructions import DestroyedObject, Destruction
from keys.key_store import BACKUP_DAYS_MAX

FORMAT = "earwitness certificate of destruction 1"

METHOD = (
    "Every version of every object named under objects was deleted from the object store and seen gone; "
    "the key that wrapped the data key was {erasure} (NIST SP 800-88: cryptographic erase)."
)


def statement(destruction: Destruction, *, destroyed_at: datetime, erasure: str) -> bytes:
    """Return what is signed of a destruction that is complete, as JSON with sorted names.

    `erasure` is what the key store does with a key that is destroyed.
    """
    assert destruction.objects is not None
    assert destruction.objects_gone_at is not None
    ordered = sorted(destruction.objects, key=lambda each: (each.key, each.version_id))
    document = {
        "format": FORMAT,
        "recordingId": destruction.recording_id,
        "tenantId": destruction.tenant_id,
        "sessionId": destruction.session_id,
        "retentionClass": destruction.retention_class.value,
        "retainUntil": _moment(destruction.retain_until),
        "objectsGoneAt": _moment(destruction.objects_gone_at),
        "destroyedAt": _moment(destroyed_at),
        "objects": [_object(each) for each in ordered if each.found],
        "notFound": [_object(each) for each in ordered if not each.found],
        "key": {"id": destruction.kek_id, "backupsUntil": backups_until(destroyed_at).isoformat()},
        "method": METHOD.format(erasure=erasure),
        "audit": dict(destruction.entries),
    }
    if destruction.proposal_id is not None:
        # Before its term, by the word of two people: the audit log tells of whom.
        document["approvedProposal"] = destruction.proposal_id
    return json.dumps(document, ensure_ascii=True, sort_keys=True, indent=1).encode()


def backups_until(destroyed_at: datetime) -> date:
    """Return the day on which the last backup with the destroyed key in it is gone."""
    return (destroyed_at + timedelta(days=BACKUP_DAYS_MAX)).date()


def _object(each: DestroyedObject) -> dict[str, str | None]:
    return {"key": each.key, "versionId": each.version_id, "ciphertextSha256": each.sha256}


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
