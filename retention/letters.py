"""What mails say, in Dutch and in English.

Each kind has a subject and a text for each language; `{name}` is filled in from the
letter's fields, once: what a field holds is never read as a place to be filled.

Rules: pure. Plain text, short, and never more than its reader may know. A letter nobody
wrote the words of is refused. What a field holds in letters that run from right to left turns
nothing around it. Not here: who gets one, and how it looks as HTML (`retention.letter_paper`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date

from archive.errors import Refused

ZONE = ZoneInfo("Europe/Amsterdam")
LOCALES: Final = {"nl": "nl_NL", "en": "en_GB"}


@dataclass(frozen=True)
class Words:
    """A subject and a text with places to be filled."""

    subject: str
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of a mail; `place` is the name of the field it is and nothing else, such as `link`."""

    text: str
    place: str = ""


@dataclass(frozen=True)
class Filled:
    """What a mail says: its text, and the same by paragraphs."""

    subject: str
    text: str
    paragraphs: tuple[Paragraph, ...] = ()


_PLACES = frozenset({"{link}", "{ending}", "{choosing}", "{code}"})
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})

_ENDS = {
    "nl": "\n\nLiever geen mail hierover? Kies het bij je instellingen:\n\n{choosing}\n",
    "en": "\n\nNo mails about this? Choose so in your settings:\n\n{choosing}\n",
}
_HELLO = {"nl": "Hallo,\n\n", "en": "Hello,\n\n"}

_NEWS: Final[Mapping[str, Mapping[str, Words]]] = {
    "reply": {
        "nl": Words(
            "Antwoord op je opmerking",
            "Bij {organisation} heeft iemand op een opmerking van jou geantwoord.",
        ),
        "en": Words(
            "An answer to your comment",
            "Somebody at {organisation} answered a comment of yours.",
        ),
    },
    "evaluation": {
        "nl": Words(
            "Er is een evaluatie van jou",
            "Bij {organisation} is een gesprek van jou geëvalueerd. Lees het hier.",
        ),
        "en": Words(
            "You were evaluated",
            "At {organisation} a call of yours was evaluated. Read it here.",
        ),
    },
    "settlement": {
        "nl": Words(
            "Antwoord op je bezwaar",
            "Bij {organisation} is antwoord gegeven op je bezwaar tegen een evaluatie.",
        ),
        "en": Words(
            "Your objection was answered",
            "At {organisation} your objection to an evaluation was answered.",
        ),
    },
    "objection": {
        "nl": Words(
            "Bezwaar tegen je evaluatie",
            "Bij {organisation} heeft iemand bezwaar tegen een evaluatie van jou.",
        ),
        "en": Words(
            "An objection to your evaluation",
            "Somebody at {organisation} objects to an evaluation you made.",
        ),
    },
    "heard": {
        "nl": Words(
            "Er is naar je gesprekken geluisterd",
            "Op {day} hebben anderen bij {organisation} opnames van jou beluisterd of gedeeld. Wie en "
            "waarom staat hier.",
        ),
        "en": Words(
            "Your calls were listened to",
            "On {day} others at {organisation} listened to recordings of yours, or passed them on. Who "
            "and what for stands here.",
        ),
    },
    "link-opened": {
        "nl": Words(
            "Je afspeellink is geopend",
            "Iemand heeft een afspeellink beluisterd die jij bij {organisation} maakte.",
        ),
        "en": Words(
            "Your play link was opened",
            "Somebody listened by a play link you made at {organisation}.",
        ),
    },
    "link-ends": {
        "nl": Words(
            "Je afspeellink loopt af",
            "Een afspeellink die jij bij {organisation} maakte, werkt nog minder dan een dag.",
        ),
        "en": Words(
            "Your play link ends soon",
            "A play link you made at {organisation} works for less than a day from now.",
        ),
    },
    "import": {
        "nl": Words(
            "Je import is klaar",
            "Je import van gebruikers bij {organisation} is klaar. Bekijk de uitkomst per rij.",
        ),
        "en": Words(
            "Your import is done",
            "Your import of users at {organisation} is done. See what became of each row.",
        ),
    },
    "minutes": {
        "nl": Words(
            "Minuten zijn bijna of helemaal op",
            "Bij {organisation} heeft iemand 80 of 100 procent van de minuten van een maand gebruikt. Wie, "
            "en wat er daarna met gesprekken gebeurt, zie je hier.",
        ),
        "en": Words(
            "Minutes are used up, or nearly",
            "At {organisation} somebody used 80 or 100 percent of the minutes of a month. Who, and what "
            "becomes of calls after that, you see here.",
        ),
    },
}
"""What people are told of when they want to be (`archive.catalogue.notifications`): Dutch, then English."""


