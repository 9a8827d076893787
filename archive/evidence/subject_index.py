"""The page in a package for a data subject that says what is in it, in Dutch or in English.

One page without a script and without anything fetched, in words for everybody: which calls,
what is heard in them and what was silenced, how long they are kept, and what the person
can do next.

Rules: pure; the same calls give the same octets. Times are of Europe/Amsterdam. Every name
and number is text, whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_datetime

from archive.evidence import report
from archive.evidence.report import LOCALES, ZONE
from archive.model import Party, Recording

_WORDS = "subject_words.json"


@dataclass(frozen=True)
class Letterhead:
    """Who answers, and which request; `own_name` is what they call themselves, if it is another."""

    organisation: str
    reference: str
    own_name: str = ""


@dataclass(frozen=True)
class GivenCall:
    """A call of the package: who of its parties reads this, its files of sound, and if it is given whole."""

    recording: Recording
    theirs: tuple[Party, ...]
    names: tuple[str, ...]
    whole: bool


def page(letterhead: Letterhead, calls: Sequence[GivenCall], language: str) -> bytes:
    """Return the page as HTML in `nl` or `en`, the oldest call first."""

    def moment(at: datetime) -> str:
        return format_datetime(at.astimezone(ZONE), "EEEE d MMMM yyyy HH:mm", locale=LOCALES[language])

    def day(at: datetime) -> str:
        return format_datetime(at.astimezone(ZONE), "d MMMM yyyy", locale=LOCALES[language])

    rendered = (
        report.environment()
        .get_template("subject.html")
        .render(
            letterhead=letterhead,
            calls=sorted(calls, key=lambda each: (each.recording.started_at, each.recording.id)),
            t=report.words(_WORDS)[language],
            language=language,
            moment=moment,
            day=day,
            clock=report.clock,
            silences=report.silences,
        )
    )
    return rendered.encode()
