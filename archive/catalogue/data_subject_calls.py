"""The calls of a data subject: looked for, found, and what becomes of each in the answer.

They are found by a number in any notation, by a name, or by who they are among the people of
the tenant, whatever side they were on. What was destroyed can't be found: of it no number
and no name is left. That is told as figures, with the day of the oldest call there is.

For each call it is told whether the others can be silenced, and whether it could be erased
before its term: what a case holds can't be, and the other recordings can by two people
(destroying is not done here).

Rules: runs as portal, for who reads all of the tenant; reads everything through an
`AccessScope`. What was found goes with its recording. Not here: the request
(`archive.catalogue.data_subjects`), the rules (`archive.data_subject`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, may_find_data_subject
from archive.catalogue import data_subjects
from archive.catalogue.data_subjects import NOTE_CHARS_MAX, Request
from archive.catalogue.documents import storable
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recording_query import RecordingQuery
from archive.catalogue.recordings import (
    PAGE_ROWS_MAX,
    decode_cursor,
    encode_cursor,
    page_of,
    seen_by,
    whole,
)
from archive.catalogue.rows import in_utc
from archive.catalogue.tables import data_subject_calls as calls
from archive.catalogue.tables import data_subject_searches as searches
from archive.catalogue.tables import destructions, recording_parties, recordings, users
from archive.data_subject import (
    Inseparable,
    Kept,
    Sought,
    SoughtBy,
    Step,
    Treatment,
    after,
    is_on,
    kept_of,
    sought_of,
)
from archive.errors import NotFound, Refused
from archive.model import PLAYABLE_STATES, ArchivedRecording, ObjectKind, Recording, RecordingId, new_id

FOUND_COUNT_MAX = 10_000
"""Calls of one search: a person with more is asked to say which they mean (GDPR, recital 63)."""

SEARCHES_COUNT_MAX = 50
"""Of one request: a person has some numbers and names."""

SOUGHT_CHARS_MAX = 200
AUDIO_MEDIA_TYPE = "audio/flac"


@dataclass(frozen=True)
class Search:
    """What was looked for, by whom and when, and how many calls were found that day."""

    id: str
    sought: Sought
    found: int
    searched_by: str
    searched_at: datetime


@dataclass(frozen=True)
class Call:
    """A call of a data subject. `kept` is where they are heard alone, or why they can't be.

    `channels` are those they are on, by name; `gone` says that its destruction has begun.
    """

    recording: Recording
    channels: tuple[str, ...]
    kept: tuple[Kept, ...] | Inseparable
    treatment: Treatment | None
    reason: str | None
    chosen_by: str | None
    chosen_at: datetime | None

    @property
    def playable(self) -> bool:
        """Whether its sound is there."""
        return self.recording.state in PLAYABLE_STATES

    @property
    def separable(self) -> bool:
        """Whether the others can be silenced."""
        return not isinstance(self.kept, Inseparable)


@dataclass(frozen=True)
class Absence:
    """What can't be found any more, as figures of the whole tenant."""

    destroyed: int
    last_destroyed_at: datetime | None
    oldest_call_at: datetime | None


@dataclass(frozen=True)
class Summary:
    """The calls of a request by what was decided of them."""

    calls: int
    undecided: int
    muted: int
    whole: int
    left_out: int
    held: int

    @property
    def given(self) -> int:
        """How many are in the package."""
        return self.muted + self.whole


