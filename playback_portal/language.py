"""The languages of the pages: which one a browser gets, and the Dutch texts.

Messages are English in the sources; `locale/nl/<part>.po` has the Dutch, a file for each
part of the portal (a folder of templates), read when the process starts. The choice is
the cookie's, else the browser's first of ours, else Dutch.

Rules: no text for people stands in a template or handler outside gettext; a test holds
that, and that every message has a Dutch text. `mark` marks what is translated elsewhere:
`Problem(..., mark("The recording is on hold."))`.

Not here: dates and numbers (`formats`); how files of messages are made (`messages`).
"""

from __future__ import annotations

import io
from enum import StrEnum
from functools import cache
from gettext import NullTranslations
from pathlib import Path

from aiohttp import web
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LOCALE = Path(__file__).parent / "locale"
COOKIE = "ew_language"

HEADER_CHARS_MAX = 512
"""Browsers send some twenty; what is longer is cut rather than read."""


class Language(StrEnum):
    """A language of the pages, by its ISO 639-1 code."""

    DUTCH = "nl"
    ENGLISH = "en"

    @property
    def locale(self) -> str:
        """The locale of CLDR that dates and numbers are written by."""
        return {"nl": "nl_NL", "en": "en_GB"}[self]


LANGUAGE_DEFAULT = Language.DUTCH
"""Who tells nothing is most likely a phone company's customer in the Netherlands."""


def mark(text: str) -> str:
    """Return the message as it is; that it stands here puts it in the catalogue."""
    return text


def language_of(request: web.Request) -> Language:
    """Return the language a request is answered in."""
    return language_named(request.cookies.get(COOKIE)) or preferred(request.headers.get("Accept-Language"))


def language_named(code: str | None) -> Language | None:
    """Return the language of a code, or None when it is not one of ours."""
    return Language(code) if code in set(Language) else None


def preferred(header: str | None) -> Language:
    """Return our language an Accept-Language header likes best (RFC 9110 section 12.5.4).

    A browser that wants others only is answered in English.
    """
    if not header:
        return LANGUAGE_DEFAULT
    wishes: list[tuple[float, Language]] = []
    for item in header[:HEADER_CHARS_MAX].split(","):
        tag, _, parameter = item.partition(";")
        language = language_named(tag.strip().lower().partition("-")[0])
        if tag.strip() == "*":
            language = LANGUAGE_DEFAULT
        weight = _weight(parameter)
        if language is not None and weight > 0:
            wishes.append((weight, language))
    return max(wishes, key=lambda wish: wish[0])[1] if wishes else Language.ENGLISH


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


@cache
def translations_of(language: Language) -> NullTranslations:
    """Return the texts of a language; English is what the sources say."""
    if language is Language.ENGLISH:
        return NullTranslations()
    whole = Catalog(locale=language.value)
    for path in sorted((LOCALE / language.value).glob("*.po")):
        for message in catalogue_at(path):
            if message.id and message.string and not message.fuzzy:
                whole.add(message.id, message.string, context=message.context)
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return Translations(compiled)


def catalogue_at(path: Path) -> Catalog:
    """Return one file of messages."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.name)


def translated(language: Language, text: str) -> str:
    """Return a marked message in a language."""
    return translations_of(language).gettext(text)
