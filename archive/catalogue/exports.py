"""Exports of evidence in the catalogue: asked for by an auditor, made by a worker, gone after a week.

Rules: reads within one tenant; who may ask is asked before (`archive.access.may_export`).
The parts of an export name what was written for it; a file without a place in its part is
the sound of a recording, read from where it is archived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import keks
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import PAGE_ROWS_MAX, decode_cursor, encode_cursor
from archive.catalogue.rows import by_name
from archive.catalogue.tables import case_recordings, cases, export_parts, exports, recordings
from archive.data_subject import Kept
from archive.errors import Conflict, NotFound, Refused
from archive.model import PLAYABLE_STATES, RecordingId, TenantId, UserId, new_id
from keys.streaming_aead import SealPin

KEPT = timedelta(days=7)
"""Long enough to fetch a large one over a slow line; an export can be made again."""

BEHIND_MAX = timedelta(days=1)
"""How far the time that deletions go by may lie behind the clock exports are asked by, and both be right."""

RECORDINGS_COUNT_MAX = 10_000
"""Ten files each, half of what a package holds; a case of more is exported in parts."""

WAITING_COUNT_MAX = 20
"""Of one tenant at once; each reads every octet of what it exports."""

TEXT_CHARS_MAX = 200
"""Reference and purpose are lines in a report and in the audit log."""


class ExportState(StrEnum):
    """How far an export is."""

    WAITING = "waiting"
    READY = "ready"
    FAILED = "failed"
    ENDED = "ended"


class Container(StrEnum):
    """In what a package leaves: a plain zip, or the container of ETSI EN 319 162-1 (ASiC-E)."""

    ZIP = "zip"
    ASICE = "asice"


@dataclass(frozen=True)
class Export:
    """One export; `done` of `recording_ids` are in it. The key is there once its first part is.

    Of a case, `left_out` of its recordings have no sound that could be exported. What answers a
    data subject names their request, and what is `kept` of each recording. `language` is the one
    it was asked in, and `mail_to` the address of who asked until they are told.
    """

    id: str
    tenant_id: TenantId
    user_id: UserId
    reference: str
    purpose: str
    recording_ids: tuple[RecordingId, ...]
    state: ExportState
    done: int
    size_bytes: int | None
    reason: str | None
    asked_at: datetime
    ready_at: datetime | None
    ends_at: datetime
    kek_id: str | None
    wrapped_key: bytes | None
    request_id: str | None
    kept: Mapping[RecordingId, tuple[Kept, ...] | None] | None
    case_id: str | None
    left_out: int
    container: Container
    language: str
    mail_to: str | None


@dataclass(frozen=True)
class Order:
    """What somebody asks for: which recordings, under which reference, what for, and in what."""

    recording_ids: tuple[RecordingId, ...]
    reference: str
    purpose: str
    container: Container = Container.ZIP
    language: str = "nl"
    case_id: str | None = None
    left_out: int = 0
    mail_to: str | None = None
    request_id: str | None = None
    kept: Mapping[RecordingId, tuple[Kept, ...] | None] | None = None


@dataclass(frozen=True)
class PartFile:
    """A file of a part. `place` is where it begins in the part; None is the sound of a recording."""

    name: str
    sha256: str
    sha512: str
    size_bytes: int
    crc32: int
    place: int | None


@dataclass(frozen=True)
class Part:
    """The files below one prefix, and the sealed object that holds what was written for them."""

    prefix: str
    files: tuple[PartFile, ...]
    object_key: str
    version_id: str
    pin: SealPin
    plaintext_sha256: str
    ciphertext_sha256: str


@dataclass(frozen=True)
class ExportPage:
    """Some exports, newest first, and the cursor of the next page or None at the end."""

    items: tuple[Export, ...]
    next: str | None


def add(
    connection: Connection,
    tenant_id: TenantId,
    user_id: UserId,
    order: Order,
    *,
    now: datetime,
    proposal_id: str | None = None,
) -> Export:
    """Write an export down in the caller's transaction; raises Refused out of bounds, Conflict above them.

    With `proposal_id` two people asked for it. It ends with the first of its recordings: what is
    written about one never outlives it.
    """
    ids = tuple(dict.fromkeys(order.recording_ids))
    if not 1 <= len(ids) <= RECORDINGS_COUNT_MAX:
        raise Refused(f"An export has 1 to {RECORDINGS_COUNT_MAX} recordings, not {len(ids)}.")
    for text in (order.reference, order.purpose):
        if not text.strip() or len(text) > TEXT_CHARS_MAX:
            raise Refused(f"An export has a reference and a purpose of 1 to {TEXT_CHARS_MAX} characters.")
    waits = (exports.c.tenant_id == tenant_id, exports.c.state == ExportState.WAITING.value)
    counted = connection.execute(select(func.count()).select_from(exports).where(*waits)).scalar_one()
    if counted >= WAITING_COUNT_MAX:
        raise Conflict(f"{WAITING_COUNT_MAX} exports are being made already; wait for one.")
    first_end = select(func.min(recordings.c.retain_until)).where(
        recordings.c.tenant_id == tenant_id, recordings.c.id.in_(ids), ~recordings.c.on_hold
    )
    row = {
        "id": new_id(now),
        "tenant_id": tenant_id,
        "user_id": user_id,
        "reference": order.reference,
        "purpose": order.purpose,
        "recording_ids": list(ids),
        "request_id": order.request_id,
        "kept": None if order.kept is None else _kept_json(order.kept),
        "case_id": order.case_id,
        "left_out": order.left_out,
        "container": order.container.value,
        "language": order.language,
        "mail_to": order.mail_to,
        "state": ExportState.WAITING.value,
        "done": 0,
        "asked_at": now,
        "proposal_id": proposal_id,
        "ends_at": min(now + KEPT, connection.execute(first_end).scalar_one() or now + KEPT),
    }
    return _export(connection.execute(insert(exports).returning(exports), row).one())


def of_case(connection: Connection, tenant_id: TenantId, case_id: str) -> tuple[tuple[RecordingId, ...], int]:
    """Return the recordings of a case with sound to export, oldest first, and how many have none.

    No more than RECORDINGS_COUNT_MAX and one are returned. Raises NotFound without such a case.
    """
    columns, within = recordings.c, case_recordings.c
    known = select(cases.c.id).where(cases.c.tenant_id == tenant_id, cases.c.id == case_id)
    if connection.execute(known).first() is None:
        raise NotFound("There is no such case.")
    held = (
        select(columns.id, columns.state)
        .join(case_recordings, within.recording_id == columns.id)
        .where(within.tenant_id == tenant_id, within.case_id == case_id)
    )
    playable = columns.state.in_(sorted(PLAYABLE_STATES))
    ordered = held.where(playable).order_by(columns.started_at, columns.id).limit(RECORDINGS_COUNT_MAX + 1)
    silent = select(func.count()).select_from(held.where(~playable).subquery())
    ids = tuple(RecordingId(row.id) for row in connection.execute(ordered))
    return ids, connection.execute(silent).scalar_one()


def taken_alone(connection: Connection, tenant_id: TenantId, user_id: UserId, *, since: datetime) -> int:
    """Return how many recordings a person asked for since then without a second one.

    What answers data subjects is counted apart (`taken_for_requests`). Others who ask for the same
    person wait until this transaction ends, so that two requests at once count each other.
    """
    alone = exports.c.proposal_id.is_(None), exports.c.request_id.is_(None)
    return _taken(connection, tenant_id, user_id, since, *alone)


def taken_for_requests(
    connection: Connection, tenant_id: TenantId, user_id: UserId, *, since: datetime
) -> int:
    """Return how many recordings a person asked for since then for data subjects; others wait as above."""
    return _taken(connection, tenant_id, user_id, since, exports.c.request_id.is_not(None))


def _taken(
    connection: Connection,
    tenant_id: TenantId,
    user_id: UserId,
    since: datetime,
    *which: ColumnElement[bool],
) -> int:
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"exports/{user_id}", 0))))
    columns = exports.c
    counted = select(func.coalesce(func.sum(func.cardinality(columns.recording_ids)), 0)).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.asked_at > since, *which
    )
    return int(connection.execute(counted).scalar_one())


def get(catalogue: Catalogue, tenant_id: TenantId, export_id: str) -> Export:
    """Return one export of a tenant; raises NotFound."""
    statement = select(exports).where(exports.c.tenant_id == tenant_id, exports.c.id == export_id)
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such export.")
    return _export(row)


def page(
    catalogue: Catalogue, tenant_id: TenantId, *, limit: int = 50, cursor: str | None = None
) -> ExportPage:
    """Return exports of a tenant, newest first; raises Refused for a limit or cursor not ours."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    place = tuple_(exports.c.asked_at, exports.c.id)
    statement = select(exports).where(exports.c.tenant_id == tenant_id)
    if cursor is not None:
        statement = statement.where(place < tuple_(*decode_cursor(cursor)))
    ordered = statement.order_by(exports.c.asked_at.desc(), exports.c.id.desc()).limit(limit + 1)
    with catalogue.transaction(tenant_id) as connection:
        found = [_export(row) for row in connection.execute(ordered)]
    items = tuple(found[:limit])
    following = encode_cursor(items[-1].asked_at, items[-1].id) if len(found) > limit else None
    return ExportPage(items, following)


