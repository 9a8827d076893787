"""What a person may ask about the recordings they are heard in, and by when they are answered.

The General Data Protection Regulation (EU) 2016/679 gives whoever is on a call the rights of
access (article 15), erasure (17) and objection (21). A request goes these ways:

    taken in --identify--> identified --grant or refuse--> answered --close--> closed
        |                      |  ^ search, choose, export
        |                      +--+
        +--refuse--> answered          both: extend; withdraw --> closed

It is answered within a month of the day it was received (article 12(3)); the months are
those of Regulation (EEC) 1182/71: the same day of the month, or the last one it has. Once, within that
month and with a reason, it may be made three months. That a term that ends on a free day
ends on the next working day is left out: who answers by our date is in time by any.

Who is on which channel decides whether the others can be silenced. A party of the request is
kept for as long as they were there; what stands on another channel, or on theirs before
they came or after they went, is somebody else.

Rules: pure. Days are those of Europe/Amsterdam. Engineering, no legal advice: which ground
holds is decided by people. Not here: rows (`archive.catalogue.data_subjects`), sound
(`archive.evidence.muting`).
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from archive.allowance import ZONE
from archive.catalogue.lexemes import words
from archive.errors import Conflict, Refused
from archive.model import Layout, Party, Recording, RetentionClass
from archive.numbers import canonical

MONTHS, EXTENDED_MONTHS = 1, 3
"""Article 12(3): one month, and two further ones where necessary."""

SOON_DAYS = 7
"""From here on a request is shown, and reminded of, as one that has to be answered now."""


class RequestKind(StrEnum):
    """What somebody asks for."""

    ACCESS = "access"
    ERASURE = "erasure"
    OBJECTION = "objection"


class RequestState(StrEnum):
    """How far a request is."""

    TAKEN_IN = "taken in"
    IDENTIFIED = "identified"
    ANSWERED = "answered"
    CLOSED = "closed"


class Step(StrEnum):
    """What is done with a request."""

    IDENTIFY = "identify"
    EXTEND = "extend"
    SEARCH = "search"
    CHOOSE = "choose"
    EXPORT = "export"
    GRANT = "grant"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    CLOSE = "close"


_TAKEN_IN, _IDENTIFIED = RequestState.TAKEN_IN, RequestState.IDENTIFIED
_ANSWERED, _CLOSED = RequestState.ANSWERED, RequestState.CLOSED

STEPS: Mapping[tuple[RequestState, Step], RequestState] = {
    (_TAKEN_IN, Step.IDENTIFY): _IDENTIFIED,
    (_TAKEN_IN, Step.EXTEND): _TAKEN_IN,
    # Who can't be identified is refused, and nothing was looked for.
    (_TAKEN_IN, Step.REFUSE): _ANSWERED,
    (_TAKEN_IN, Step.WITHDRAW): _CLOSED,
    (_IDENTIFIED, Step.EXTEND): _IDENTIFIED,
    (_IDENTIFIED, Step.SEARCH): _IDENTIFIED,
    (_IDENTIFIED, Step.CHOOSE): _IDENTIFIED,
    (_IDENTIFIED, Step.EXPORT): _IDENTIFIED,
    (_IDENTIFIED, Step.GRANT): _ANSWERED,
    (_IDENTIFIED, Step.REFUSE): _ANSWERED,
    (_IDENTIFIED, Step.WITHDRAW): _CLOSED,
    # The package can be made once more while its receiver has trouble with it.
    (_ANSWERED, Step.EXPORT): _ANSWERED,
    (_ANSWERED, Step.CLOSE): _CLOSED,
}
"""Where a step leads; what is not listed can't be done."""

_REFUSALS: Mapping[Step, str] = {
    Step.SEARCH: "First say how this person was identified: nothing is looked for on a mere claim.",
    Step.CHOOSE: "First say how this person was identified: nothing is looked for on a mere claim.",
    Step.EXPORT: "First say how this person was identified: nothing leaves on a mere claim.",
    Step.GRANT: "First say how this person was identified: nothing is granted on a mere claim.",
    Step.CLOSE: "First answer the request, or note that it was withdrawn.",
}


