"""The tombstone of a recording: that it was destroyed before its term, signed, in the bucket.

    <tenant>/destroyed/<recording>/<claim>      one line of JSON: the statement and its signature

What two people let go early, or an administrator out of quarantine, leaves no object of its own, and an
empty place may as well be a copy of the bucket that lacks something. So whoever has seen the objects gone
says so, by the key that signs certificates of destruction. By this alone a database of yesterday learns
of it (`archive.burial`).

Rules: ids, keys of objects and hashes, no name, no number and nothing that was said. It is locked until
the term the recording had: after that nothing brings it back. A line is believed for its own place
alone, and only when the authority of this archive issued who signed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from pydantic import TypeAdapter, ValidationError

from archive.catalogue.destructions import DestroyedObject
from archive.errors import VerificationFailed
from archive.model import RecordingId, TenantId
from archive.record import Base64
from archive.store.object import GOVERNANCE, Store, StoreCorrupts, sha256_hex
from keys.cms import is_issued_by, verify_detached
from keys.errors import SealBroken
from keys.signatory import Signatory

FORMAT = "earwitness tombstone 1"
FOLDER = "destroyed"
"""Beside the recordings of a tenant; no recording's id is a word."""

TOMBSTONE_BYTES_MAX = 1024 * 1024
"""Some four thousand objects; a recording has five, and one for each play link and each rotation."""


@dataclass(frozen=True)
class Tombstone:
    """What is said of a recording whose objects were seen gone before its term was over."""

    tenant_id: TenantId
    recording_id: RecordingId
    proposal_id: str | None
    """What two people approved; none for what an administrator let go out of quarantine."""

    retain_until: datetime
    gone_at: datetime
    objects: tuple[DestroyedObject, ...]
    format: str = FORMAT


@dataclass(frozen=True)
class _Line:
    statement: Base64
    signature: Base64


_TOMBSTONE, _LINE = TypeAdapter(Tombstone), TypeAdapter(_Line)


def tombstones_prefix(tenant_id: TenantId) -> str:
    """Return what the keys of all tombstones of a tenant begin with."""
    return f"{tenant_id}/{FOLDER}/"


def place_of(key: str) -> tuple[TenantId, RecordingId] | None:
    """Return of which recording a tombstone is by its key, None for any other object."""
    parts = key.split("/")
    if len(parts) != 4 or parts[1] != FOLDER:
        return None
    return TenantId(parts[0]), RecordingId(parts[2])


def lay(store: Store, signatory: Signatory, stone: Tombstone, name: str) -> None:
    """Put a tombstone under a name of its own, durably, and see that it stands there.

    Raises KeyTaken for a name that was used, StoreUnavailable.
    """
    statement = _TOMBSTONE.dump_json(stone)
    line = _Line(statement, signatory.sign(statement, stone.gone_at.replace(microsecond=0)))
    octets = _LINE.dump_json(line) + b"\n"
    key = f"{tombstones_prefix(stone.tenant_id)}{stone.recording_id}/{name}"
    until = stone.retain_until if store.locks and stone.retain_until > store.clock() else None
    version_id = store.put(key, octets, until, GOVERNANCE, sha256=sha256_hex(octets))
    store.barrier()
    if store.get(key, version_id) != octets:
        raise StoreCorrupts(f"The store gives back something else than was put at {key}.")


def said_until(octets: bytes) -> datetime | None:
    """Return until when a tombstone is to be locked by its own words, None for what is no tombstone."""
    try:
        return _TOMBSTONE.validate_json(_LINE.validate_json(octets).statement).retain_until
    except ValidationError:
        return None


def read(key: str, octets: bytes, authority: x509.Certificate) -> Tombstone:
    """Return what a tombstone says; raises VerificationFailed unless this archive said it of this place."""
    try:
        line = _LINE.validate_json(octets)
        signed = verify_detached(line.signature, line.statement)
        stone = _TOMBSTONE.validate_json(line.statement)
    except (ValidationError, SealBroken) as error:
        raise VerificationFailed(f"{key} in the bucket is no tombstone that was signed.") from error
    if not is_issued_by(signed.certificate, authority, signed.signed_at):
        raise VerificationFailed(f"{key} in the bucket was signed by somebody else than this archive.")
    if stone.format != FORMAT or (stone.tenant_id, stone.recording_id) != place_of(key):
        raise VerificationFailed(f"{key} in the bucket is the tombstone of something else.")
    return stone