def of_request(connection: Connection, tenant_id: TenantId, request_id: str) -> tuple[Export, ...]:
    """Return the exports that answer a request of a data subject, newest first."""
    mine = (exports.c.tenant_id == tenant_id, exports.c.request_id == request_id)
    ordered = select(exports).where(*mine).order_by(exports.c.asked_at.desc(), exports.c.id.desc())
    return tuple(_export(row) for row in connection.execute(ordered.limit(PAGE_ROWS_MAX)))


def keep_key(catalogue: Catalogue, export: Export, kek_id: str, wrapped: bytes) -> Export:
    """Keep the key of an export, once, and return the export with the one that is kept.

    Raises KeyRetired when that KEK is on its way out.
    """
    mine = (exports.c.tenant_id == export.tenant_id, exports.c.id == export.id)
    statement = update(exports).where(*mine, exports.c.kek_id.is_(None))
    with catalogue.transaction(export.tenant_id) as connection:
        keks.hold(connection, kek_id)
        connection.execute(statement.values(kek_id=kek_id, wrapped_key=wrapped))
    return get(catalogue, export.tenant_id, export.id)


def parts(catalogue: Catalogue, export: Export) -> tuple[Part, ...]:
    """Return the parts of an export by their prefix, the one of the whole package first."""
    columns = export_parts.c
    statement = select(export_parts).where(
        columns.tenant_id == export.tenant_id, columns.export_id == export.id
    )
    with catalogue.transaction(export.tenant_id) as connection:
        return tuple(_part(row) for row in connection.execute(statement.order_by(columns.prefix)))