class Identification(StrEnum):
    """How it was made sure who asks (article 12(6)): no copy of a document is kept."""

    CALLED_BACK = "called back"
    """On the number the calls are about."""
    ACCOUNT = "account"
    """They signed in where they are known, or wrote from an address that is."""
    IN_PERSON = "in person"
    """A document was shown and not copied."""
    QUESTIONS = "questions"
    """They knew what only the person on the calls can know."""
    AGENT = "agent"
    """Somebody with a mandate, a lawyer or a parent."""


class Outcome(StrEnum):
    """What was answered."""

    GRANTED = "granted"
    PARTLY = "partly"
    REFUSED = "refused"


class Ground(StrEnum):
    """Why a request is not granted, or not wholly."""

    NOT_IDENTIFIED = "not-identified"
    EXCESSIVE = "excessive"
    RIGHTS_OF_OTHERS = "rights-of-others"
    LEGAL_DUTY = "legal-duty"
    LEGAL_CLAIMS = "legal-claims"
    STILL_NEEDED = "still-needed"
    COMPELLING = "compelling"
    EXCEPTION = "exception"


_EVERY = frozenset(RequestKind)
_ERASURE = frozenset({RequestKind.ERASURE})
_CLAIMS = frozenset({RequestKind.ERASURE, RequestKind.OBJECTION})

GROUNDS: Mapping[Ground, tuple[str, frozenset[RequestKind]]] = {
    Ground.NOT_IDENTIFIED: ("GDPR 11(2), 12(2)", _EVERY),
    Ground.EXCESSIVE: ("GDPR 12(5)(b)", _EVERY),
    Ground.RIGHTS_OF_OTHERS: ("GDPR 15(4)", frozenset({RequestKind.ACCESS})),
    Ground.LEGAL_DUTY: ("GDPR 17(3)(b)", _ERASURE),
    Ground.LEGAL_CLAIMS: ("GDPR 17(3)(e), 21(1)", _CLAIMS),
    Ground.STILL_NEEDED: ("GDPR 17(1)(a)", _ERASURE),
    Ground.COMPELLING: ("GDPR 21(1)", frozenset({RequestKind.OBJECTION})),
    Ground.EXCEPTION: ("GDPR 23", _EVERY),
}
"""The article of each ground, and the requests it can be one of."""


class Bar(StrEnum):
    """Why a recording can't be erased before its term."""

    HOLD = "hold"
    """A case holds it: for legal claims, until two people release the case."""
    DUTY = "duty"
    """The organisation registered a duty of law to keep it, until its date."""


GROUND_OF: Mapping[Bar, Ground] = {Bar.HOLD: Ground.LEGAL_CLAIMS, Bar.DUTY: Ground.LEGAL_DUTY}
"""On which ground the erasure of such a recording is refused."""


class SoughtBy(StrEnum):
    """By what calls are looked for."""

    NUMBER = "number"
    NAME = "name"
    USER = "user"


@dataclass(frozen=True)
class Sought:
    """A number in canonical form, a name, or the id of a person of the tenant."""

    by: SoughtBy
    value: str


class Treatment(StrEnum):
    """What becomes of a recording in the answer."""

    MUTED = "muted"
    """It is given with everybody else silenced."""
    WHOLE = "whole"
    """It is given as it is, others included, for a reason that is written down."""
    LEFT_OUT = "left out"
    """It is not given, for a reason that is written down."""


class Inseparable(StrEnum):
    """Why the others can't be silenced in a recording."""

    MIXED = "mixed"
    """All voices stand in one channel, as the exchange sent them."""
    SHARED_CHANNEL = "shared channel"
    """Somebody else was on the same channel at the same moment."""
    UNKNOWN_CHANNEL = "unknown channel"
    """It is not known which of the channels is theirs."""
    NOT_DECODED = "not decoded"
    """It was archived in a codec this release can't decode."""


@dataclass(frozen=True)
class Kept:
    """A stretch of a channel, by its index, in which the person of the request is heard."""

    channel: int
    from_ms: int
    to_ms: int | None


def today(now: datetime) -> date:
    """Return the day of a moment, as people count it here."""
    return now.astimezone(ZONE).date()


