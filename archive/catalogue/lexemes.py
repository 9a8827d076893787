"""The words a recording is found by, and a search text as the words that must be there.

A recording's document is a set of lexemes: the words of names, notes and comments with
their Dutch stems, the endings of names and numbers (so that any part of one is the
beginning of a lexeme), its ids as a whole, and its facets. One index over these answers
everything; no extension of PostgreSQL is needed.

| lexeme | for |
|---|---|
| `jansen`, `ansen`, `nsen`, `sen` | a name and its endings |
| `31201234567`, `1201234567` ... `567`, `0201234567` | a number, its endings, as dialled in the country |
| `offertes`, `offert` | a word of a note and its stem |
| `#id:<text>` | recording id, SIP Call-ID, session id |
| `#owner:<user>`, `#has:pause`, `#mode:always`, `#label:<id>`, `#favourite:<user>` ... | facets |

A label stands there by its id alone: what it is called is asked when somebody searches, so
that another name counts at once.

Rules: pure. Words are compared without case and marks (José is jose). What somebody types
becomes nothing but letters and digits, or stands whole behind `#id:`, so that it can be no
operator and no facet, nor the beginning of one.

Not here: where documents are kept and when they are made (`archive.catalogue.search`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from archive import silence
from archive.model import Direction, Party, Recording, RecordingMode, Span, SpanKind, UserId
from archive.numbers import canonical

ENDING_CHARS_MIN = 3
"""Shorter parts are in almost every number and name, and would find everything."""

PREFIX_CHARS_MIN = 2
"""One letter is looked for as a whole word (an initial), not as the beginning of every other word."""

WORD_CHARS_MAX = 64
"""No word of a language is longer; the rest of a random text is not looked for."""

IDENTIFIER_CHARS_MAX = 200
"""A lexeme may have 2046 octets; a longer Call-ID is kept as its SHA-256."""

NAME_WORDS_MAX = 32
"""A longer name is a peer's mischief."""

DOCUMENT_WORDS_MAX = 5000
"""Different words of the note and comments of one call: about a book of 40 pages.

A note has at most 10,000 characters, so that all of its words are among them.
"""

ASKED_WORDS_MAX = 32
"""A search text has at most 200 characters."""

GAP_MS_MIN = 200
"""A shorter loss nobody hears as a hole; it stands in the player all the same."""

SILENCE_MS_MIN = 10_000
"""Somebody was kept waiting, or looked something up; a shorter silence belongs to many conversations."""

COUNTRY_CODE = "31"

_WORD = re.compile(r"[^\W_]+")
_QUOTED = re.compile(r"'(?:[^'\\]|''|\\\\)*'")
_BETWEEN_DIGITS = re.compile(r"[\s().\-/+'~]*")


class Facet(StrEnum):
    """Something a recording has or has not; as `has=` of the API says it, but for `hold`."""

    PAUSE = "pause"
    COMMENT = "comment"
    NOTE = "note"
    GAP = "gap"
    SILENCE = "silence"
    SHARE = "share"
    LABEL = "label"

    @property
    def lexeme(self) -> str:
        """The word of the document that says so."""
        return f"#has:{self.value}"


@dataclass(frozen=True)
class Annotations:
    """What people wrote on a recording, as far as it is found by it."""

    texts: tuple[str, ...] = ()
    label_ids: tuple[str, ...] = ()
    favourite_of: tuple[UserId, ...] = ()
    facets: frozenset[Facet] = frozenset()