def keep_part(catalogue: Catalogue, export: Export, part: Part, *, done: int) -> None:
    """Keep a part, in place of an earlier one of its prefix, and how many recordings are done.

    Raises Conflict when the export does not wait any more: somebody else finished it, or its time is over.
    """
    pin = {
        "plaintext_bytes": part.pin.plaintext_bytes,
        "ciphertext_bytes": part.pin.ciphertext_bytes,
        "segments": part.pin.segments,
        "commitment": part.pin.commitment,
    }
    row = {
        "tenant_id": export.tenant_id,
        "export_id": export.id,
        "prefix": part.prefix,
        "files": [asdict(file) for file in part.files],
        "object_key": part.object_key,
        "version_id": part.version_id,
        "plaintext_sha256": part.plaintext_sha256,
        "ciphertext_sha256": part.ciphertext_sha256,
        **pin,
    }
    changed = {name: value for name, value in row.items() if name not in {"tenant_id", "export_id", "prefix"}}
    statement = upsert(export_parts).values(row)
    with catalogue.transaction(export.tenant_id) as connection:
        if not _change(connection, export, waits=True, done=done):
            raise Conflict("The export is made already, or its time is over.")
        connection.execute(
            statement.on_conflict_do_update(index_elements=["export_id", "prefix"], set_=changed)
        )


def settle(
    connection: Connection,
    export: Export,
    state: ExportState,
    *,
    now: datetime,
    size_bytes: int | None = None,
    reason: str | None = None,
) -> bool:
    """Say how an export that waits ended, in the caller's transaction; return False when it waits no more."""
    ready_at = now if state is ExportState.READY else None
    told = {"state": state.value, "size_bytes": size_bytes, "reason": reason, "ready_at": ready_at}
    told["mail_to"] = None
    return _change(connection, export, waits=True, **told)


