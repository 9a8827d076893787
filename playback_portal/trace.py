"""The trace of a decision in words for people: each line of the recorder as a step, with its moment.

A trace is English sentences that the recorder writes while it decides and while it is
commanded (`archive.decision`, `recorder.srs`). Here each kind of line has a message, so
that people read it in their language; a line that nobody foresaw is shown as it is.

Rules: pure. A step names nobody by id: logins are put in where they are known. A test
holds that every line the recorder writes has words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from archive.model import RecordingMode, RetentionClass
from playback_portal import words
from playback_portal.language import Language, mark, translated
from playback_portal.live import REASONS

STEPS_COUNT_MAX: Final = 100
"""A trace is a dozen steps, and its recorder ends it there."""

VERBS: Final = {
    "start": mark("Start was asked %(by)s."),
    "stop": mark("Stop was asked %(by)s."),
    "pause": mark("Pause was asked %(by)s."),
    "resume": mark("Resume was asked %(by)s."),
    "keep": mark("Keep was asked %(by)s."),
}

CAUSES: Final = {
    "star code": mark("by a star code on the phone"),
    "exchange": mark("by the exchange"),
    "do-not-record list": mark("because of the do-not-record list"),
    "keep next": mark("by Keep the next call"),
    "restart": mark("because the recorder started again"),
}
"""What `by` says when no person did it."""

_DATED = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) (.*)", re.DOTALL)
_REFUSED = re.compile(r"(\w+) by (.+): refused\. (.*)", re.DOTALL)
_COMMANDED = re.compile(r"(\w+) by ([^,]+)(, after the call)?")
_QUOTED = re.compile(r"The recording did not obey '\w+': (.*) \(mode (.*)\)\.")
_KINDS: Final = (
    ("route", r"peer (?P<name>.+)", mark("The call came in by %(name)s.")),
    ("users", r"tenant .+", mark("The customer was found.")),
    (
        "alert",
        r"no tenant: .+",
        mark("No customer was found: the way in has none and the exchange named none that is known."),
    ),
    (
        "minus",
        r"a party is on the do-not-record list: .+",
        mark("A number of the call is on the list of numbers that are not recorded."),
    ),
    (
        "minus",
        r"user (?P<user>\S+): a party is on their do-not-record list: .+",
        mark("A number of the call is on the list of numbers that are not recorded for %(user)s."),
    ),
    ("users", r"parties: .+", mark("The numbers of the call were compared with that list.")),
    (
        "users",
        r"user (?P<user>\S+) by the exchange's user id",
        mark("%(user)s was found: the exchange named this user."),
    ),
    ("users", r"user (?P<user>\S+) by number", mark("%(user)s was found by number.")),
    (
        "info",
        r"the exchange's user id is unknown; trying numbers",
        mark("The exchange named a user who is not known here, so the numbers were looked at."),
    ),
    (
        "alert",
        r"the exchange named a user who is unknown here: .+",
        mark("The exchange named a user who is not known here. It was recorded and set apart."),
    ),
    (
        "alert",
        r"the description can't be read: .+",
        mark("What the exchange said of the call can't be read. It was recorded, of nobody in particular."),
    ),
    (
        "alert",
        r"nobody wrote down why this organisation records: .+",
        mark(
            "Nobody wrote down why this organisation records, so it was not recorded. "
            "Administrators do that in Settings."
        ),
    ),
    ("minus", r"user (?P<user>\S+): mode never", mark("%(user)s is not recorded: the mode is Never.")),
    (
        "minus",
        r"user (?P<user>\S+): mode (?P<mode>\S+), but no licence",
        mark("%(user)s is not recorded: there is no licence. The mode is %(mode)s."),
    ),
    (
        "minus",
        r"user (?P<user>\S+): the minutes of the month are used up, .+",
        mark("%(user)s is not recorded: the minutes of the month are used up, and the policy is to stop."),
    ),
    (
        "check",
        r"user (?P<user>\S+): mode (?P<mode>\S+), class (?P<licence>\S+)",
        mark("%(user)s is recorded: the mode is %(mode)s, the licence %(licence)s."),
    ),
    ("hold", r"media stopped by (?P<by>.+)", mark("The sound was stopped %(by)s.")),
    ("sound", r"media again by (?P<by>.+)", mark("The sound came back %(by)s.")),
    (
        "gap",
        r"media: (?P<streams>\d+) streams?, (?P<received>\d+) packets, (?P<lost>\d+) lost, \d+ duplicated",
        mark("Sound: %(streams)s channels, %(received)s packets came, %(lost)s were lost."),
    ),
    (
        "lock",
        r"class (?P<licence>\S+) kept until (?P<until>\S+)",
        mark("Kept until %(until)s, by the licence %(licence)s."),
    ),
    (
        "lock",
        r"class (?P<licence>\S+) kept until (?P<until>[^ ,]+), above the minutes of the month",
        mark("Kept until %(until)s, by the licence %(licence)s. The minutes of the month were used up."),
    ),
    ("alert", r"quarantined until (?P<until>\S+)", mark("Set apart until %(until)s.")),
)
_PATTERNS: Final = tuple((icon, re.compile(pattern), message) for icon, pattern, message in _KINDS)


@dataclass(frozen=True)
class Step:
    """One step: when (if known), its icon, the message and what is put in it; `plain` has no words."""

    at: datetime | None
    icon: str
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    plain: bool = False

    @property
    def user_id(self) -> str:
        """The id of whom the step names, '' for nobody."""
        by = self.values.get("by", "")
        return self.values.get("user", "") or (by.removeprefix("user:") if by.startswith("user:") else "")


def steps(lines: Iterable[str]) -> list[Step]:
    """Return a trace in steps, in its order."""
    return [_step(line) for line, _ in zip(lines, range(STEPS_COUNT_MAX), strict=False)]


def _step(line: str) -> Step:
    dated = _DATED.fullmatch(line)
    at, text = (datetime.fromisoformat(dated[1]), dated[2]) if dated else (None, line)
    refused = _REFUSED.fullmatch(text)
    if refused and refused[1] in VERBS:
        quoted = _QUOTED.fullmatch(refused[3])
        reason = REASONS.get(quoted[1], "") if quoted else ""
        return Step(at, "minus", VERBS[refused[1]], {"by": refused[2]}, reason or mark("It was not obeyed."))
    commanded = _COMMANDED.fullmatch(text)
    if commanded and commanded[1] in VERBS:
        after = mark("That was after the call.") if commanded[3] else ""
        icon = {"pause": "pause", "resume": "play", "keep": "keep", "stop": "stop"}.get(commanded[1], "rec")
        return Step(at, icon, VERBS[commanded[1]], {"by": commanded[2]}, after)
    for icon, pattern, message in _PATTERNS:
        if found := pattern.fullmatch(text):
            return Step(at, icon, message, found.groupdict())
    return Step(at, "info", text, plain=True)


def told(step: Step, language: Language, names: Mapping[str, str]) -> str:
    """Return a step in a language, with people by the names they are known by."""
    if step.plain:
        return step.message
    known = {name: _value(name, value, language, names) for name, value in step.values.items()}
    more = f" {translated(language, step.more)}" if step.more else ""
    return translated(language, step.message) % known + more


def cause(by: str, language: Language, names: Mapping[str, str]) -> str:
    """Return who or what caused something: a person by name, a program, or what the recorder calls it."""
    if by.startswith("user:"):
        gone = translated(language, mark("somebody who is no longer here"))
        who = names.get(by.removeprefix("user:"), gone)
        return translated(language, mark("by %(who)s")) % {"who": who}
    if by.startswith("api-client:"):
        return translated(language, mark("by a program"))
    return translated(language, CAUSES[by]) if by in CAUSES else by


def _value(name: str, value: str, language: Language, names: Mapping[str, str]) -> str:
    if name == "user":
        return names.get(value) or translated(language, mark("Somebody who is no longer here"))
    if name == "by":
        return cause(value, language, names)
    if name == "mode" and value in set(RecordingMode):
        return translated(language, words.MODES[RecordingMode(value)])
    if name == "licence" and value in set(RetentionClass):
        return translated(language, words.LICENCES[RetentionClass(value)])
    return value
