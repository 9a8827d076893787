"""The document of each recording: what it is found by, kept beside it for the index.

`index` makes it in the transaction that inserts the recording, `put` makes it anew with
what was written since. `terms_of` and `matching` turn what somebody asks into the condition
on documents.

Rules: a document goes with its recording. Nothing here decides who may see what: the
condition is joined with the filter of an `AccessScope` (`archive.catalogue.recordings`).
Not here: which words a document has and how a text is read (`archive.catalogue.lexemes`);
when it is made anew (`archive.catalogue.search`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, and_, bindparam, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import lexemes
from archive.catalogue.engine import Connection
from archive.catalogue.lexemes import Annotations
from archive.catalogue.tables import labels as labels_
from archive.catalogue.tables import recording_documents, searchable
from archive.model import Recording, RecordingId, TenantId, UserId

STEMS = text(
    "SELECT word, stem[1] FROM unnest(CAST(:words AS text[])) word,"
    " LATERAL ts_lexize('pg_catalog.dutch_stem', word) stem WHERE stem[1] <> ''"
)

OWNERS_MAX = 100
"""People named in one condition; a listener of more is served by the filter of the recordings alone."""

ALTERNATIVES_APART_MIN = 6
"""A number in its spellings, or an id, has fewer. Twelve people and a name took 29 ms of processor time in
one query of a million documents, and 18 ms in two."""

PLANNED = {
    # A plan made for any text walks the whole index for a rare one.
    "plan_cache_mode": "force_custom_plan",
    # Compiling takes longer than finding a page does.
    "jit": "off",
    # A page is fifty rows behind an index; reading the table from one end is never the way to them.
    "enable_seqscan": "off",
    # Indexes are in memory or on flash, not on turning disks as the default supposes.
    "random_page_cost": "1.1",
    # Some hundred thousand documents begin with a common name in an archive of millions. With less memory the
    # index tells only their pages, and everything on these is read.
    "work_mem": "32MB",
}
PLAN_FOR_PAGES = select(*(func.set_config(name, value, True) for name, value in PLANNED.items()))
"""How the statements of this transaction are planned."""


def index(connection: Connection, recording: Recording) -> None:
    """Make the document of a recording that is inserted in this transaction."""
    found = lexemes.of_recording(recording)
    _store(connection, recording.tenant_id, recording.id, recording.started_at, found)


def put(connection: Connection, recording: Recording, annotations: Annotations) -> None:
    """Make the document of a recording anew, with what was written on it."""
    known, inflected = lexemes.of_annotations(annotations)
    found = lexemes.of_recording(recording) | known | set(inflected)
    found |= set(stems_of(connection, inflected).values())
    _store(connection, recording.tenant_id, recording.id, recording.started_at, found)


def stems_of(connection: Connection, words: Iterable[str]) -> Mapping[str, str]:
    """Return the Dutch stem of each word that has one; words that only bind others have none."""
    wanted = sorted({word for word in words if word.isalpha()})
    if not wanted:
        return {}
    return {row[0]: row[1] for row in connection.execute(STEMS, {"words": wanted})}


@dataclass(frozen=True)
class Wanted:
    """What a document must hold: a text's words, all of `lexemes`, one of `owners`, and none of `without`.

    `owners` of None is anybody. Alone they ask nothing: whose a recording is, its own index knows.
    """

    text: str | None = None
    lexemes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    owners: frozenset[UserId] | None = None

    @property
    def asks(self) -> bool:
        """Whether documents need be looked at."""
        return bool((self.text and self.text.strip()) or self.lexemes or self.without)


def terms_of(connection: Connection, wanted: Wanted) -> list[str]:
    """Return what is wanted as terms of a `tsquery`, all of which must hold.

    A text that holds nothing to look for (`%`) is in no document.
    """
    terms = [lexemes.quoted(lexeme) for lexeme in wanted.lexemes]
    text_ = (wanted.text or "").strip()
    if text_:
        stems = stems_of(connection, lexemes.words(text_))
        labels = lexemes.labelled(text_, stems, _label_names(connection))
        terms += lexemes.asked(text_, stems, labels) or [NOWHERE]
    if wanted.owners is not None and len(wanted.owners) <= OWNERS_MAX:
        owners = sorted(map(lexemes.of_owner, wanted.owners))
        terms.append(lexemes.any_of(owners) if owners else NOWHERE)
    return [*terms, *(f"!{lexemes.quoted(lexeme)}" for lexeme in wanted.without)]


def matching(terms: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition on `searchable` that all terms hold.

    A term of many alternatives, the people a listener hears, is a condition of its own: in one
    query with a name the index looks at all of their recordings, beside it only at those named.
    """
    apart = [term for term in terms if lexemes.alternatives(term) >= ALTERNATIVES_APART_MIN]
    together = [term for term in terms if term not in apart]
    if all(term.startswith("!") for term in together):
        return _holds(terms)
    return and_(_holds(together), *(_holds([term]) for term in apart))


