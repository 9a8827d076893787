"""The copy of a case in the bucket: what of it must survive the loss of the database.

    <tenant>/cases/<case>/<number>      one line of JSON in clear, then the sealed case

The line names the KEK and the commitment, no name and no time. Each number is written once; the
newest that opens counts, and the number is bound into the seal, so that an old copy opens under
no newer one. The KEK is the case's own, kept in the key store alone: it goes when the case has
ended, and nothing opens any copy of a copy then.

Rules: no lock with a term, for nobody knows when a case ends; a legal hold of the store instead,
which goes with the case (docs/adr/0031). Not here: what a case is (`archive.catalogue.cases`), when
a copy is written (`retention.case_copies`), and reading them back (`archive.rebuild_cases`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from pydantic import TypeAdapter, ValidationError

from archive.data_key import Vault, make_data_key, open_data_key, translated_key_errors
from archive.errors import VerificationFailed
from archive.model import RecordingId, TenantId
from archive.record import Base64
from keys.binding import Binding
from keys.streaming_aead import SealPin, open_sealed, seal

FORMAT = "earwitness case 1"
FOLDER = "cases"
"""Beside the recordings of a tenant; no recording's id is a word."""

HEADER_BYTES_MAX = 4096

COPY_BYTES_MAX = 64 * 1024 * 1024
"""Some 400,000 recordings. Of a larger case they are left out: the store's holds on them stay."""

NUMBER_DIGITS_MAX = 12
"""More copies than a case ever has; a stray whose number is longer would make the next key too long."""

NUMBER_MAX = 10**NUMBER_DIGITS_MAX - 1

OBJECT_BYTES_MAX = COPY_BYTES_MAX + COPY_BYTES_MAX // 1024 + HEADER_BYTES_MAX
"""A copy with its seals and its header."""


@dataclass(frozen=True)
class CopiedRule:
    """A rule for later calls, or one that was ended; of a person also their numbers, from first to last."""

    id: str
    user_id: str | None
    number: str | None
    made_by: str
    made_at: datetime
    numbers: tuple[tuple[str, str], ...] = ()
    ended_by: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class CopiedAdmission:
    """Who hears what a case holds, or did until they were taken off."""

    id: str
    user_id: str
    added_by: str
    added_at: datetime
    removed_by: str | None
    removed_at: datetime | None


@dataclass(frozen=True)
class CopiedMember:
    """A recording that was put into a case."""

    recording_id: RecordingId
    added_by: str
    added_at: datetime


@dataclass(frozen=True)
class CopiedCase:
    """A case with all that belongs to it, as it was when it was copied."""

    tenant_id: TenantId
    id: str
    name: str
    reason: str
    opened_by: str
    opened_at: datetime
    release_reason: str | None
    release_asked_by: str | None
    release_asked_at: datetime | None
    released_by: str | None
    released_at: datetime | None
    rules: tuple[CopiedRule, ...]
    people: tuple[CopiedAdmission, ...]
    members: tuple[CopiedMember, ...]


@dataclass(frozen=True)
class _Header:
    format: str
    kek_id: str
    wrapped_key: Base64
    sealed: SealPin


_HEADER, _CASE = TypeAdapter(_Header), TypeAdapter(CopiedCase)


def copies_prefix(tenant_id: TenantId, case_id: str) -> str:
    """Return what the keys of all copies of a case begin with."""
    return f"{tenant_id}/{FOLDER}/{case_id}/"


def copy_key(tenant_id: TenantId, case_id: str, number: int) -> str:
    """Return the key of a copy."""
    return f"{copies_prefix(tenant_id, case_id)}{number}"


def place_of(key: str) -> tuple[TenantId, str, int] | None:
    """Return tenant, case and number of a copy by its key, None for any other object."""
    parts = key.split("/")
    if len(parts) != 4 or parts[1] != FOLDER:
        return None
    number = parts[3]
    is_number = number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX
    return (TenantId(parts[0]), parts[2], int(number)) if is_number else None


def key_owner(case_id: str) -> TenantId:
    """Return under whose name the KEK of a case stands: no tenant's, so that no recording hangs there."""
    return TenantId(f"case-{case_id}")


def fitted(case: CopiedCase) -> CopiedCase:
    """Return what of a case a copy holds: all of it, or all but its recordings."""
    return case if len(_CASE.dump_json(case)) <= COPY_BYTES_MAX else replace(case, members=())


def knows_more(copy: CopiedCase, case: CopiedCase) -> bool:
    """Tell whether a copy has what a case of the database lacks: then that is the database of yesterday."""
    return not (
        _rules(copy) <= _rules(case)
        and _admissions(copy) <= _admissions(case)
        and {each.recording_id for each in copy.members} <= {each.recording_id for each in case.members}
    )


def _rules(case: CopiedCase) -> set[tuple[str, bool]]:
    """Return which rules were made, and which were ended."""
    ended = {(each.id, True) for each in case.rules if each.ended_at is not None}
    return ended | {(each.id, False) for each in case.rules}


def _admissions(case: CopiedCase) -> set[tuple[str, bool]]:
    """Return who was admitted, and who was taken off."""
    ended = {(each.id, True) for each in case.people if each.removed_at is not None}
    return ended | {(each.id, False) for each in case.people}


def sealed_copy(vault: Vault, case: CopiedCase, number: int) -> bytes:
    """Return the object that holds a case; raises KeysUnavailable."""
    content = _CASE.dump_json(case)
    data_key = make_data_key(vault, key_owner(case.id), RecordingId(case.id), date.max)
    sealed = seal(data_key.key, _binding(case.tenant_id, case.id, number), content)
    header = _Header(FORMAT, data_key.kek_id, data_key.wrapped, sealed.pin)
    return _HEADER.dump_json(header) + b"\n" + sealed.ciphertext


def opened_copy(vault: Vault, key: str, data: bytes) -> CopiedCase:
    """Return the case in an object.

    Raises NotFound (its key was destroyed or never there), VerificationFailed, KeysUnavailable.
    """
    place = place_of(key)
    if place is None:
        raise VerificationFailed(f"{key} is no copy of a case.")
    tenant_id, case_id, number = place
    end = data.find(b"\n", 0, HEADER_BYTES_MAX)
    try:
        header = _HEADER.validate_json(data[: max(end, 0)])
    except ValidationError as error:
        raise VerificationFailed("The copy of a case has no readable header.") from error
    if header.format != FORMAT:
        raise VerificationFailed("The copy of a case was written by another version of earwitness.")
    if not header.kek_id.startswith(f"{key_owner(case_id)}/"):
        raise VerificationFailed("The copy of a case names the key of something else.")
    try:
        data_key = open_data_key(
            vault, key_owner(case_id), RecordingId(case_id), header.kek_id, header.wrapped_key
        )
        with translated_key_errors():
            content = open_sealed(
                data_key.key, _binding(tenant_id, case_id, number), data[end + 1 :], header.sealed
            )
        return _CASE.validate_json(content)
    except ValueError as error:
        raise VerificationFailed("The copy of a case does not have the expected shape.") from error


def _binding(tenant_id: TenantId, case_id: str, number: int) -> bytes:
    return Binding(tenant_id, case_id, f"case/{number}").associated_data()