def waiting(catalogue: Catalogue, tenant_id: TenantId) -> list[str]:
    """Return the ids of exports of a tenant that are to be made, oldest first."""
    wanted = (exports.c.tenant_id == tenant_id, exports.c.state == ExportState.WAITING.value)
    statement = select(exports.c.id).where(*wanted).order_by(exports.c.asked_at).limit(WAITING_COUNT_MAX)
    with catalogue.transaction(tenant_id) as connection:
        return list(connection.execute(statement).scalars())


def over(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> list[Export]:
    """Return exports whose time is over and of which something is left, some of them."""
    statement = (
        select(exports)
        .where(
            exports.c.tenant_id == tenant_id,
            exports.c.ends_at <= now,
            exports.c.state != ExportState.ENDED.value,
        )
        .limit(PAGE_ROWS_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return [_export(row) for row in connection.execute(statement)]


def bound(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> int:
    """Let no export outlive the longest it could be kept for from a time that is believed; return how many.

    One asked for by a clock that was ahead would end years later than its week.
    """
    columns = exports.c
    beyond = columns.ends_at > now + KEPT + BEHIND_MAX, columns.state != ExportState.ENDED.value
    statement = update(exports).where(columns.tenant_id == tenant_id, *beyond).values(ends_at=now + KEPT)
    with catalogue.transaction(tenant_id) as connection:
        return connection.execute(statement).rowcount


def end_with(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, *, now: datetime
) -> None:
    """End every export in which a recording is that goes now: a sweep clears up behind them."""
    columns = exports.c
    connection.execute(
        update(exports)
        .where(
            columns.tenant_id == tenant_id,
            columns.ends_at > now,
            columns.recording_ids.contains([recording_id]),
        )
        .values(ends_at=now)
    )


def is_shared(catalogue: Catalogue, export: Export) -> bool:
    """Return whether another export hangs from the same KEK."""
    others = (
        exports.c.tenant_id == export.tenant_id,
        exports.c.kek_id == export.kek_id,
        exports.c.id != export.id,
    )
    with catalogue.transaction(export.tenant_id) as connection:
        return connection.execute(select(exports.c.id).where(*others).limit(1)).first() is not None


def forget(catalogue: Catalogue, export: Export) -> None:
    """Forget the parts and the key of an export; the row stays and says that it ended."""
    columns = export_parts.c
    mine = (columns.tenant_id == export.tenant_id, columns.export_id == export.id)
    with catalogue.transaction(export.tenant_id) as connection:
        connection.execute(delete(export_parts).where(*mine))
        _change(connection, export, state=ExportState.ENDED.value, kek_id=None, wrapped_key=None)


def _change(connection: Connection, export: Export, *, waits: bool = False, **values: object) -> bool:
    """Change an export, with `waits` only one that is to be made; tell whether there was one."""
    mine = [exports.c.tenant_id == export.tenant_id, exports.c.id == export.id]
    if waits:
        mine.append(exports.c.state == ExportState.WAITING.value)
    return connection.execute(update(exports).where(*mine).values(**values)).rowcount == 1


def _export(row: Row[Any]) -> Export:
    fields = by_name(row)
    del fields["proposal_id"]
    ids = tuple(RecordingId(each) for each in fields.pop("recording_ids"))
    wrapped, kept = fields.pop("wrapped_key"), fields.pop("kept")
    return Export(
        **{**fields, "state": ExportState(fields["state"]), "container": Container(fields["container"])},
        recording_ids=ids,
        wrapped_key=None if wrapped is None else bytes(wrapped),
        kept=None if kept is None else {RecordingId(name): _kept(each) for name, each in kept.items()},
    )


def _kept_json(kept: Mapping[RecordingId, tuple[Kept, ...] | None]) -> dict[str, object]:
    return {name: None if of_it is None else [asdict(each) for each in of_it] for name, of_it in kept.items()}


def _kept(stretches: list[dict[str, Any]] | None) -> tuple[Kept, ...] | None:
    return None if stretches is None else tuple(Kept(**each) for each in stretches)


def _part(row: Row[Any]) -> Part:
    return Part(
        prefix=row.prefix,
        files=tuple(PartFile(**file) for file in row.files),
        object_key=row.object_key,
        version_id=row.version_id,
        pin=SealPin(row.plaintext_bytes, row.ciphertext_bytes, row.segments, row.commitment),
        plaintext_sha256=row.plaintext_sha256,
        ciphertext_sha256=row.ciphertext_sha256,
    )