def matching_few(connection: Connection, terms: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that all terms hold, for what `finds_few`.

    The index looks for what is rare, and the few documents it finds are read for what is common:
    to look for a common beginning of a word, it gathers every document that has it.
    """
    asked = [term for term in terms if not term.startswith("!")]
    expected = {term: estimated(connection, [term]) for term in asked}
    common = [term for term in asked if expected[term] > COMMON_FACTOR_MIN * min(expected.values())]
    if not common:
        return matching(terms)
    rare = matching([term for term in terms if term not in common])
    return and_(rare, read(common))


def read(terms: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that all terms hold, for documents that are read one by one: no index is asked."""
    return _holds(terms).is_(True)


def are_common(connection: Connection, terms: Sequence[str], rows: int) -> bool:
    """Return whether a page of those that match is likely among any `rows` documents, by the statistics.

    What the index gathers in a moment is common in no archive.
    """
    expected = estimated(connection, terms)
    return expected >= GATHERED_ROWS_MIN and expected * rows >= every_row(connection) * PAGE_ROWS


def _holds(terms: Iterable[str]) -> ColumnElement[bool]:
    query = cast(literal(storable(" & ".join(terms)), Text), TSQUERY)
    return searchable.c.document.op("@@", is_comparison=True)(query)


def _label_names(connection: Connection) -> Mapping[str, str]:
    """Return the names of the tenant's labels by id; retired ones are still carried by recordings."""
    return {row.id: row.name for row in connection.execute(select(labels_.c.id, labels_.c.name))}


def finds_few(connection: Connection, terms: Sequence[str]) -> bool:
    """Return whether the index finds so few documents that they are soon put in order.

    So say the statistics. Of a word they do not know they suppose that it is about as
    frequent as the rarest one they know, in a large archive thousands; it is rarer.
    """
    expected = estimated(connection, terms)
    if expected <= FEW_ROWS_MIN or expected <= few_rows_max(every_row(connection)):
        return True
    unknown = estimated(connection, [NOWHERE])
    return any(
        estimated(connection, [term]) <= unknown * lexemes.alternatives(term)
        for term in terms
        if not term.startswith("!")
    )


def estimated(connection: Connection, terms: Sequence[str]) -> int:
    """Return about how many documents match, by the statistics of the table."""
    return plan_rows(connection, select(searchable.c.recording_id).where(matching(terms)))


def every_row(connection: Connection) -> int:
    """Return about how many documents there are, by the statistics of the table."""
    return plan_rows(connection, select(searchable.c.recording_id))


def period(connection: Connection) -> tuple[datetime, datetime] | None:
    """Return when the oldest and the newest document's call began, None where there is none."""
    began = searchable.c.started_at
    oldest, newest = connection.execute(select(func.min(began), func.max(began))).one()
    return None if oldest is None else (oldest, newest)


def few_rows_max(rows: int) -> int:
    """Return how many of so many documents are put in order sooner than walking finds a page of them.

    Walking reads `rows / found` for each one it finds, and sorting all that are found.
    """
    return math.isqrt(rows * PAGE_ROWS // 2)


def plan_rows(connection: Connection, statement: Select[Any]) -> int:
    """Return how many rows the planner expects of a statement."""
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


FEW_ROWS_MIN = 2000
"""So many documents are sorted in a moment, however few there are."""

GATHERED_ROWS_MIN = 50_000
"""To gather so many documents takes the index as long as to read some thousand one by one."""

COMMON_FACTOR_MIN = 10
"""To read a document takes some five times as long as to gather it from the index."""

PAGE_ROWS = 50
"""What a page shows, and a walk looks for. Behind the index a document is dearer to read than in order."""

NOWHERE = lexemes.quoted("#has:nothing")
"""A facet no recording has."""


def _store(
    connection: Connection,
    tenant_id: TenantId,
    recording_id: RecordingId,
    started_at: datetime,
    found: Iterable[str],
) -> None:
    statement = upsert(recording_documents).values(
        tenant_id=tenant_id,
        recording_id=recording_id,
        started_at=started_at,
        document=func.array_to_tsvector(bindparam("lexemes", type_=ARRAY(Text))),
    )
    renewed = statement.on_conflict_do_update(
        index_elements=["recording_id"], set_={"document": statement.excluded.document}
    )
    stored = sorted({storable(lexeme) for lexeme in found})
    connection.execute(renewed, {"lexemes": stored})


def storable(text_: str) -> str:
    """Return text PostgreSQL can store: peers send NUL and half surrogates, which it refuses."""
    return text_.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
