"""The data key of a recording: made once, wrapped under the key of its tenant and expiry day.

Every object of a recording is sealed under its one data key, bound to tenant,
recording and kind. The key itself is only ever in memory; wrapped it stands in the
intent of an ingest, in the catalogue and beside the objects.

What the keys package raises becomes the archive's words here: a key store that is
away is a dependency that is away, a key that was destroyed is a thing not found,
a seal that does not open is a failed verification.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from archive.errors import DependencyUnavailable, NotFound, VerificationFailed
from archive.model import ObjectKind, RecordingId, TenantId
from keys.binding import Binding
from keys.envelope import new_key, unwrap_key, wrap_key
from keys.errors import KeyDestroyed, KeyNotFound, KeysError, SealBroken
from keys.kek import Kek

# Days of retention are days of the customers' calendar (DESIGN 2.4).
CALENDAR = ZoneInfo("Europe/Amsterdam")


class KeysUnavailable(DependencyUnavailable):
    """The key store or its root is away or locked; the work is kept and tried again."""


class Vault(Protocol):
    """What the archive asks of `keys.kek.KekVault`."""

    def current(self, tenant_id: str, expiry_day: date) -> Kek:
        """Return the newest key of the tenant and day, made if there is none."""

    def get(self, kek_id: str) -> Kek:
        """Return the key with this id."""

    def rotate(self, kek_id: str) -> Kek:
        """Return the version after `kek_id`, made now if need be; the old one stays."""


@dataclass(frozen=True)
class DataKey:
    """A data key in memory, and how it is stored: wrapped under the KEK `kek_id`."""

    kek_id: str
    wrapped: bytes
    key: bytes = field(repr=False)


def expiry_day(retain_until: datetime) -> date:
    """Return the calendar day in Europe/Amsterdam on which the retention of a recording ends."""
    return retain_until.astimezone(CALENDAR).date()


def object_binding(tenant_id: TenantId, recording_id: RecordingId, kind: ObjectKind) -> bytes:
    """Return the associated data that ties a sealed object to its tenant, recording and kind."""
    return Binding(tenant_id, recording_id, kind.value).associated_data()


def make_data_key(vault: Vault, tenant_id: TenantId, recording_id: RecordingId, day: date) -> DataKey:
    """Make the data key of a recording that expires on `day`; raises `KeysUnavailable`."""
    with translated_key_errors():
        return rewrap_data_key(vault.current(tenant_id, day), tenant_id, recording_id, new_key())


def next_kek(vault: Vault, kek_id: str) -> Kek:
    """Return the newest version of a KEK's day, which comes after it; raises `KeysUnavailable`."""
    tenant_id, day, _version = kek_id.split("/")
    with translated_key_errors():
        with suppress(KeyDestroyed):
            vault.rotate(kek_id)
        return vault.current(tenant_id, date.fromisoformat(day))


def rewrap_data_key(kek: Kek, tenant_id: TenantId, recording_id: RecordingId, key: bytes) -> DataKey:
    """Return a data key wrapped under `kek`, for this recording alone."""
    return DataKey(kek.id, wrap_key(kek.key, key, _context(tenant_id, recording_id)), key)


def unwrap_data_key(kek: Kek, tenant_id: TenantId, recording_id: RecordingId, wrapped: bytes) -> DataKey:
    """Return the data key in `wrapped`; raises SealBroken unless `kek` wrapped it for this recording."""
    return DataKey(kek.id, wrapped, unwrap_key(kek.key, wrapped, _context(tenant_id, recording_id)))


def open_data_key(
    vault: Vault, tenant_id: TenantId, recording_id: RecordingId, kek_id: str, wrapped: bytes
) -> DataKey:
    """Unwrap the data key of a recording.

    Raises `NotFound` when its KEK was destroyed, `VerificationFailed` when it was
    wrapped for another recording or altered, `KeysUnavailable`.
    """
    with translated_key_errors():
        return unwrap_data_key(vault.get(kek_id), tenant_id, recording_id, wrapped)


@contextmanager
def translated_key_errors() -> Iterator[None]:
    """Turn what the keys package raises into the archive's words."""
    try:
        yield
    except (KeyNotFound, KeyDestroyed) as error:
        raise NotFound(
            "The key of this recording was destroyed or never kept; it can't be opened."
        ) from error
    except SealBroken as error:
        raise VerificationFailed("A sealed object or key is not what was archived; report it.") from error
    except KeysError as error:
        raise KeysUnavailable("The key store is away or locked; unlock it, the work waits.") from error


def key_was_destroyed(refusal: Exception) -> bool:
    """Tell whether something can't be opened because its KEK was destroyed, as it is meant to be."""
    return isinstance(refusal, NotFound) and isinstance(refusal.__cause__, KeyDestroyed)


def destroyed_key_day(refusal: Exception) -> date | None:
    """Return the day of the KEK that was destroyed, the last of the term; None when it tells none."""
    cause = refusal.__cause__
    day = cause.name.split("/")[1] if isinstance(cause, KeyDestroyed) and cause.name.count("/") else ""
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None


def _context(tenant_id: TenantId, recording_id: RecordingId) -> bytes:
    return Binding(tenant_id, recording_id, "data-key").associated_data()
