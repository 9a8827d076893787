"""Comments: what people say about a moment of a recording, and answer to each other.

A comment stands at an offset from the beginning; replies stand with the comment they answer,
and an answer to a reply is one to the same comment. A deleted comment keeps its place while
somebody answered it. Every earlier text stays (`archive.catalogue.revisions`).

Rules: who hears a recording comments on it; only its author changes, deletes or restores a
comment (`archive.access`). Each change makes the search document anew in its transaction. Who is
answered is told (`archive.catalogue.notifications`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from archive.access import AccessScope, may_change_comment
from archive.catalogue import notifications, search
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.revisions import changed, expect, require_annotating, written
from archive.catalogue.tables import comments
from archive.errors import Conflict, NotFound, Refused
from archive.model import Recording, RecordingId, new_id

COMMENT_CHARS_MAX = 2000
"""About a page; what is longer is a note."""

COMMENTS_PER_RECORDING_MAX = 500
"""Replies and deleted ones count. More marks than that on one call nobody can tell apart."""


@dataclass(frozen=True)
class Comment:
    """What somebody said; `text` is empty when it is deleted. `at_ms` is that of its thread."""

    id: str
    recording_id: RecordingId
    reply_to: str | None
    author: str
    made_at: datetime
    at_ms: int
    text: str
    deleted: bool
    revision: int
    changed_at: datetime

    @property
    def is_edited(self) -> bool:
        """Whether it once said something else."""
        return self.revision > 1


@dataclass(frozen=True)
class Thread:
    """A comment and what was answered to it, oldest first."""

    first: Comment
    replies: tuple[Comment, ...]


def of_recording(catalogue: Catalogue, scope: AccessScope, recording: Recording) -> list[Thread]:
    """Return the threads of a recording in the order of its sound; its caller knows it may be read.

    Deleted comments are left out unless somebody answered them.
    """
    statement = (
        select(comments)
        .where(comments.c.tenant_id == scope.tenant_id, comments.c.recording_id == recording.id)
        .order_by(comments.c.made_at, comments.c.id)
    )
    with catalogue.transaction(scope.tenant_id) as connection:
        return _threads([_comment(row) for row in connection.execute(statement)])


def get(catalogue: Catalogue, scope: AccessScope, recording: Recording, comment_id: str) -> Comment:
    """Return one comment, also a deleted one; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _found(connection, recording, comment_id)


def add(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    text: str,
    at_ms: int = 0,
    *,
    reply_to: str | None = None,
    now: datetime,
) -> Comment:
    """Say something at an offset, at most the end, or in answer to a comment.

    Raises Refused for who may not or what can't be kept, NotFound for a comment that is
    not there, Conflict for one too many.
    """
    require_annotating(scope, recording)
    said = written(text, COMMENT_CHARS_MAX)
    counted = select(func.count()).select_from(comments).where(comments.c.recording_id == recording.id)
    with catalogue.transaction(scope.tenant_id) as connection:
        search.begin(connection, recording.id)
        if connection.execute(counted).scalar_one() >= COMMENTS_PER_RECORDING_MAX:
            raise Conflict(f"This recording has {COMMENTS_PER_RECORDING_MAX} comments already.")
        answered = None if reply_to is None else _found(connection, recording, reply_to)
        if answered is not None:
            at_ms = answered.at_ms
            reply_to = answered.reply_to or answered.id
        row = {
            "id": new_id(now),
            "tenant_id": scope.tenant_id,
            "recording_id": recording.id,
            "reply_to": reply_to,
            "author": scope.actor,
            "made_at": now,
            "at_ms": _within(recording, at_ms),
            "text": said,
            "deleted": False,
            **changed(scope, now),
        }
        made = _comment(connection.execute(insert(comments).returning(comments), row).one())
        search.refresh(connection, recording.id)
        if answered is not None:
            _tell(connection, scope, made, answered)
        return made