def search(
    connection: Connection, scope: AccessScope, request_id: str, by: SoughtBy, text: str, *, now: datetime
) -> Search:
    """Look for the calls of a data subject and put them on the request.

    Raises Refused without the right, for what is no number or name, for too many; NotFound
    for a request or person that is not there, Conflict before identification and after the answer.
    """
    require_finder(scope)
    request = data_subjects.locked(connection, scope, request_id)
    after(request.state, Step.SEARCH)
    if len(text) > SOUGHT_CHARS_MAX:
        raise Refused(f"What is looked for has at most {SOUGHT_CHARS_MAX} characters.")
    counted = select(func.count()).select_from(searches).where(_searches_of(request))
    if connection.execute(counted).scalar_one() >= SEARCHES_COUNT_MAX:
        raise Refused(f"Of one request {SEARCHES_COUNT_MAX} numbers and names are looked for.")
    sought = sought_of(by, storable(text))
    found = _found(connection, scope, sought)
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "request_id": request.id,
        "sought_by": sought.by.value,
        "value": sought.value,
        "found": len(found),
        "searched_by": scope.actor,
        "searched_at": now,
    }
    made = connection.execute(insert(searches).values(row).returning(searches)).one()
    of_request = {"tenant_id": scope.tenant_id, "request_id": request.id}
    if found:
        rows = [{**of_request, "recording_id": each} for each in sorted(found)]
        connection.execute(upsert(calls).on_conflict_do_nothing(), rows)
    return _search(made)


def choose(
    connection: Connection,
    scope: AccessScope,
    request_id: str,
    recording_ids: Iterable[RecordingId],
    treatment: Treatment,
    *,
    reason: str = "",
    now: datetime,
) -> int:
    """Say what becomes of calls in the answer; return of how many.

    All but silencing the others takes a reason. Raises Refused without the right, without a
    reason, or where the others can't be silenced; NotFound for a call that was not found.
    """
    require_finder(scope)
    request = data_subjects.locked(connection, scope, request_id)
    after(request.state, Step.CHOOSE)
    plain = reason.strip()
    if treatment is not Treatment.MUTED and not 1 <= len(plain) <= NOTE_CHARS_MAX:
        raise Refused(f"Say why, in at most {NOTE_CHARS_MAX} characters.")
    wanted = frozenset(recording_ids)
    found = of_ids(connection, scope, request, sorted(wanted))
    if not wanted or len(found) != len(wanted):
        raise NotFound("There is no such call on this request.")
    if treatment is Treatment.MUTED and not all(each.separable for each in found):
        raise Refused("In at least one of these calls the others can't be silenced.")
    told = None if treatment is Treatment.MUTED else storable(plain)
    return _settle(connection, scope, request, found, treatment, told, now)


def choose_all(connection: Connection, scope: AccessScope, request_id: str, *, now: datetime) -> int:
    """Silence the others wherever nothing was decided and it can be done; return in how many calls."""
    require_finder(scope)
    request = data_subjects.locked(connection, scope, request_id)
    after(request.state, Step.CHOOSE)
    undecided = select(calls.c.recording_id).where(_calls_of(request), calls.c.treatment.is_(None))
    ids = [RecordingId(each) for each in connection.execute(undecided).scalars()]
    found = of_ids(connection, scope, request, ids)
    wanted = [each for each in found if each.separable and each.playable]
    return _settle(connection, scope, request, wanted, Treatment.MUTED, None, now)


def _settle(  # noqa: PLR0917 - the words of one row
    connection: Connection,
    scope: AccessScope,
    request: Request,
    found: Iterable[Call],
    treatment: Treatment,
    reason: str | None,
    now: datetime,
) -> int:
    """Write down what becomes of calls of a request; return of how many."""
    ids = sorted(each.recording.id for each in found)
    values = {"treatment": treatment.value, "reason": reason, "chosen_by": scope.actor, "chosen_at": now}
    theirs = update(calls).where(_calls_of(request), calls.c.recording_id.in_(ids))
    return connection.execute(theirs.values(values)).rowcount


def searches_of(connection: Connection, request: Request) -> tuple[Search, ...]:
    """Return what was looked for, oldest first."""
    statement = select(searches).where(_searches_of(request)).order_by(searches.c.searched_at, searches.c.id)
    return tuple(map(_search, connection.execute(statement)))