def due_on(received_on: date, *, extended: bool = False) -> date:
    """Return the last day on which a request is answered in time."""
    months = received_on.month - 1 + (EXTENDED_MONTHS if extended else MONTHS)
    year, month = received_on.year + months // 12, months % 12 + 1
    return date(year, month, min(received_on.day, calendar.monthrange(year, month)[1]))


def after(state: RequestState, step: Step) -> RequestState:
    """Return where a step leads; raises Conflict when it can't be done in this state."""
    following = STEPS.get((state, step))
    if following is not None:
        return following
    if state is RequestState.TAKEN_IN and step in _REFUSALS:
        raise Conflict(_REFUSALS[step])
    if state is RequestState.IDENTIFIED and step is Step.CLOSE:
        raise Conflict(_REFUSALS[step])
    raise Conflict(f"The request is {state.value}: this can't be done with it any more.")


def check_extension(received_on: date, on: date) -> None:
    """Raise Conflict when it is too late to extend: the reason is told within the first month."""
    if on > due_on(received_on):
        raise Conflict("A request is extended within a month of the day it was received; that is over.")


def check_answer(kind: RequestKind, outcome: Outcome, ground: Ground | None) -> None:
    """Raise Refused unless a refusal names a ground that can be one of such a request."""
    if outcome is Outcome.GRANTED:
        if ground is not None:
            raise Refused("What is granted as a whole has no ground of refusal.")
        return
    if ground is None:
        raise Refused("What is not granted is refused on a ground; name it.")
    if kind not in GROUNDS[ground][1]:
        raise Refused(f"The ground {ground.value} is none for a request of {kind.value}.")


def sought_of(by: SoughtBy, text: str) -> Sought:
    """Return what somebody typed as what is looked for; raises Refused for what is none.

    A number is one in any notation, or an address of record.
    """
    if by is SoughtBy.NUMBER:
        number = canonical(text)
        if not any(character.isdigit() for character in number) and "@" not in number:
            raise Refused("This is no telephone number.")
        return Sought(by, number)
    if by is SoughtBy.NAME:
        if not any(len(word) > 1 for word in words(text)):
            raise Refused("A name has at least one word of two letters.")
        return Sought(by, " ".join(text.split()))
    return Sought(by, text.strip())


def is_on(party: Party, sought: Iterable[Sought]) -> bool:
    """Return whether a party of a call is who is sought."""
    return any(_is(party, each) for each in sought)


def kept_of(
    recording: Recording, sought: Sequence[Sought], *, decodable: bool = True
) -> tuple[Kept, ...] | Inseparable:
    """Return where the person of a request is heard alone, or why they can't be heard alone."""
    if not decodable:
        return Inseparable.NOT_DECODED
    if recording.layout is Layout.MIXED or len(recording.channels) < 2:
        return Inseparable.MIXED
    theirs = [party for party in recording.parties if is_on(party, sought)]
    if not theirs or any(party.channel not in recording.channels for party in recording.parties):
        return Inseparable.UNKNOWN_CHANNEL
    others = [party for party in recording.parties if party not in theirs]
    if any(_overlap(mine, other) for mine in theirs for other in others):
        return Inseparable.SHARED_CHANNEL
    return tuple(
        Kept(recording.channels.index(party.channel), party.from_ms, party.to_ms) for party in theirs
    )


def bar_of(recording: Recording, duties: frozenset[RetentionClass]) -> Bar | None:
    """Return why a recording can't be erased before its term, None when two people may do it.

    `duties` are the retention classes a registered duty of law is about.
    """
    if recording.on_hold:
        return Bar.HOLD
    return Bar.DUTY if recording.retention_class in duties else None


def _is(party: Party, sought: Sought) -> bool:
    if sought.by is SoughtBy.NUMBER:
        return canonical(party.number) == sought.value
    if sought.by is SoughtBy.USER:
        return party.user_id == sought.value
    return set(words(sought.value)) <= set(words(party.name))


def _overlap(one: Party, other: Party) -> bool:
    """Return whether two parties were on one channel at the same moment."""
    return (
        one.channel == other.channel
        and (other.to_ms is None or one.from_ms < other.to_ms)
        and (one.to_ms is None or other.from_ms < one.to_ms)
    )