def words(text: str) -> list[str]:
    """Return the words of a text in order: letters and digits, without case and marks."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return [word[:WORD_CHARS_MAX] for word in _WORD.findall(kept)]


def of_name(text: str) -> set[str]:
    """Return the words of a name and their endings."""
    return {ending for word in words(text)[:NAME_WORDS_MAX] for ending in _endings(word)}


def of_number(text: str) -> set[str]:
    """Return a number, its endings, and how it is dialled in its country; or the words of an address."""
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return of_name(text)
    found = set(_endings(digits[:WORD_CHARS_MAX]))
    if text.startswith(f"+{COUNTRY_CODE}"):
        found.add("0" + digits.removeprefix(COUNTRY_CODE))
    return found


def of_identifier(text: str) -> str:
    """Return an id as the one lexeme it is found by, whole."""
    plain = text.strip().casefold()
    if len(plain) > IDENTIFIER_CHARS_MAX:
        plain = hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
    return f"#id:{plain}"


def of_recording(recording: Recording) -> set[str]:
    """Return all a recording is found by before anybody wrote anything on it."""
    identifiers = (recording.id, recording.call_id, recording.session_id)
    found = of_call(identifiers, recording.parties, recording.spans, recording.mode, recording.direction)
    return found if recording.owner is None else found | {of_owner(recording.owner)}


def of_call(
    identifiers: Iterable[str],
    parties: Iterable[Party],
    spans: Iterable[Span],
    mode: RecordingMode,
    direction: Direction,
) -> set[str]:
    """Return the lexemes of a call by its parts."""
    found = {of_identifier(text) for text in identifiers if text}
    for party in parties:
        found |= of_number(party.number) | of_name(party.name)
    heard = tuple(spans)
    found |= {facet.lexeme for facet in facets_of(heard)}
    if silence.longest_ms(heard) >= SILENCE_MS_MIN:
        found.add(Facet.SILENCE.lexeme)
    return found | {of_mode(mode), of_direction(direction)}


def facets_of(spans: Iterable[Span]) -> frozenset[Facet]:
    """Return what stands beside the sound of a recording in a list, at little cost."""
    found = set()
    for span in spans:
        if span.kind is SpanKind.PAUSE:
            found.add(Facet.PAUSE)
        elif span.kind is SpanKind.LOSS and span.to_ms - span.from_ms >= GAP_MS_MIN:
            found.add(Facet.GAP)
    return frozenset(found)


def of_mode(mode: RecordingMode) -> str:
    """Return the lexeme of a mode."""
    return f"#mode:{mode.value}"


def of_direction(direction: Direction) -> str:
    """Return the lexeme of a direction."""
    return f"#direction:{direction.value}"


def of_annotations(annotations: Annotations) -> tuple[set[str], list[str]]:
    """Return the facets and labels of what was written, and its words, which may be inflected."""
    found = {facet.lexeme for facet in annotations.facets}
    found |= {of_label(label_id) for label_id in annotations.label_ids}
    found |= {of_favourite(user_id) for user_id in annotations.favourite_of}
    return found, list(_different(annotations.texts))[:DOCUMENT_WORDS_MAX]


def are_too_many(texts: Sequence[str]) -> bool:
    """Return whether texts of one call have more different words than its document holds."""
    # A word takes a character and one that parts it from the next: most calls are decided by this.
    if sum(map(len, texts)) < 2 * DOCUMENT_WORDS_MAX:
        return False
    return len(_different(texts)) > DOCUMENT_WORDS_MAX


def _different(texts: Iterable[str]) -> dict[str, None]:
    return dict.fromkeys(word for text in texts for word in words(text))


def of_label(label_id: str) -> str:
    """Return the lexeme of a label by its id."""
    return f"#label:{label_id}"


def of_owner(user_id: UserId) -> str:
    """Return the lexeme of whose recording it is; a trigger keeps it true."""
    return f"#owner:{user_id}"


def of_favourite(user_id: UserId) -> str:
    """Return the lexeme of what is a favourite of somebody."""
    return f"#favourite:{user_id}"


NO_LABELS: Mapping[str, tuple[str, ...]] = {}


def labelled(text: str, stems: Mapping[str, str], names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the lexemes of the labels each word of a search text may mean; `names` are theirs by id.

    A word means a label when a word of its name begins with it, or with its stem.
    """
    known = {label_id: words(name) for label_id, name in names.items()}
    found: dict[str, tuple[str, ...]] = {}
    for word in words(text):
        least = PREFIX_CHARS_MIN if not _is_digits(word) else ENDING_CHARS_MIN
        begun = (word, stems.get(word, word))
        meant = [
            of_label(label_id)
            for label_id, named in known.items()
            if word in named or (len(word) >= least and any(each.startswith(begun) for each in named))
        ]
        if meant:
            found[word] = tuple(meant)
    return found


