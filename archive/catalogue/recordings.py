"""Recordings in the catalogue: inserted once, read only through an `AccessScope`.

`insert_recording` works inside the caller's transaction, so that row and audit entry
commit together, and does nothing the second time. Every read takes a scope and adds
its filter; there is no read without one. The filter says what `archive.access.may_read`
says (a test compares the two), and row-level security stands behind it.

Rules: what is outside the scope is NotFound, not refused. Pages go by key (start or
duration, and id), so that new recordings never shift them.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    RowMapping,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import UNSEEN_STATES, AccessScope
from archive.catalogue import case_rules, documents, rollups
from archive.catalogue.documents import storable
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recording_query import (
    BEGINNING,
    END,
    EVERYTHING,
    SEARCH_CHARS_MAX,
    RecordingQuery,
    Sort,
    from_first_heard,
    in_case,
    looks_of,
    place_of,
    statement_of,
    table_of,
)
from archive.catalogue.tables import case_recordings, recording_objects, recording_parties, recordings
from archive.errors import Conflict, NotFound, Refused
from archive.model import (
    GOING_STATES,
    PLAYABLE_STATES,
    ArchivedRecording,
    CallGroupId,
    CaseRecording,
    Direction,
    Layout,
    ObjectKind,
    PacketCounts,
    Party,
    PeerId,
    Recording,
    RecordingId,
    RecordingMode,
    RecordingState,
    RetentionClass,
    SessionId,
    Span,
    SpanKind,
    StoredObject,
    TenantId,
    UserId,
)

__all__ = [
    "CURSOR_CHARS_MAX",
    "EVERYTHING",
    "PAGE_ROWS_MAX",
    "SEARCH_CHARS_MAX",
    "Page",
    "RecordingQuery",
    "Sort",
    "cursor_of",
    "decode_cursor",
    "encode_cursor",
    "find",
    "get",
    "in_transaction",
    "insert_recording",
    "page_of",
    "seen_by",
    "selected",
    "standing",
    "storable",
    "whole",
]

PAGE_ROWS_MAX = 200
"""CONTRACT: `limit=1..200`; a page of that size is about 200 kB of JSON."""

CURSOR_CHARS_MAX = 200
"""A day within what a time can be, so that no zone of anybody leaves it."""


@dataclass(frozen=True)
class Page:
    """Some recordings, and the cursor of the next page or None at the end."""

    items: tuple[Recording, ...]
    next: str | None


def insert_recording(
    connection: Connection, archived: ArchivedRecording, *, is_rebuilt: bool = False
) -> ArchivedRecording | None:
    """Insert a recording with its parties and objects into the caller's transaction, once.

    Into cases it comes by the rules of now; one that `is_rebuilt` was archived before, and comes
    by none that was made after its call. Returns None when it was inserted now (the caller then
    appends the audit entry), or what stood there under that id already. Raises Conflict when the
    id is taken outside the tenant of the transaction.
    """
    row = _row(archived)
    held_by = case_rules.following(connection, archived.recording, made_by_end=is_rebuilt)
    row["on_hold"] = bool(held_by) or archived.recording.on_hold
    # Either of the keys that hold the id may be the one that two at once meet at.
    statement = upsert(recordings).on_conflict_do_nothing().returning(recordings.c.id)
    if connection.execute(statement, row).first() is None:
        existing = _load(connection, recordings.c.id == archived.recording.id)
        if not existing:
            raise Conflict("A recording of another tenant has this id; the new one is not stored.")
        return existing[0]
    _insert_parts(connection, archived)
    case_rules.follow(connection, archived.recording, held_by)
    documents.index(connection, archived.recording)
    size_bytes = sum(stored.ciphertext_bytes for stored in archived.objects)
    rollups.recorded(connection, archived.recording, size_bytes)
    return None


def get(catalogue: Catalogue, scope: AccessScope, recording_id: RecordingId) -> ArchivedRecording:
    """Return one recording with its objects and wrapped key; raises NotFound outside the scope."""
    condition = and_(recordings.c.id == recording_id, _within(scope))
    with catalogue.transaction(scope.tenant_id) as connection:
        found = _load(connection, condition, scope)
    if not found:
        raise NotFound("There is no such recording.")
    return found[0]


def under_kek(
    connection: Connection, tenant_id: TenantId, kek_id: str, *, after: str, count: int
) -> list[ArchivedRecording]:
    """Return up to `count` recordings whose data key hangs from a KEK, by id, those behind `after`.

    Without a scope: whoever keeps the keys works for everybody of the tenant and hears nothing.
    """
    columns = recordings.c
    chosen = (
        select(columns.id)
        .where(columns.tenant_id == tenant_id, columns.kek_id == kek_id, columns.id > after)
        .order_by(columns.id)
        .limit(count)
    )
    return sorted(_load(connection, columns.id.in_(chosen)), key=lambda archived: archived.recording.id)


def standing(connection: Connection, tenant_id: TenantId) -> list[RecordingId]:
    """Return the ids of the recordings of a tenant that stand in the bucket, whatever their state.

    Those that are being destroyed are not among them. Without a scope, as `under_kek`.
    """
    columns = recordings.c
    chosen = (
        select(columns.id)
        .where(columns.tenant_id == tenant_id, columns.state.not_in(sorted(GOING_STATES)))
        .where(exists(select(1).where(recording_objects.c.recording_id == columns.id)))
        .order_by(columns.id)
    )
    return [RecordingId(each) for each in connection.execute(chosen).scalars()]


def whole(connection: Connection, ids: Sequence[RecordingId]) -> list[ArchivedRecording]:
    """Return recordings with their objects and wrapped keys, by id. Without a scope, as `under_kek`."""
    return sorted(_load(connection, recordings.c.id.in_(ids)), key=lambda archived: archived.recording.id)


def reached(
    catalogue: Catalogue, scope: AccessScope, ids: Iterable[RecordingId], *, playable: bool = False
) -> frozenset[RecordingId]:
    """Return which of these recordings the scope may see; with `playable`, whose sound is there too."""
    statement = select(recordings.c.id).where(_within(scope), recordings.c.id.in_(sorted(ids)))
    if playable:
        statement = statement.where(recordings.c.state.in_(sorted(PLAYABLE_STATES)))
    with catalogue.transaction(scope.tenant_id) as connection:
        return frozenset(RecordingId(each) for each in connection.execute(statement).scalars())


def seen_by(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter for the recordings the scope may see, for statements of other tables."""
    return _within(scope)


