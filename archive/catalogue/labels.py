"""Labels: names with a colour and a shape that a tenant shares, and the recordings that carry them.

A label that is retired is offered no more; recordings that carry it keep it, and so does what
they are found by. A recording is found by a label's name as it is today.

Rules: whoever may write on recordings adds labels to those of the tenant and to recordings;
renaming, recolouring and retiring is administration, since others use them. A name is offered
once, whatever its capitals. Every earlier value stays (`archive.catalogue.revisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.access import AccessScope, may_administer, may_make_labels
from archive.catalogue import documents, search
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.revisions import changed, expect, require_annotating
from archive.catalogue.tables import labels, recording_labels
from archive.errors import Conflict, NotFound, Refused
from archive.model import Recording, RecordingId, new_id

NAME_CHARS_MAX = 40
"""It stands in a row of the list; a sentence is a note."""

USES_COUNT_MAX = 1000
"""So many recordings of a label are counted; a page waits for no more."""

LABELS_PER_TENANT_MAX = 500
"""Retired ones count. Nobody chooses from more, and each search by words reads their names."""

LABELS_PER_RECORDING_MAX = 20
"""More labels than that tell nothing of a call any more."""


class Colour(StrEnum):
    """The colours a label may have; none is that of a pause, a loss or what can be pressed."""

    GREEN = "green"
    BLUE = "blue"
    ORANGE = "orange"
    PURPLE = "purple"
    PINK = "pink"
    BROWN = "brown"
    OLIVE = "olive"
    GREY = "grey"


class Shape(StrEnum):
    """The shape of a label's mark, so that it is told without its colour too."""

    SQUARE = "square"
    RING = "ring"
    DOT = "dot"
    DIAMOND = "diamond"
    TRIANGLE = "triangle"
    BAR = "bar"


@dataclass(frozen=True)
class Label:
    """A label of a tenant; a retired one is offered no more."""

    id: str
    name: str
    colour: Colour
    shape: Shape
    retired: bool
    revision: int


@dataclass(frozen=True)
class NewLabel:
    """A label that is to be; a colour or shape of None becomes one that few others have."""

    name: str
    colour: Colour | None = None
    shape: Shape | None = None


def of_tenant(catalogue: Catalogue, scope: AccessScope, *, retired: bool = False) -> list[Label]:
    """Return the labels of the tenant by name: those that are offered, or with `retired` all."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return of_tenant_within(connection, scope, retired=retired)


def of_tenant_within(connection: Connection, scope: AccessScope, *, retired: bool = False) -> list[Label]:
    """Do as `of_tenant` in the caller's transaction."""
    statement = select(labels).where(labels.c.tenant_id == scope.tenant_id)
    if not retired:
        statement = statement.where(~labels.c.retired)
    rows = connection.execute(statement.order_by(labels.c.retired, labels.c.name_key, labels.c.id))
    return [_label(row) for row in rows]


def get(catalogue: Catalogue, scope: AccessScope, label_id: str) -> Label:
    """Return one label; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _found(connection, scope, label_id)


def uses(catalogue: Catalogue, scope: AccessScope, label_id: str | None = None) -> Mapping[str, int]:
    """Return how many recordings carry each label, or one label, counted to one more than USES_COUNT_MAX."""
    columns = recording_labels.c
    some = (
        select(literal_column("1"))
        .where(columns.label_id == labels.c.id, columns.tenant_id == scope.tenant_id, columns.attached)
        .limit(USES_COUNT_MAX + 1)
        .correlate(labels)
        .subquery()
    )
    counted = select(func.count()).select_from(some).scalar_subquery()
    statement = select(labels.c.id, counted).where(labels.c.tenant_id == scope.tenant_id)
    if label_id is not None:
        statement = statement.where(labels.c.id == label_id)
    with catalogue.transaction(scope.tenant_id) as connection:
        connection.execute(documents.PLAN_FOR_PAGES)
        return {row[0]: row[1] for row in connection.execute(statement) if row[1]}


def make(catalogue: Catalogue, scope: AccessScope, wanted: NewLabel, *, now: datetime) -> Label:
    """Add a label.

    Raises Refused for who may not or a name that can't be shown, Conflict for one that is
    taken or one label too many.
    """
    with catalogue.transaction(scope.tenant_id) as connection:
        return _make(connection, scope, wanted, now)


def change(
    catalogue: Catalogue,
    scope: AccessScope,
    label_id: str,
    *,
    name: str | None = None,
    colour: Colour | None = None,
    shape: Shape | None = None,
    retired: bool | None = None,
    revision: int | None = None,
    now: datetime,
) -> Label:
    """Change a label, as administrator; what is None stays. Raises NotFound, Refused or Conflict."""
    if not may_administer(scope):
        raise Refused("Labels are changed by administrators, since others use them.")
    given = {"colour": colour, "shape": shape, "retired": retired}
    values: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if name is not None:
        values.update(name=shown(name), name_key=_key(name))
    with catalogue.transaction(scope.tenant_id) as connection:
        _lock(connection, scope)
        before = _found(connection, scope, label_id)
        expect(revision, before.revision)
        row = connection.execute(select(labels).where(labels.c.id == label_id)).one()
        if all(getattr(row, key) == value for key, value in values.items()):
            return before
        if not values.get("retired", before.retired):
            _free(connection, scope, str(values.get("name_key", row.name_key)), but=label_id)
        statement = update(labels).where(labels.c.id == label_id).values({**values, **changed(scope, now)})
        return _label(connection.execute(statement.returning(labels)).one())


def of_recording(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> tuple[Label, ...]:
    """Return the labels of a recording by name; its caller knows it may be read."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return of_recordings(connection, [recording.id]).get(recording.id, ())