def asked(
    text: str, stems: Mapping[str, str], labels: Mapping[str, tuple[str, ...]] = NO_LABELS
) -> list[str]:
    """Return a search text as terms of a `tsquery`, all of which must hold; none when it has no word.

    A text without spaces is an id or all its words. `stems` gives the Dutch stem of words
    that have one, `labels` the lexemes of the labels a word may mean (`labelled`). Digits with
    spaces, dashes or dots between them are one number or several words, whichever is there.
    """
    terms = _terms(text, stems, labels)[:ASKED_WORDS_MAX]
    stripped = text.strip()
    if not stripped or len(stripped.split()) > 1:
        return terms
    identifier = quoted(of_identifier(stripped))
    return [f"({' & '.join(terms)} | {identifier})" if terms else identifier]


def quoted(lexeme: str) -> str:
    """Return a lexeme as a `tsquery` writes it."""
    doubled = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


def alternatives(term: str) -> int:
    """Return how many lexemes a term names; one of them is enough."""
    return len(_QUOTED.findall(term))


def any_of(lexemes: Iterable[str]) -> str:
    """Return the `tsquery` for any of some lexemes."""
    return f"({' | '.join(quoted(lexeme) for lexeme in lexemes)})"


def _terms(text: str, stems: Mapping[str, str], labels: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return what must be there, term by term: runs of digits together, other words one by one."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    terms: list[str] = []
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(kept):
        if run and not (
            _is_digits(match[0]) and _BETWEEN_DIGITS.fullmatch(kept, run[-1].end(), match.start())
        ):
            terms.append(_number(kept, run, labels))
            run = []
        if _is_digits(match[0]):
            run.append(match)
        else:
            terms.append(_word(match[0][:WORD_CHARS_MAX], stems, labels))
    return [*terms, _number(kept, run, labels)] if run else terms


def _number(text: str, run: list[re.Match[str]], labels: Mapping[str, tuple[str, ...]]) -> str:
    """Return the term of digits that may be one number, or several."""
    joined = "".join(match[0] for match in run)[:WORD_CHARS_MAX]
    first = run[0].start()
    plus = "+" if text[:first].rstrip("(").endswith("+") else ""
    spelled = text[first : run[-1].end()]
    forms = {joined, joined.removeprefix("00"), canonical(plus + spelled).removeprefix("+")}
    whole = " | ".join(_digits(form) for form in sorted(forms) if _is_digits(form))
    if len(run) == 1:
        return _or_labels(f"({whole})", run[0][0], labels)
    apart = " & ".join(_or_labels(_digits(match[0][:WORD_CHARS_MAX]), match[0], labels) for match in run)
    return f"({whole} | ({apart}))"


def _digits(text: str) -> str:
    return quoted(text) + (":*" if len(text) >= ENDING_CHARS_MIN else "")


def _word(word: str, stems: Mapping[str, str], labels: Mapping[str, tuple[str, ...]]) -> str:
    term = quoted(word) + (":*" if len(word) >= PREFIX_CHARS_MIN else "")
    stem = stems.get(word, word)
    return _or_labels(term if stem == word else f"({term} | {quoted(stem)})", word, labels)


def _or_labels(term: str, word: str, labels: Mapping[str, tuple[str, ...]]) -> str:
    meant = labels.get(word[:WORD_CHARS_MAX], ())
    return f"({term} | {any_of(meant)})" if meant else term


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _endings(word: str) -> list[str]:
    """Return a word and its shorter endings."""
    return [word, *(word[at:] for at in range(1, len(word) - ENDING_CHARS_MIN + 1))]