def _whole(kind: str) -> Mapping[str, Words]:
    return {
        language: Words(words.subject, f"{_HELLO[language]}{words.text}\n\n{{link}}{_ENDS[language]}")
        for language, words in _NEWS[kind].items()
    }


_WITNESS: Final = {
    "nl": "Je krijgt deze mail omdat jullie allebei meebeslissen over wat twee mensen vraagt.\n\nVerwachtte "
    "je dit niet? Vraag het {login} zelf, niet per mail, en kijk in het auditlog.\n",
    "en": "You get this mail because both of you decide on what takes two people.\n\nDid you not expect it? "
    "Ask {login} in person, not by mail, and look in the audit log.\n",
}

LETTERS: Final[Mapping[str, Mapping[str, Words]]] = {
    "invitation": {
        "nl": Words(
            "Je account bij {organisation}",
            "Hallo,\n\n{organisation} heeft een account voor je gemaakt. Kies een wachtwoord om te "
            "beginnen:\n\n{link}\n\nJe inlognaam is {login}. De link werkt één keer, een week lang.\n",
        ),
        "en": Words(
            "Your account at {organisation}",
            "Hello,\n\n{organisation} made an account for you. Choose a password to begin:\n\n{link}\n\n"
            "Your sign-in name is {login}. The link works once, for a week.\n",
        ),
    },
    "reset": {
        "nl": Words(
            "Nieuw wachtwoord kiezen",
            "Hallo,\n\nIemand vroeg om een nieuw wachtwoord voor {login}. Was jij dat? Kies het hier:\n\n"
            "{link}\n\nDe link werkt één keer, een uur lang. Was jij het niet? Doe dan niets: je "
            "wachtwoord blijft zoals het is.\n",
        ),
        "en": Words(
            "Choose a new password",
            "Hello,\n\nSomebody asked for a new password for {login}. Was it you? Choose it here:\n\n"
            "{link}\n\nThe link works once, for an hour. Was it not you? Then do nothing: your password "
            "stays as it is.\n",
        ),
    },
    "address-changed": {
        "nl": Words(
            "Je e-mailadres bij {organisation} is gewijzigd",
            "Hallo,\n\nBij {login} van {organisation} hoort voortaan een ander e-mailadres. Links om een "
            "wachtwoord te kiezen gaan daarheen en niet meer naar dit adres.\n\nDe wijziging is gedaan door "
            "{by}. Klopt dit niet? Vraag het meteen daar of bij een andere beheerder van {organisation}.\n",
        ),
        "en": Words(
            "Your e-mail address at {organisation} was changed",
            "Hello,\n\n{login} of {organisation} has another e-mail address from now on. Links to choose a "
            "password go there, and no longer to this address.\n\nIt was changed by {by}. Is that not right? "
            "Ask there at once, or another administrator of {organisation}.\n",
        ),
    },
    "second-step-reset": {
        "nl": Words(
            "Je tweede stap bij {organisation} is weggehaald",
            "Hallo,\n\n{by} heeft de tweede stap weggehaald waarmee {login} bij {organisation} inlogt. Je "
            "bent overal uitgelogd. Log in en stel een nieuwe in.\n\nVroeg je hier niet om? Vraag het meteen "
            "daar of bij een andere beheerder van {organisation}.\n",
        ),
        "en": Words(
            "Your second step at {organisation} was taken away",
            "Hello,\n\n{by} took the second step away by which {login} signs in at {organisation}. You are "
            "signed out everywhere. Sign in and set up another.\n\nDid you not ask for it? Ask there at "
            "once, or another administrator of {organisation}.\n",
        ),
    },
    "helped-by-link": {
        "nl": Words(
            "{login} kreeg een link om in te loggen",
            "Hallo,\n\n{by} heeft {login} van {organisation} een link gestuurd om een wachtwoord te kiezen. "
            + _WITNESS["nl"],
        ),
        "en": Words(
            "{login} was sent a link to sign in",
            "Hello,\n\n{by} sent {login} of {organisation} a link to choose a password. " + _WITNESS["en"],
        ),
    },
    "helped-by-reset": {
        "nl": Words(
            "De tweede stap van {login} is weggehaald",
            "Hallo,\n\n{by} heeft de tweede stap weggehaald waarmee {login} bij {organisation} inlogt. "
            + _WITNESS["nl"],
        ),
        "en": Words(
            "The second step of {login} was taken away",
            "Hello,\n\n{by} took the second step away by which {login} signs in at {organisation}. "
            + _WITNESS["en"],
        ),
    },
    "share": {
        "nl": Words(
            "{organisation} deelt een gesprek met je",
            "Hallo,\n\n{organisation} deelt een opgenomen gesprek met je{titled}. Luister hier:\n\n{link}\n\n"
            "Je kunt afspelen tot en met {until}. Downloaden kan niet.{proving}{message}\n",
        ),
        "en": Words(
            "{organisation} shares a call with you",
            "Hello,\n\n{organisation} shares a recorded call with you{titled}. Listen here:\n\n{link}\n\n"
            "You can play it until {until}. There is no file to download.{proving}{message}\n",
        ),
    },
    "share-code": {
        "nl": Words(
            "Je code: {code}",
            "Hallo,\n\nJe code om het gesprek van {organisation} te beluisteren is:\n\n{code}\n\n"
            "Hij geldt 10 minuten. Vroeg je hier niet om? Doe dan niets.\n",
        ),
        "en": Words(
            "Your code: {code}",
            "Hello,\n\nYour code to listen to the call of {organisation} is:\n\n{code}\n\n"
            "It works for 10 minutes. Did you not ask for it? Then do nothing.\n",
        ),
    },
    "privacy-soon": {
        "nl": Words(
            "Een AVG-verzoek wacht op antwoord",
            "Hallo,\n\nBij {organisation} wacht een AVG-verzoek op antwoord, uiterlijk op {until}"
            ":\n\n{link}\n",
        ),
        "en": Words(
            "A privacy request waits for an answer",
            "Hello,\n\nAt {organisation} a privacy request waits for an answer. It is due on {until} at the "
            "latest:\n\n{link}\n",
        ),
    },
    "privacy-overdue": {
        "nl": Words(
            "Een AVG-verzoek is te laat",
            "Hallo,\n\nBij {organisation} had een AVG-verzoek uiterlijk op {until} antwoord moeten krijgen. "
            "Antwoord zo snel mogelijk:\n\n{link}\n",
        ),
        "en": Words(
            "A privacy request is overdue",
            "Hello,\n\nAt {organisation} a privacy request should have been answered on {until}. Answer it "
            "as soon as you can:\n\n{link}\n",
        ),
    },
    "export-ready": {
        "nl": Words(
            "Je bewijspakket staat klaar",
            "Hallo,\n\nHet pakket dat je op {day} bij {organisation} vroeg, staat klaar. Meld je aan en haal "
            "het op tot en met {until}:\n\n{link}\n",
        ),
        "en": Words(
            "Your package of evidence is ready",
            "Hello,\n\nThe package you asked for on {day} at {organisation} is ready. Sign in and fetch it "
            "until {until}:\n\n{link}\n",
        ),
    },
    "export-failed": {
        "nl": Words(
            "Je bewijspakket kon niet worden gemaakt",
            "Hallo,\n\nHet pakket dat je op {day} bij {organisation} vroeg, kon niet worden gemaakt. Meld je "
            "aan om te zien waarom:\n\n{link}\n",
        ),
        "en": Words(
            "Your package of evidence could not be made",
            "Hello,\n\nThe package you asked for on {day} at {organisation} could not be made. Sign in to "
            "see why:\n\n{link}\n",
        ),
    },
    "report": {
        "nl": Words(
            "{named}, {period}",
            "Hallo,\n\nIn de bijlage zit de rapportage {named} van {organisation}, {period}. "
            "Bekijk haar in het portaal:\n\n{link}\n\nNiet meer krijgen? Stop haar hier:\n\n{ending}\n",
        ),
        "en": Words(
            "{named}, {period}",
            "Hello,\n\nAttached is the report {named} of {organisation}, {period}. "
            "Look at it in the portal:\n\n{link}\n\nNo longer? Stop it here:\n\n{ending}\n",
        ),
    },
    "file": {
        "nl": Words(
            "{organisation} stuurt je een opgenomen gesprek",
            "Hallo,\n\nIn de bijlage zit een opgenomen gesprek van {organisation}, van {day}.{message}\n\n"
            "Het is vertrouwelijk: deel het niet verder dan nodig en bewaar het niet langer dan nodig.\n",
        ),
        "en": Words(
            "{organisation} sends you a recorded call",
            "Hello,\n\nAttached is a recorded call of {organisation}, of {day}.{message}\n\n"
            "It is confidential: do not pass it on further, or keep it longer, than needed.\n",
        ),
    },
    **{kind: _whole(kind) for kind in _NEWS},
}