def of_recordings(
    connection: Connection, recording_ids: Iterable[RecordingId]
) -> Mapping[RecordingId, tuple[Label, ...]]:
    """Return the labels of recordings that have some, by name."""
    columns = recording_labels.c
    statement = (
        select(columns.recording_id, labels)
        .join(labels, labels.c.id == columns.label_id)
        .where(columns.recording_id.in_(list(recording_ids)), columns.attached)
        .order_by(labels.c.name_key, labels.c.id)
    )
    found: dict[RecordingId, tuple[Label, ...]] = {}
    for row in connection.execute(statement):
        key = RecordingId(row.recording_id)
        found[key] = (*found.get(key, ()), _label(row))
    return found


def attach(
    catalogue: Catalogue, scope: AccessScope, recording: Recording, label_id: str, *, now: datetime
) -> Label:
    """Put a label on a recording; twice is once.

    Raises NotFound, Refused for who may not, Conflict for a retired one or one too many.
    """
    require_annotating(scope, recording)
    with catalogue.transaction(scope.tenant_id) as connection:
        label = _found(connection, scope, label_id)
        _attach(connection, scope, recording, label, now)
        return label


def attach_named(
    catalogue: Catalogue, scope: AccessScope, recording: Recording, wanted: NewLabel, *, now: datetime
) -> Label:
    """Put the label of a name on a recording, a new one where there is none.

    Raises as `make` and `attach` do.
    """
    require_annotating(scope, recording)
    with catalogue.transaction(scope.tenant_id) as connection:
        label = _named_or_made(connection, scope, wanted, now)
        _attach(connection, scope, recording, label, now)
        return label


def attach_all(
    connection: Connection, scope: AccessScope, found: Iterable[Recording], wanted: NewLabel, now: datetime
) -> tuple[Label, list[RecordingId]]:
    """Put the label of a name on recordings in the caller's transaction; return it, and those that got it.

    What carries as many as it can, or carries this one, stays as it is. Raises as `make`.
    """
    label = _named_or_made(connection, scope, wanted, now)
    return label, _changed(found, lambda recording: _attach(connection, scope, recording, label, now))


def detach_all(
    connection: Connection, scope: AccessScope, found: Iterable[Recording], label_id: str, now: datetime
) -> tuple[Label, list[RecordingId]]:
    """Take a label off recordings in the caller's transaction; return it, and those that lost it.

    Raises NotFound.
    """
    label = _found(connection, scope, label_id)
    return label, _changed(found, lambda recording: _detach(connection, scope, recording, label, now))


def detach(
    catalogue: Catalogue, scope: AccessScope, recording: Recording, label_id: str, *, now: datetime
) -> Label:
    """Take a label off a recording; twice is once. Raises NotFound, or Refused for who may not."""
    with catalogue.transaction(scope.tenant_id) as connection:
        label = _found(connection, scope, label_id)
        _detach(connection, scope, recording, label, now)
        return label


def _changed(found: Iterable[Recording], change: Callable[[Recording], bool]) -> list[RecordingId]:
    """Change recordings one by one and return those that did change; what can't be changed stays."""
    done = []
    # In one order, so that two who change many at once never wait for each other.
    for recording in sorted(found, key=lambda recording: recording.id):
        with suppress(Conflict):
            if change(recording):
                done.append(recording.id)
    return done