def page(
    catalogue: Catalogue, scope: AccessScope, request_id: str, limit: int, cursor: str | None
) -> tuple[tuple[Call, ...], str | None]:
    """Return a page of the calls of a request, newest first; raises Refused, NotFound."""
    require_finder(scope)
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    columns = recordings.c
    with catalogue.transaction(scope.tenant_id) as connection:
        request = data_subjects.read(connection, scope, request_id)
        statement: Select[Any] = (
            select(columns.id, columns.started_at)
            .join(calls, calls.c.recording_id == columns.id)
            .where(_calls_of(request), seen_by(scope))
            .order_by(columns.started_at.desc(), columns.id.desc())
            .limit(limit + 1)
        )
        if cursor is not None:
            behind = tuple_(columns.started_at, columns.id) < tuple_(*decode_cursor(cursor))
            statement = statement.where(behind)
        rows = connection.execute(statement).all()
        found = of_ids(connection, scope, request, [RecordingId(row.id) for row in rows[:limit]])
    more = len(rows) > limit
    return found, encode_cursor(rows[limit - 1].started_at, rows[limit - 1].id) if more else None


def of_ids(
    connection: Connection, scope: AccessScope, request: Request, ids: Sequence[RecordingId]
) -> tuple[Call, ...]:
    """Return calls of a request by the ids of their recordings, newest first, those the scope may see."""
    columns = calls.c
    rows = {
        row.recording_id: row
        for row in connection.execute(select(calls).where(_calls_of(request), columns.recording_id.in_(ids)))
    }
    seen = select(recordings.c.id).where(seen_by(scope), recordings.c.id.in_(sorted(rows)))
    archived = whole(connection, [RecordingId(each) for each in connection.execute(seen).scalars()])
    sought = [each.sought for each in searches_of(connection, request)]
    found = [_call(each, rows[each.recording.id], sought) for each in archived]
    newest = sorted(found, key=lambda each: (each.recording.started_at, each.recording.id), reverse=True)
    return tuple(newest)


def to_export(
    connection: Connection, scope: AccessScope, request: Request
) -> Mapping[RecordingId, tuple[Kept, ...] | None]:
    """Return what goes into a package: where the person is heard alone, or None for the whole recording.

    Raises Refused while a call is not decided of, or nothing is to be given.
    """
    statement = select(calls.c.recording_id).where(_calls_of(request))
    ids = [RecordingId(each) for each in connection.execute(statement).scalars()]
    found = of_ids(connection, scope, request, ids)
    if any(each.treatment is None and each.playable for each in found):
        raise Refused("Decide of every call first: silence the others, give the whole, or leave it out.")
    plan: dict[RecordingId, tuple[Kept, ...] | None] = {}
    for each in found:
        if not each.playable or each.treatment is Treatment.LEFT_OUT:
            continue
        if each.treatment is Treatment.WHOLE:
            plan[each.recording.id] = None
        elif isinstance(each.kept, Inseparable):
            raise Refused("In a call the others can't be silenced any more; decide of it again.")
        else:
            plan[each.recording.id] = each.kept
    if not plan:
        raise Refused("No call is to be given: there is nothing to export.")
    return plan


def summary(connection: Connection, request: Request) -> Summary:
    """Return how many calls a request has, by what was decided of them."""
    columns = calls.c

    def counted(name: str, treatment: Treatment | None) -> Any:
        of_it = columns.treatment.is_(None) if treatment is None else columns.treatment == treatment.value
        return func.count().filter(of_it).label(name)

    row = connection.execute(
        select(
            func.count().label("calls"),
            counted("undecided", None),
            counted("muted", Treatment.MUTED),
            counted("whole", Treatment.WHOLE),
            counted("left_out", Treatment.LEFT_OUT),
            func.count().filter(recordings.c.on_hold).label("held"),
        )
        .select_from(calls.join(recordings, recordings.c.id == columns.recording_id))
        .where(_calls_of(request))
    ).one()
    return Summary(*row)


