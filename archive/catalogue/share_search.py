"""Words by which play links are looked for: their title, who made them, and the recording they lead to.

A link has the words of its title and their endings as a document of its own. Where a text is in few
links, these are gathered by indexes; where it is in many, links are walked in their order until a page
is full.

Rules: of a recording's numbers and names a search tells only who may see that recording; whoever
sees a link to another one finds it by its title and its maker.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from archive.access import AccessScope
from archive.catalogue import documents, lexemes, recordings
from archive.catalogue.documents import Wanted, storable
from archive.catalogue.engine import Connection
from archive.catalogue.tables import recordings as recordings_
from archive.catalogue.tables import searchable, searchable_shares, shares, users
from archive.errors import Refused

TEXT_CHARS_MAX = 200
WORDS_MAX = 8
"""Of each the links are asked three things; who types more looks for one by a sentence of its title."""

GATHERED_ROWS_MAX = 5000
"""So many links are put in order in a moment. What more have, a walk finds a page of soon."""


MAKERS_MAX = 100
"""People whose links are gathered; a part of a name that more have says little."""


def of_title(title: str) -> list[str]:
    """Return the lexemes a link is found by: the words of its title and their endings."""
    return sorted(map(storable, lexemes.of_name(title)))


def document_of(title: str) -> ColumnElement[str]:
    """Return the document of a new link."""
    return func.array_to_tsvector(_texts(of_title(title)))


def about(connection: Connection, scope: AccessScope, text: str) -> ColumnElement[bool]:
    """Return the filter for links that a text is about: each of its words, or all of it as a number.

    Raises Refused for a text that is too long.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise Refused(f"A search text has at most {TEXT_CHARS_MAX} characters.")
    words = storable(text).split()
    if not words:
        return ~false()
    apart = words if 1 < len(words) <= WORDS_MAX else []
    found = _of(connection, scope, text)
    if apart:
        found = or_(found, and_(*(_of(connection, scope, word) for word in apart)))
    few = _few(connection, text, apart)
    if few is None:
        return found
    # Known by now, so that nobody walks through all links to see which are among them.
    ids = [row.id for row in connection.execute(few.limit(GATHERED_ROWS_MAX + 1))]
    return found if len(ids) > GATHERED_ROWS_MAX else and_(shares.c.id == any_(_texts(ids)), found)


def _of(connection: Connection, scope: AccessScope, text: str) -> ColumnElement[bool]:
    """Return the filter for links that a word, or a whole text, is in the title, maker or recording of."""
    of_maker = (users.c.tenant_id == shares.c.tenant_id, users.c.id == shares.c.user_id)
    made = exists(select(1).where(*of_maker, _is_named(text)))
    terms = documents.terms_of(connection, Wanted(text))
    same = (searchable.c.recording_id == shares.c.recording_id, recordings_.c.id == shares.c.recording_id)
    led = exists(select(1).where(*same, documents.matching(terms), recordings.seen_by(scope)))
    return or_(_holds(shares.c.document, text), made, led)


def _few(connection: Connection, text: str, apart: Sequence[str]) -> Select[tuple[str]] | None:
    """Return the ids of the few links that may be about a text, None where they are many.

    Who holds all words apart holds the rarest of them.
    """
    whole = _gathered(connection, text)
    if whole is None or not apart:
        return whole
    for word in sorted(apart, key=len, reverse=True):
        gathered = _gathered(connection, word)
        if gathered is not None:
            return select(union(whole, gathered).subquery().c.id)
    return None


def _gathered(connection: Connection, text: str) -> Select[tuple[str]] | None:
    """Return the ids of the links `_of` finds, whoever asks, each by an index; None where they are many."""
    terms = documents.terms_of(connection, Wanted(text))
    titled = select(searchable_shares.c.id).where(_holds(searchable_shares.c.document, text))
    # Asked for first: of a part of a name the statistics know nothing.
    makers = connection.execute(select(users.c.id).where(_is_named(text)).limit(MAKERS_MAX + 1)).scalars()
    made = select(shares.c.id).where(shares.c.user_id.in_(maker_ids := list(makers)))
    if len(maker_ids) > MAKERS_MAX or not documents.finds_few(connection, terms):
        return None
    if any(documents.plan_rows(connection, each) > GATHERED_ROWS_MAX for each in (titled, made)):
        return None
    found = select(searchable.c.recording_id).where(documents.matching_few(connection, terms))
    led = select(shares.c.id).where(shares.c.recording_id.in_(found))
    return select(union(titled, made, led).subquery().c.id)


def _texts(values: Sequence[str]) -> ColumnElement[Sequence[str]]:
    return bindparam(None, list(values), ARRAY(Text), unique=True)


def _is_named(text: str) -> ColumnElement[bool]:
    """Return the filter for people whose login a text is part of."""
    return func.strpos(func.lower(users.c.login), storable(text).strip().lower()) > 0


def _holds(document: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Return the condition that a title has the words of a text, one of them by its beginning or ending."""
    terms = lexemes.asked(text, {}) or [documents.NOWHERE]
    query = cast(literal(storable(" & ".join(terms)), Text), TSQUERY)
    return document.op("@@", is_comparison=True)(query)