PROVING: Final[Mapping[str, Mapping[str, str]]] = {
    "none": {"nl": "", "en": ""},
    "pin": {
        "nl": " De pincode krijg je van wie dit met je deelt.",
        "en": " Whoever shares this with you tells you the PIN.",
    },
    "email": {
        "nl": " Voor het luisteren sturen we een code naar dit adres.",
        "en": " Before you listen we send a code to this address.",
    },
}


def filled(kind: str, language: str, fields: Mapping[str, str]) -> Filled:
    """Return what a letter says; raises Refused for a kind or field nobody wrote of."""
    words = LETTERS.get(kind, {}).get(language)
    if words is None:
        raise Refused(f"There are no words for a mail of the kind {kind[:40]!r}.")
    known = {**fields, **_told(language, fields)}
    apart = {name: isolated(value) for name, value in fields.items()}
    within = {**apart, **_told(language, apart)}
    try:
        subject, text = words.subject.format_map(known), words.text.format_map(within)
        return Filled(subject, text, tuple(_paragraphs(words.text, within)))
    except KeyError as error:
        raise Refused(f"A mail of the kind {kind} needs the field {error}.") from None


def isolated(text: str) -> str:
    """Return a text so that letters from right to left in it turn nothing around it (UAX 9, 2.4)."""
    turns = any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text)
    return "\n".join(f"\u2068{line}\u2069" if line else line for line in text.split("\n")) if turns else text


def _paragraphs(words: str, fields: Mapping[str, str]) -> Iterator[Paragraph]:
    """Return the paragraphs of a text; what a field holds is never one that only our words make."""
    for written in words.strip("\n").split("\n\n"):
        place = written[1:-1] if written in _PLACES else ""
        told = written.format_map(fields)
        yield from (Paragraph(each, place) for each in ([told] if place else told.split("\n\n")) if each)


def _told(language: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return fields as people read them: a title in quotes, a message as a paragraph, days in words."""
    title, text = fields.get("title", ""), fields.get("message", "").strip()
    told = {"titled": f": “{title}”" if title else "", "message": f"\n\n{text}" if text else ""}
    told["proving"] = PROVING.get(fields.get("proof", ""), {}).get(language, "")
    for name, moment in (("until", fields.get("endsAt")), ("day", fields.get("startedAt"))):
        if moment is not None:
            local = datetime.fromisoformat(moment).astimezone(ZONE)
            told[name] = format_date(local, "d MMMM y", locale=LOCALES[language])
    return told