def edit(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    comment_id: str,
    *,
    text: str | None = None,
    at_ms: int | None = None,
    revision: int | None = None,
    now: datetime,
) -> Comment:
    """Change one's own comment; what is None stays. Replies go where their comment goes.

    Raises NotFound, Refused for another's or a text that can't be kept, Conflict for another
    `revision`, a deleted comment or a reply that should stand elsewhere.
    """
    values: dict[str, object] = {}
    if text is not None:
        values["text"] = written(text, COMMENT_CHARS_MAX)
    if at_ms is not None:
        values["at_ms"] = _within(recording, at_ms)
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _own(connection, scope, recording, comment_id)
        expect(revision, before.revision)
        if before.deleted:
            raise Conflict("This comment is deleted; restore it first.")
        if before.reply_to is not None and values.get("at_ms", before.at_ms) != before.at_ms:
            raise Conflict("A reply stands with the comment it answers.")
        return _changed(connection, scope, before, values, now)


def delete(
    catalogue: Catalogue,
    scope: AccessScope,
    recording: Recording,
    comment_id: str,
    *,
    revision: int | None = None,
    now: datetime,
) -> Comment:
    """Delete one's own comment; what it said stays as a revision. Raises NotFound, Refused or Conflict."""
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _own(connection, scope, recording, comment_id)
        expect(revision, before.revision)
        return _changed(connection, scope, before, {"deleted": True}, now)


def restore(
    catalogue: Catalogue, scope: AccessScope, recording: Recording, comment_id: str, *, now: datetime
) -> Comment:
    """Bring back one's own deleted comment; raises NotFound, Refused or Conflict."""
    with catalogue.transaction(scope.tenant_id) as connection:
        before = _own(connection, scope, recording, comment_id)
        expect(None, before.revision)
        return _changed(connection, scope, before, {"deleted": False}, now)


def _own(connection: Connection, scope: AccessScope, recording: Recording, comment_id: str) -> Comment:
    search.begin(connection, recording.id)
    found = _found(connection, recording, comment_id)
    if not may_change_comment(scope, recording, found.author):
        raise Refused("A comment is changed and deleted by who wrote it.")
    return found


def _changed(
    connection: Connection, scope: AccessScope, before: Comment, values: dict[str, object], now: datetime
) -> Comment:
    row = connection.execute(select(comments).where(comments.c.id == before.id)).one()
    if all(getattr(row, name) == value for name, value in values.items()):
        return before
    statement = update(comments).where(comments.c.id == before.id).values({**values, **changed(scope, now)})
    after = _comment(connection.execute(statement.returning(comments)).one())
    if after.at_ms != before.at_ms:
        together = comments.c.reply_to == before.id
        connection.execute(update(comments).where(together).values(at_ms=after.at_ms, **changed(scope, now)))
    search.refresh(connection, before.recording_id)
    return after


def _found(connection: Connection, recording: Recording, comment_id: str) -> Comment:
    statement = select(comments).where(comments.c.recording_id == recording.id, comments.c.id == comment_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such comment.")
    return _comment(row)


def _threads(every: Iterable[Comment]) -> list[Thread]:
    firsts: list[Comment] = []
    replies: dict[str, list[Comment]] = {}
    for comment in every:
        if comment.reply_to is None:
            firsts.append(comment)
        elif not comment.deleted:
            replies.setdefault(comment.reply_to, []).append(comment)
    shown = [first for first in firsts if not first.deleted or first.id in replies]
    threads = [Thread(first, tuple(replies.get(first.id, ()))) for first in shown]
    return sorted(threads, key=lambda thread: (thread.first.at_ms, thread.first.made_at))


def _tell(connection: Connection, scope: AccessScope, made: Comment, answered: Comment) -> None:
    """Note for who began the thread and for who was answered that somebody did."""
    began = select(comments.c.author).where(comments.c.id == made.reply_to)
    actors = {answered.author, connection.execute(began).scalar_one()} - {scope.actor}
    for person in sorted(filter(None, map(notifications.person_of, actors))):
        notifications.note(
            connection,
            scope.tenant_id,
            person,
            notifications.Kind.REPLY,
            made.id,
            recording_id=made.recording_id,
            now=made.made_at,
        )


def _within(recording: Recording, at_ms: int) -> int:
    return min(max(at_ms, 0), recording.duration_ms)


def _comment(row: Row[Any]) -> Comment:
    return Comment(
        id=row.id,
        recording_id=RecordingId(row.recording_id),
        reply_to=row.reply_to,
        author=row.author,
        made_at=row.made_at,
        at_ms=row.at_ms,
        text="" if row.deleted else row.text,
        deleted=row.deleted,
        revision=row.revision,
        changed_at=row.changed_at,
    )