def absence(connection: Connection, scope: AccessScope) -> Absence:
    """Return what can't be found any more: how many recordings were destroyed, and what the oldest one is."""
    gone = destructions.c
    destroyed = connection.execute(
        select(func.count().label("number"), func.max(gone.destroyed_at).label("last")).where(
            gone.tenant_id == scope.tenant_id, gone.destroyed_at.is_not(None)
        )
    ).one()
    columns = recordings.c
    oldest = connection.execute(
        select(func.min(columns.started_at)).where(
            columns.tenant_id == scope.tenant_id, columns.state.in_(sorted(PLAYABLE_STATES))
        )
    ).scalar()
    return Absence(destroyed.number, in_utc(destroyed.last), in_utc(oldest))


def require_finder(scope: AccessScope) -> None:
    """Raise Refused unless the scope may look for the calls of a data subject."""
    if not may_find_data_subject(scope):
        raise Refused("Looking for somebody's calls is for the auditor, who sees everything.")


def _found(connection: Connection, scope: AccessScope, sought: Sought) -> frozenset[RecordingId]:
    """Return the recordings of calls somebody was on; raises Refused for too many."""
    if sought.by is SoughtBy.NAME:
        return _found_by_name(connection, scope, sought)
    party = recording_parties.c
    wanted: ColumnElement[bool]
    if sought.by is SoughtBy.NUMBER:
        of_them = party.number == sought.value
        wanted = recordings.c.id.in_(select(party.recording_id).where(_in_tenant(scope), of_them))
    else:
        known = select(users.c.id).where(users.c.tenant_id == scope.tenant_id, users.c.id == sought.value)
        if connection.execute(known).first() is None:
            raise NotFound("There is no such person.")
        of_them = party.user_id == sought.value
        parties = select(party.recording_id).where(_in_tenant(scope), of_them)
        wanted = or_(recordings.c.owner == sought.value, recordings.c.id.in_(parties))
    statement = select(recordings.c.id).where(seen_by(scope), wanted).limit(FOUND_COUNT_MAX + 1)
    return _bounded([RecordingId(each) for each in connection.execute(statement).scalars()])


def _found_by_name(connection: Connection, scope: AccessScope, sought: Sought) -> frozenset[RecordingId]:
    """Return recordings with a party of that name: a search over everything, and of it who has the name."""
    found: list[RecordingId] = []
    query, cursor = RecordingQuery(text=sought.value), None
    while len(found) <= FOUND_COUNT_MAX:
        page_ = page_of(connection, scope, query, PAGE_ROWS_MAX, cursor)
        on_it = (each.id for each in page_.items if any(is_on(party, [sought]) for party in each.parties))
        found.extend(on_it)
        cursor = page_.next
        if cursor is None:
            break
    return _bounded(found)


def _bounded(found: Sequence[RecordingId]) -> frozenset[RecordingId]:
    if len(found) > FOUND_COUNT_MAX:
        raise Refused(f"More than {FOUND_COUNT_MAX} calls are found: ask which of them are meant.")
    return frozenset(found)


def _in_tenant(scope: AccessScope) -> Any:
    return recording_parties.c.tenant_id == scope.tenant_id


def _searches_of(request: Request) -> Any:
    return and_(searches.c.tenant_id == request.tenant_id, searches.c.request_id == request.id)


def _calls_of(request: Request) -> Any:
    return and_(calls.c.tenant_id == request.tenant_id, calls.c.request_id == request.id)


def _call(archived: ArchivedRecording, row: Row[Any], sought: Sequence[Sought]) -> Call:
    recording = archived.recording
    decodable = any(
        each.kind is ObjectKind.AUDIO and each.media_type == AUDIO_MEDIA_TYPE for each in archived.objects
    )
    on = dict.fromkeys(party.channel for party in recording.parties if is_on(party, sought))
    return Call(
        recording=recording,
        channels=tuple(on),
        kept=kept_of(recording, sought, decodable=decodable),
        treatment=None if row.treatment is None else Treatment(row.treatment),
        reason=row.reason,
        chosen_by=row.chosen_by,
        chosen_at=in_utc(row.chosen_at),
    )


def _search(row: Row[Any]) -> Search:
    sought = Sought(SoughtBy(row.sought_by), row.value)
    return Search(row.id, sought, row.found, row.searched_by, row.searched_at.astimezone(UTC))
