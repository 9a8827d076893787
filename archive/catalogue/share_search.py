"""Words by which play links are looked for: their title, who made them, and the recording they lead to.

Rules: of a recording's numbers and names a search tells only who may see that recording; whoever
sees a link to another one finds it by its title and its maker.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from archive.access import AccessScope
from archive.catalogue import documents, recordings
from archive.catalogue.documents import Wanted, storable
from archive.catalogue.engine import Connection
from archive.catalogue.tables import recordings as recordings_
from archive.catalogue.tables import searchable, shares, users
from archive.errors import Refused

TEXT_CHARS_MAX = 200
WORDS_MAX = 8
"""Of each the links are asked three things; who types more looks for one by a sentence of its title."""


def about(connection: Connection, scope: AccessScope, text: str) -> ColumnElement[bool]:
    """Return the filter for links that a text is about: each of its words, or all of it as a number.

    Raises Refused for a text that is too long.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise Refused(f"A search text has at most {TEXT_CHARS_MAX} characters.")
    words = storable(text).split()
    if not words:
        return ~false()
    whole = or_(_holds(shares.c.title, text.strip()), _leads_to(connection, scope, text))
    if len(words) > WORDS_MAX:
        return whole
    return or_(whole, and_(*(_of_word(connection, scope, word) for word in words)))


def _of_word(connection: Connection, scope: AccessScope, word: str) -> ColumnElement[bool]:
    of_maker = (users.c.tenant_id == shares.c.tenant_id, users.c.id == shares.c.user_id)
    made = exists(select(1).where(*of_maker, _holds(users.c.login, word)))
    return or_(_holds(shares.c.title, word), made, _leads_to(connection, scope, word))


def _leads_to(connection: Connection, scope: AccessScope, text: str) -> ColumnElement[bool]:
    """Return the filter for links to recordings that the scope may see and a text finds."""
    terms = documents.terms_of(connection, Wanted(text))
    same = (searchable.c.recording_id == shares.c.recording_id, recordings_.c.id == shares.c.recording_id)
    return exists(select(1).where(*same, documents.matching(terms), recordings.seen_by(scope)))


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.strpos(func.lower(column), storable(text).lower()) > 0
