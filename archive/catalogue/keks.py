"""Which data keys hang from which key-encryption key, and which of those are on their way out.

A KEK may only be destroyed when no recording hangs from it that is to stay, and none
may be committed under it meanwhile. So whoever commits a wrapped data key calls `hold`
in that transaction, and whoever is to destroy a KEK calls `retire` first: the two wait
for each other by a lock on the id, which ends with the transaction.

Rules: retiring is for ever, as destroying is. The keys themselves are elsewhere
(`keys.kek`); here are only their ids. Not here: the order of it all (`archive.rewrap`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import LargeBinary, Text, column, func, or_, select, update, values
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import store_holds
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import destructions, exports, recordings, retired_keks, sessions
from archive.errors import KeyRetired, NotFound
from archive.model import RecordingId, TenantId


@dataclass(frozen=True)
class WrappedKey:
    """A data key as it is stored: wrapped under the KEK `kek_id`."""

    kek_id: str
    wrapped: bytes


def hold(connection: Connection, kek_id: str) -> None:
    """Keep a KEK from being retired until this transaction ends; raises KeyRetired when it was."""
    connection.execute(select(func.pg_advisory_xact_lock_shared(_lock_number(kek_id))))
    # A statement of its own: what the lock waited for is seen only by the next one.
    if connection.execute(select(retired_keks.c.kek_id).where(retired_keks.c.kek_id == kek_id)).first():
        raise KeyRetired("The key of that day has just been replaced; call again to take the next one.")


def retire(catalogue: Catalogue, tenant_id: TenantId, kek_id: str, *, now: datetime) -> None:
    """Let nothing more be committed under a KEK; returns after who holds it has ended. Repeatable."""
    with catalogue.transaction(tenant_id) as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_lock_number(kek_id))))
        row = {"kek_id": kek_id, "tenant_id": tenant_id, "retired_at": now}
        connection.execute(upsert(retired_keks).values(row).on_conflict_do_nothing())


def note_destroyed(connection: Connection, kek_id: str, *, now: datetime) -> None:
    """Write down that a retired KEK is destroyed."""
    columns = retired_keks.c
    connection.execute(
        update(retired_keks)
        .where(columns.kek_id == kek_id, columns.destroyed_at.is_(None))
        .values(destroyed_at=now)
    )


def unfinished(catalogue: Catalogue, tenant_id: TenantId) -> tuple[str, ...]:
    """Return the KEKs that were retired and not destroyed yet: somebody has to go on."""
    columns = retired_keks.c
    statement = (
        select(columns.kek_id)
        .where(columns.tenant_id == tenant_id, columns.destroyed_at.is_(None))
        .order_by(columns.retired_at, columns.kek_id)
    )
    with catalogue.transaction(tenant_id) as connection:
        found = connection.execute(statement).scalars().all()
    # Those of exports are gone on with by the sweep of exports.
    return tuple(kek_id for kek_id in found if kek_id.startswith(f"{tenant_id}/"))


def fresh(catalogue: Catalogue, tenant_id: TenantId, since: datetime) -> frozenset[str]:
    """Return the KEKs that take over from a retired one, or took over since then."""
    columns = retired_keks.c
    recent = or_(columns.destroyed_at.is_(None), columns.destroyed_at >= since)
    statement = select(columns.kek_id).where(columns.tenant_id == tenant_id, recent)
    with catalogue.transaction(tenant_id) as connection:
        former = list(connection.execute(statement).scalars())
    return frozenset(_next(kek_id) for kek_id in former)


def used(catalogue: Catalogue, tenant_id: TenantId) -> dict[str, int]:
    """Return how many recordings hang from each KEK of a tenant."""
    columns = recordings.c
    statement = (
        select(columns.kek_id, func.count().label("recordings"))
        # What was destroyed hangs from none.
        .where(columns.tenant_id == tenant_id, columns.kek_id != "")
        .group_by(columns.kek_id)
    )
    with catalogue.transaction(tenant_id) as connection:
        return {row.kek_id: row.recordings for row in connection.execute(statement)}


def of_recordings(catalogue: Catalogue, tenant_id: TenantId) -> dict[RecordingId, str]:
    """Return the KEK each recording of a tenant hangs from, "" for those that were destroyed."""
    columns = recordings.c
    statement = select(columns.id, columns.kek_id).where(columns.tenant_id == tenant_id)
    with catalogue.transaction(tenant_id) as connection:
        known = {RecordingId(row.id): str(row.kek_id) for row in connection.execute(statement)}
        # Of one that was destroyed in quarantine no row is left.
        gone = select(destructions.c.recording_id).where(destructions.c.tenant_id == tenant_id)
        return {**{RecordingId(each): "" for each in connection.execute(gone).scalars()}, **known}


def needed(catalogue: Catalogue, tenant_id: TenantId) -> frozenset[str]:
    """Return the KEKs from which recordings, destructions without a certificate, or exports hang."""
    gone = destructions.c
    statements = (
        select(recordings.c.kek_id).where(recordings.c.tenant_id == tenant_id, recordings.c.kek_id != ""),
        select(gone.kek_id).where(gone.tenant_id == tenant_id, gone.destroyed_at.is_(None)),
        select(exports.c.kek_id).where(exports.c.tenant_id == tenant_id, exports.c.kek_id.is_not(None)),
    )
    with catalogue.transaction(tenant_id) as connection:
        return frozenset(
            kek_id for each in statements for kek_id in connection.execute(each.distinct()).scalars()
        )


def is_anything_known(catalogue: Catalogue, tenant_id: TenantId) -> bool:
    """Return whether the catalogue tells of any session of a tenant: an empty one was just made, or lost."""
    statement = select(sessions.c.id).where(sessions.c.tenant_id == tenant_id).limit(1)
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).first() is not None


def hanging(
    connection: Connection, tenant_id: TenantId, kek_id: str, besides: Collection[RecordingId] = ()
) -> int:
    """Return how many recordings hang from a KEK, not counting `besides`."""
    columns = recordings.c
    statement = select(func.count()).where(columns.tenant_id == tenant_id, columns.kek_id == kek_id)
    if besides:
        statement = statement.where(columns.id.not_in(sorted(besides)))
    return int(connection.execute(statement).scalar_one())


def hand_over(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    former: WrappedKey,
    wrapped: WrappedKey,
) -> bool:
    """Let a recording hang from another KEK; return False when its key is not `former` any more.

    The wrapped key was put beside its objects: holds of the store are looked at again.
    """
    columns = recordings.c
    changed = connection.execute(
        update(recordings)
        .where(
            columns.tenant_id == tenant_id,
            columns.id == recording_id,
            columns.kek_id == former.kek_id,
            columns.wrapped_key == former.wrapped,
        )
        .values(
            kek_id=wrapped.kek_id,
            wrapped_key=wrapped.wrapped,
            store_hold=store_holds.after_new_object(),
        )
    )
    return changed.rowcount == 1


def hand_over_all(
    connection: Connection, tenant_id: TenantId, changes: Sequence[tuple[RecordingId, WrappedKey, WrappedKey]]
) -> int:
    """Do as `hand_over` with many recordings, each with its former and its new key; return how many changed.

    Two statements, however many there are. The rows are locked in the order of their ids first, as
    everybody locks several.
    """
    if not changes:
        return 0
    columns = recordings.c
    ids = [recording_id for recording_id, _, _ in changes]
    connection.execute(
        select(columns.id)
        .where(columns.tenant_id == tenant_id, columns.id.in_(ids))
        .order_by(columns.id)
        .with_for_update(key_share=True)
    )
    change = values(
        column("id", Text),
        column("former_kek_id", Text),
        column("former", LargeBinary),
        column("kek_id", Text),
        column("wrapped", LargeBinary),
        name="change",
    ).data([(each, old.kek_id, old.wrapped, new.kek_id, new.wrapped) for each, old, new in changes])
    changed = connection.execute(
        update(recordings)
        .where(
            columns.tenant_id == tenant_id,
            columns.id == change.c.id,
            columns.kek_id == change.c.former_kek_id,
            columns.wrapped_key == change.c.former,
        )
        .values(
            kek_id=change.c.kek_id,
            wrapped_key=change.c.wrapped,
            store_hold=store_holds.after_new_object(),
        )
    )
    return changed.rowcount


def key_of(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId) -> WrappedKey:
    """Return the wrapped data key of a recording as it is now; raises NotFound."""
    columns = recordings.c
    statement = select(columns.kek_id, columns.wrapped_key).where(
        columns.tenant_id == tenant_id, columns.id == recording_id
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such recording.")
    return WrappedKey(row.kek_id, bytes(row.wrapped_key))


def _next(kek_id: str) -> str:
    day, version = kek_id.rsplit("/", 1)
    return f"{day}/{int(version) + 1}"


def _lock_number(kek_id: str) -> object:
    return func.hashtextextended(kek_id, 0)
