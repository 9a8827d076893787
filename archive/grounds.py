"""Why a customer records at all: for which purposes, on which legal basis, and what it tells people about it.

The controller of the recordings is the customer, who answers for this (GDPR articles 5, 6, 13
and 14). Without it nobody's recording is switched on (`archive.catalogue.grounds`); what the
law makes of an answer is for them and their adviser.

Rules: pure. A text has no control characters but the ends of lines. Not here: the purpose for
which one recording is opened (`archive.catalogue.purposes`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

PURPOSES_MAX = 10
"""More purposes than anybody explains on a page; who has more has none in particular."""

PURPOSE_CHARS_MAX = 200
"""A sentence."""

NOTICE_CHARS_MAX = 4000
"""Two pages: what is announced is a sentence, what stands in a privacy statement is more."""

BALANCING_CHARS_MAX = 4000
"""A short note of the assessment; the assessment itself is a file of the customer's own."""


class LegalBasis(StrEnum):
    """On what recording rests: the points of GDPR article 6(1), in their order."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTERESTS = "vital-interests"
    PUBLIC_TASK = "public-task"
    LEGITIMATE_INTEREST = "legitimate-interest"


class Telling(StrEnum):
    """How callers and employees are told."""

    ANNOUNCEMENT = "announcement"
    PRIVACY_STATEMENT = "privacy-statement"
    CONTRACT = "contract"
    STAFF_RULES = "staff-rules"


@dataclass(frozen=True)
class Grounds:
    """Purposes, basis with the note of a balancing, the notice in two languages, and how it is told."""

    purposes: tuple[str, ...]
    legal_basis: LegalBasis
    notice_nl: str
    notice_en: str
    told_by: tuple[Telling, ...]
    balancing: str = ""
    """Why the interest outweighs that of the people heard: for a legitimate interest alone."""


STANDARD = Grounds(
    purposes=("Nagaan wat er aan de telefoon is afgesproken",),
    legal_basis=LegalBasis.LEGITIMATE_INTEREST,
    balancing="Tekst van de aanbieder. De organisatie heeft dit zelf nog niet afgewogen.",
    notice_nl="Dit gesprek kan worden opgenomen, om later te kunnen nagaan wat er is afgesproken.",
    notice_en="This call may be recorded, so that what was agreed can be established later.",
    told_by=(Telling.PRIVACY_STATEMENT,),
)
"""What the provider writes down for a new customer, until the customer writes its own: in Dutch, as nearly
all of them read it."""


def tidied(grounds: Grounds) -> Grounds:
    """Return grounds without needless blanks, empty or doubled purposes, and a note no other basis takes."""
    balanced = grounds.legal_basis is LegalBasis.LEGITIMATE_INTEREST
    return replace(
        grounds,
        purposes=tuple(dict.fromkeys(each for each in map(_one_line, grounds.purposes) if each)),
        balancing=_lines(grounds.balancing) if balanced else "",
        notice_nl=_lines(grounds.notice_nl),
        notice_en=_lines(grounds.notice_en),
        told_by=tuple(each for each in Telling if each in grounds.told_by),
    )


def faults(grounds: Grounds) -> tuple[str, ...]:
    """Return the fields of tidied grounds that are missing, too long or hold what can't be shown."""
    wanted = grounds.legal_basis is LegalBasis.LEGITIMATE_INTEREST
    wrong = {
        "purposes": not 1 <= len(grounds.purposes) <= PURPOSES_MAX
        or not all(len(each) <= PURPOSE_CHARS_MAX and each.isprintable() for each in grounds.purposes),
        "balancing": not _is_text(grounds.balancing, BALANCING_CHARS_MAX, required=wanted),
        "notice_nl": not _is_text(grounds.notice_nl, NOTICE_CHARS_MAX),
        "notice_en": not _is_text(grounds.notice_en, NOTICE_CHARS_MAX),
        "told_by": not grounds.told_by,
    }
    return tuple(name for name, is_wrong in wrong.items() if is_wrong)


def _is_text(text: str, chars_max: int, *, required: bool = True) -> bool:
    shown = text.replace("\n", "")
    return len(text) <= chars_max and (bool(text) or not required) and (not shown or shown.isprintable())


def _one_line(text: str) -> str:
    return " ".join(text.split(" ")).strip()


def _lines(text: str) -> str:
    """Return a text with the ends of lines that everybody has, as forms send those of Windows."""
    return text.replace("\r\n", "\n").strip()