def _detach(
    connection: Connection, scope: AccessScope, recording: Recording, label: Label, now: datetime
) -> bool:
    """Take a label off a recording; return whether it was there."""
    require_annotating(scope, recording)
    own = (recording_labels.c.recording_id == recording.id, recording_labels.c.label_id == label.id)
    search.begin(connection, recording.id)
    before = connection.execute(select(recording_labels).where(*own, recording_labels.c.attached)).first()
    if before is None:
        return False
    expect(None, before.revision)
    values = {"attached": False, **changed(scope, now)}
    connection.execute(update(recording_labels).where(*own).values(values))
    search.refresh(connection, recording.id)
    return True


def _attach(
    connection: Connection, scope: AccessScope, recording: Recording, label: Label, now: datetime
) -> bool:
    """Put a label on a recording; return whether it was not there yet."""
    require_annotating(scope, recording)
    search.begin(connection, recording.id)
    columns = recording_labels.c
    rows = connection.execute(select(recording_labels).where(columns.recording_id == recording.id)).all()
    before = next((row for row in rows if row.label_id == label.id), None)
    if before is not None and before.attached:
        return False
    if label.retired:
        raise Conflict("This label is not offered any more; take another.")
    if sum(row.attached for row in rows) >= LABELS_PER_RECORDING_MAX:
        raise Conflict(f"A recording carries at most {LABELS_PER_RECORDING_MAX} labels.")
    expect(None, 0 if before is None else before.revision)
    values = {"attached": True, **changed(scope, now)}
    row = {
        "tenant_id": scope.tenant_id,
        "recording_id": recording.id,
        "label_id": label.id,
        **values,
    }
    statement = upsert(recording_labels).values(row)
    keys = ["recording_id", "label_id"]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
    search.refresh(connection, recording.id)
    return True


def _named_or_made(connection: Connection, scope: AccessScope, wanted: NewLabel, now: datetime) -> Label:
    known = select(labels).where(
        labels.c.tenant_id == scope.tenant_id, labels.c.name_key == _key(wanted.name), ~labels.c.retired
    )
    row = connection.execute(known).one_or_none()
    return _label(row) if row is not None else _make(connection, scope, wanted, now)


def _make(connection: Connection, scope: AccessScope, wanted: NewLabel, now: datetime) -> Label:
    if not may_make_labels(scope):
        raise Refused("Labels are added by who may write on recordings.")
    _lock(connection, scope)
    name = shown(wanted.name)
    counted = select(func.count()).select_from(labels).where(labels.c.tenant_id == scope.tenant_id)
    count = connection.execute(counted).scalar_one()
    if count >= LABELS_PER_TENANT_MAX:
        raise Conflict(f"There are {LABELS_PER_TENANT_MAX} labels already, retired ones among them.")
    _free(connection, scope, _key(name))
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "name": name,
        "name_key": _key(name),
        # One after the other, so that the first two dozen labels differ in colour or shape.
        "colour": wanted.colour or list(Colour)[count % len(Colour)],
        "shape": wanted.shape or list(Shape)[count % len(Shape)],
        "retired": False,
        **changed(scope, now),
    }
    return _label(connection.execute(insert(labels).returning(labels), row).one())


def _lock(connection: Connection, scope: AccessScope) -> None:
    """Let one change of the tenant's labels wait for the other, so that limits and names hold."""
    key = func.hashtextextended(f"labels:{scope.tenant_id}", 0)
    connection.execute(select(func.pg_advisory_xact_lock(key)))


def _free(connection: Connection, scope: AccessScope, name_key: str, but: str = "") -> None:
    columns = labels.c
    taken = select(columns.id).where(
        columns.tenant_id == scope.tenant_id,
        columns.name_key == name_key,
        ~columns.retired,
        columns.id != but,
    )
    if connection.execute(taken).first() is not None:
        raise Conflict("There is a label of this name already.")


def _found(connection: Connection, scope: AccessScope, label_id: str) -> Label:
    statement = select(labels).where(labels.c.tenant_id == scope.tenant_id, labels.c.id == label_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such label.")
    return _label(row)


def shown(name: str) -> str:
    """Return a name as it is kept, with single spaces; raises Refused for one that can't be shown."""
    found = " ".join(name.split())
    if not found or len(found) > NAME_CHARS_MAX or not found.isprintable():
        raise Refused(f"A name has 1 to {NAME_CHARS_MAX} characters that can be shown.")
    return found


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _label(row: Row[Any]) -> Label:
    return Label(row.id, row.name, Colour(row.colour), Shape(row.shape), row.retired, row.revision)
