"""Requests of data subjects in words: kinds, steps, grounds and decisions as people read them.

Rules: literal data only, every member of each enumeration (a test looks). Not here: what they mean
(`archive.data_subject`).
"""

from __future__ import annotations

from collections.abc import Mapping

from archive.data_subject import (
    Bar,
    Ground,
    Identification,
    Inseparable,
    Outcome,
    RequestKind,
    RequestState,
    SoughtBy,
    Treatment,
)
from playback_portal.language import mark

KINDS: Mapping[RequestKind, str] = {
    RequestKind.ACCESS: mark("Access: hear their recordings"),
    RequestKind.ERASURE: mark("Erasure: have recordings erased"),
    RequestKind.OBJECTION: mark("Objection: no longer be recorded"),
}
STATES: Mapping[RequestState, str] = {
    RequestState.TAKEN_IN: mark("Taken in"),
    RequestState.IDENTIFIED: mark("Identified"),
    RequestState.ANSWERED: mark("Answered"),
    RequestState.CLOSED: mark("Closed"),
}
IDENTIFICATIONS: Mapping[Identification, str] = {
    Identification.CALLED_BACK: mark("Called back on the number of the calls"),
    Identification.ACCOUNT: mark("Known account or address"),
    Identification.IN_PERSON: mark("In person, with a document that was not copied"),
    Identification.QUESTIONS: mark("Questions only they can answer"),
    Identification.AGENT: mark("Somebody who acts for them, with proof"),
}
OUTCOMES: Mapping[Outcome, str] = {
    Outcome.GRANTED: mark("Granted"),
    Outcome.PARTLY: mark("Granted in part"),
    Outcome.REFUSED: mark("Refused"),
}
GROUNDS_TOLD: Mapping[Ground, str] = {
    Ground.NOT_IDENTIFIED: mark("It is not certain who asks"),
    Ground.EXCESSIVE: mark("Clearly unfounded, or asked again and again"),
    Ground.RIGHTS_OF_OTHERS: mark("It would harm the rights of others"),
    Ground.LEGAL_DUTY: mark("A law obliges us to keep it"),
    Ground.LEGAL_CLAIMS: mark("It is needed for a legal claim"),
    Ground.STILL_NEEDED: mark("It is still needed for what it was made for"),
    Ground.COMPELLING: mark("Compelling grounds weigh more"),
    Ground.EXCEPTION: mark("An exception in national law"),
}
SOUGHT_BY: Mapping[SoughtBy, str] = {
    SoughtBy.NUMBER: mark("Telephone number"),
    SoughtBy.NAME: mark("Name on the call"),
    SoughtBy.USER: mark("Sign-in name of a colleague"),
}
TREATMENTS: Mapping[Treatment, str] = {
    Treatment.MUTED: mark("Give, others silenced"),
    Treatment.WHOLE: mark("Give whole, others included"),
    Treatment.LEFT_OUT: mark("Leave out"),
}
INSEPARABLE: Mapping[Inseparable, str] = {
    Inseparable.MIXED: mark("All voices are in one channel; nobody can be silenced"),
    Inseparable.SHARED_CHANNEL: mark("Somebody else was on the same channel at the same time"),
    Inseparable.UNKNOWN_CHANNEL: mark("It is not known which channel is theirs"),
    Inseparable.NOT_DECODED: mark("The sound is in a codec that can't be decoded yet"),
}
BARS: Mapping[Bar, str] = {
    Bar.HOLD: mark("Not before its case is released"),
    Bar.DUTY: mark("Not before its date: a law obliges to keep it"),
}
DEEDS: Mapping[str, str] = {
    "data-subject.taken-in": mark("took in a privacy request"),
    "data-subject.identified": mark("wrote down who asks"),
    "data-subject.extended": mark("took two months more for a privacy request"),
    "data-subject.searched": mark("looked for the calls of a person"),
    "data-subject.calls-viewed": mark("looked at the calls of a privacy request"),
    "data-subject.chosen": mark("decided about calls of a privacy request"),
    "data-subject.export-asked": mark("asked for the package of a privacy request"),
    "data-subject.answered": mark("answered a privacy request"),
    "data-subject.closed": mark("closed a privacy request"),
    "data-subject.soon": mark("A privacy request has to be answered within a week"),
    "data-subject.overdue": mark("A privacy request is overdue"),
    "data-subject.forgotten": mark("Forgot a privacy request at the end of its term"),
    "data-subject.viewed": mark("looked at a privacy request"),
    "data-subject.history-viewed": mark("looked at the log of a privacy request"),
}
"""The deeds of the audit log about a request."""