def in_transaction(connection: Connection, recording_id: RecordingId) -> Recording:
    """Return a recording for a change to it in the caller's transaction, which has asked who may.

    Raises NotFound.
    """
    found = _load(connection, recordings.c.id == recording_id)
    if not found:
        raise NotFound("There is no such recording.")
    return found[0].recording


def find(
    catalogue: Catalogue,
    scope: AccessScope,
    query: RecordingQuery = EVERYTHING,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return a page of what the scope may see and the query asks for, newest first or as it sorts.

    `limit` is 1 to PAGE_ROWS_MAX; `cursor` comes from the page before. Raises Refused
    for a limit, cursor or text that is not acceptable.
    """
    with catalogue.transaction(scope.tenant_id) as connection:
        return page_of(connection, scope, query, limit, cursor)


def page_of(
    connection: Connection, scope: AccessScope, query: RecordingQuery, limit: int, cursor: str | None
) -> Page:
    """Return the page of `find` in the caller's transaction, which is planned for pages from then on."""
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    after = None if cursor is None else decode_cursor(cursor)
    connection.execute(documents.PLAN_FOR_PAGES)
    reached = query if _owners(scope) is None else from_first_heard(connection, scope, query)
    for statement in looks_of(connection, reached, _within(scope), _owners(scope), after):
        rows = connection.execute(_with_cases(statement, scope).limit(limit + 1)).all()
        if len(rows) > limit:
            break
    parties = _parties(connection, [row.id for row in rows[:limit]])
    items = tuple(_recording(row, parties.get(row.id, ())) for row in rows[:limit])
    return Page(items, cursor_of(query.sort, items[-1]) if len(rows) > limit else None)


def selected(connection: Connection, scope: AccessScope, query: RecordingQuery) -> Select[Any]:
    """Return the statement for what the scope may see and the query asks for."""
    return statement_of(connection, query, _within(scope), _owners(scope), None)


def _owners(scope: AccessScope) -> frozenset[UserId] | None:
    """Return the only people whose recordings the scope may see, None when that is not known."""
    if scope.reads_all or scope.reads_quarantine or scope.heard_case_ids:
        return None
    heard = frozenset(each.user_id for each in scope.hearings)
    return heard if scope.own is None else heard | {scope.own}


def cursor_of(sort: Sort, recording: Recording) -> str:
    """Return the cursor for what stands behind a recording in an order."""
    return encode_cursor(place_of(sort, recording), recording.id)


def encode_cursor(started_at: datetime, row_id: str) -> str:
    """Return an opaque text for a place in a list ordered by start and id."""
    return base64.urlsafe_b64encode(f"{started_at.isoformat()} {row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """Read what `encode_cursor` wrote; raises Refused for anything else."""
    refused = Refused("The cursor is not one of ours; begin again without it.")
    if len(cursor) > CURSOR_CHARS_MAX:
        raise refused
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, row_id = text.partition(" ")
        started_at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise refused from error
    if started_at.tzinfo is None or not BEGINNING <= started_at <= END or not row_id.isprintable():
        raise refused
    return started_at, row_id


def _within(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter that says the same as `archive.access.may_read`."""
    state = recordings.c.state
    quarantined = state == RecordingState.QUARANTINED
    reached = true() if scope.reads_all else _reached(scope)
    if scope.heard_case_ids:
        reached = or_(reached, in_case(sorted(scope.heard_case_ids)))
    administers = true() if scope.reads_quarantine else false()
    return and_(
        recordings.c.tenant_id == scope.tenant_id,
        state.not_in(sorted(UNSEEN_STATES)),
        or_(and_(quarantined, administers), and_(~quarantined, reached)),
    )


def _reached(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter for the scope's own recordings, and those it hears by way of teams.

    People are named first, which is what an index finds; whom the scope hears from a moment
    or until one is looked at once more, by the start of the recording.
    """
    owner, began = recordings.c.owner, recordings.c.started_at
    always = {each.user_id for each in scope.hearings if each.since is None and each.until is None}
    if scope.own is not None:
        always.add(scope.own)
    bounded = sorted(
        (each.user_id, each.since or BEGINNING, each.until or END)
        for each in scope.hearings
        if each.user_id not in always
    )
    if not bounded:
        return owner.in_(sorted(always))
    period, users = table_of(bounded), [user_id for user_id, *_ in bounded]
    within = exists(
        select(1).where(period.c.user_id == owner, began >= period.c.since, began < period.c.until)
    )
    return and_(owner.in_(sorted(always.union(users))), or_(owner.in_(sorted(always)), within))


def _row(archived: ArchivedRecording) -> dict[str, object]:
    recording = archived.recording
    fields = {field.name: getattr(recording, field.name) for field in dataclasses.fields(Recording)}
    del fields["parties"]
    packets = fields.pop("packets")
    for name in ("session_id", "call_id", "call_group", "sha256"):
        fields[name] = storable(fields[name])
    return {
        **fields,
        "site": None if recording.site is None else storable(recording.site),
        "spans": [
            {**dataclasses.asdict(span), "by": None if span.by is None else storable(span.by)}
            for span in recording.spans
        ],
        "channels": [storable(channel) for channel in recording.channels],
        "flags": [storable(flag) for flag in recording.flags],
        **{f"packets_{name}": value for name, value in dataclasses.asdict(packets).items()},
        "kek_id": archived.kek_id,
        "wrapped_key": archived.wrapped_key,
    }


def _insert_parts(connection: Connection, archived: ArchivedRecording) -> None:
    recording = archived.recording
    of_recording = {"tenant_id": recording.tenant_id, "recording_id": recording.id}
    parties = [
        {
            **of_recording,
            **dataclasses.asdict(party),
            "position": position,
            "channel": storable(party.channel),
            "number": storable(party.number),
            "name": storable(party.name),
        }
        for position, party in enumerate(recording.parties)
    ]
    objects = [{**of_recording, **dataclasses.asdict(stored)} for stored in archived.objects]
    if parties:
        connection.execute(insert(recording_parties), parties)
    if objects:
        connection.execute(insert(recording_objects), objects)


def _with_cases(statement: Select[Any], scope: AccessScope) -> Select[Any]:
    """Return the statement with the cases of the scope that hold each recording, where there are any."""
    if not scope.heard_case_ids:
        return statement
    of_case = case_recordings.c
    holding = select(of_case.case_id).where(
        of_case.tenant_id == recordings.c.tenant_id,
        of_case.recording_id == recordings.c.id,
        of_case.case_id.in_(sorted(scope.heard_case_ids)),
    )
    return statement.add_columns(
        func.array(holding.correlate(recordings).scalar_subquery()).label("case_ids")
    )


def _load(
    connection: Connection, condition: ColumnElement[bool], scope: AccessScope | None = None
) -> list[ArchivedRecording]:
    statement = _WHOLE if scope is None else _with_cases(_WHOLE, scope)
    return [
        ArchivedRecording(
            recording=_recording(row, tuple(_party(party) for party in row.parties or ())),
            objects=tuple(_object(stored) for stored in row.objects or ()),
            kek_id=row.kek_id,
            wrapped_key=bytes(row.wrapped_key),
        )
        for row in connection.execute(statement.where(condition))
    ]


def _gathered(table: Table, order: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the rows of a recording in a table that hangs from it, as objects of JSON."""
    rows = func.json_agg(aggregate_order_by(table.table_valued(), order))
    of_recording = table.c.recording_id == recordings.c.id
    return select(rows).where(of_recording).correlate(recordings).scalar_subquery()


# The order of upload is the order of the enumeration, which SQL does not know.
_UPLOADED = func.array_position(list(ObjectKind), recording_objects.c.kind)

# A player asks with each range, so that all of a recording comes by one statement.
_WHOLE = select(
    recordings,
    _gathered(recording_parties, recording_parties.c.position).label("parties"),
    _gathered(recording_objects, _UPLOADED).label("objects"),
)


def _party(row: RowMapping | Mapping[str, Any]) -> Party:
    return Party(row["channel"], row["number"], row["name"], row["user_id"], row["from_ms"], row["to_ms"])


def _object(row: Mapping[str, Any]) -> StoredObject:
    fields = {field.name: row[field.name] for field in dataclasses.fields(StoredObject)}
    return StoredObject(**{**fields, "kind": ObjectKind(row["kind"])})


def _parties(connection: Connection, ids: list[str]) -> dict[str, tuple[Party, ...]]:
    columns = recording_parties.c
    statement = select(recording_parties).where(columns.recording_id.in_(ids)).order_by(columns.position)
    found: dict[str, tuple[Party, ...]] = {}
    for row in connection.execute(statement):
        party = _party(row._mapping)  # noqa: SLF001 - the public name of a row's columns, despite its underscore
        found[row.recording_id] = (*found.get(row.recording_id, ()), party)
    return found


def _recording(row: Row[Any], parties: tuple[Party, ...]) -> Recording:
    recording = _facts(row, parties)
    case_ids = getattr(row, "case_ids", None)
    if not case_ids:
        return recording
    return CaseRecording.of(recording, case_ids)


def _facts(row: Row[Any], parties: tuple[Party, ...]) -> Recording:
    return Recording(
        id=RecordingId(row.id),
        tenant_id=TenantId(row.tenant_id),
        session_id=SessionId(row.session_id),
        call_id=row.call_id,
        call_group=CallGroupId(row.call_group),
        state=RecordingState(row.state),
        mode=RecordingMode(row.mode),
        owner=None if row.owner is None else UserId(row.owner),
        peer_id=None if row.peer_id is None else PeerId(row.peer_id),
        direction=Direction(row.direction),
        layout=Layout(row.layout),
        started_at=row.started_at.astimezone(UTC),
        ended_at=row.ended_at.astimezone(UTC),
        duration_ms=row.duration_ms,
        recorded_ms=row.recorded_ms,
        parties=parties,
        retention_class=RetentionClass(row.retention_class),
        retain_until=row.retain_until.astimezone(UTC),
        spans=tuple(Span(**{**span, "kind": SpanKind(span["kind"])}) for span in row.spans),
        packets=PacketCounts(
            received=row.packets_received,
            lost=row.packets_lost,
            duplicated=row.packets_duplicated,
            reordered=row.packets_reordered,
        ),
        sha256=row.sha256,
        channels=tuple(row.channels),
        sample_rate_hz=row.sample_rate_hz,
        flags=tuple(row.flags),
        on_hold=row.on_hold,
        site=row.site,
    )
