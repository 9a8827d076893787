"""What reports, their columns and their values are called, in Dutch and in English.

Rules: pure. A value is written the same on a page, in a PDF and in a mail; spreadsheets get
numbers and write them themselves (`archive.reports.spreadsheet`). Days are written by the
language; times of length as hours, minutes and seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from archive.allowance import ZONE
from archive.reports.period import Period
from archive.reports.report import By, Kind, Name, Value

LANGUAGES: Final = ("nl", "en")
LOCALES: Final = {"nl": "nl_NL", "en": "en_GB"}
Words = Mapping[str, str]

TITLES: Final[Mapping[Name, Words]] = {
    Name.USAGE: {"nl": "Gebruik", "en": "Usage"},
    Name.MINUTES: {"nl": "Minuten", "en": "Minutes"},
    Name.DURATION: {"nl": "Gespreksduur", "en": "Duration"},
    Name.STORAGE: {"nl": "Opslag", "en": "Storage"},
    Name.PAUSES: {"nl": "Pauzes", "en": "Pauses"},
    Name.EVALUATIONS: {"nl": "Evaluaties", "en": "Evaluations"},
    Name.LISTENING: {"nl": "Beluisterd", "en": "Listening"},
    Name.SHARES: {"nl": "Gedeeld", "en": "Shares"},
    Name.COMPLETENESS: {"nl": "Compleetheid", "en": "Completeness"},
    Name.DESTRUCTION: {"nl": "Gewist", "en": "Destruction"},
    Name.BANDWIDTH: {"nl": "Bandbreedte", "en": "Bandwidth"},
}
EXPLAINED: Final[Mapping[Name, Words]] = {
    Name.USAGE: {
        "nl": "Opnames die in de periode begonnen, ook als ze intussen gewist zijn.",
        "en": "Recordings that began in the period, also those that were deleted since.",
    },
    Name.MINUTES: {
        "nl": "Geboekte minuten naast de licentie. De prognose is het tempo van deze maand tot nu toe.",
        "en": "Minutes booked, beside the licence. The forecast is the pace of this month so far.",
    },
    Name.DURATION: {
        "nl": "Hoe lang de gesprekken duurden, pauzes meegeteld.",
        "en": "How long calls were, pauses included.",
    },
    Name.STORAGE: {
        "nl": "Wat er bij kwam en weg ging, en wat er aan het eind van de dag stond, zonder quarantaine.",
        "en": "What came and went, and what stood at the end of the day. Quarantine is not counted.",
    },
    Name.PAUSES: {
        "nl": "Hoe vaak er met de hand gepauzeerd is, en hoe lang.",
        "en": "How often recordings were paused by hand, and for how long.",
    },
    Name.EVALUATIONS: {
        "nl": "Evaluaties die in de periode zijn vrijgegeven, van gesprekken die er nog zijn. "
        "Een streepje staat waar er te weinig zijn om een gemiddelde te tonen.",
        "en": "Evaluations released in the period, of calls that are still there. "
        "A dash stands where there are too few for an average to be shown.",
    },
    Name.LISTENING: {
        "nl": "Wie opnames beluisterde. Elke opname telt per luisteraar één keer.",
        "en": "Who listened to recordings. Each recording counts once a listener.",
    },
    Name.SHARES: {
        "nl": "Afspeellinks en mails van opnames die er nog zijn.",
        "en": "Play links and mails of recordings that are still there.",
    },
    Name.COMPLETENESS: {
        "nl": "Hoe elke aangeboden opname afliep. Noodoproepen staan nergens.",
        "en": "How every session offered ended. Emergency calls stand nowhere.",
    },
    Name.BANDWIDTH: {
        "nl": "Wat er voor opnames binnenkwam: RTP met kopregel, zonder IP. Piek: de drukste vijf minuten. "
        "Pauzes en gesprekken die niet bewaard zijn tellen niet.",
        "en": "What came in for recordings: RTP with its header, without IP. Peak: the busiest five minutes. "
        "Pauses and calls that were not kept do not count.",
    },
    Name.DESTRUCTION: {
        "nl": "Wat er op een dag gewist is, aan het eind van zijn termijn of eerder.",
        "en": "What was deleted on a day, at the end of its term or before.",
    },
}
COLUMNS: Final[Mapping[str, Words]] = {
    "user": {"nl": "Gebruiker", "en": "User"},
    "team": {"nl": "Team", "en": "Team"},
    "day": {"nl": "Dag", "en": "Day"},
    "month": {"nl": "Maand", "en": "Month"},
    "length": {"nl": "Duur", "en": "Length"},
    "recordings": {"nl": "Opnames", "en": "Recordings"},
    "incoming": {"nl": "Inkomend", "en": "Incoming"},
    "outgoing": {"nl": "Uitgaand", "en": "Outgoing"},
    "internal": {"nl": "Intern", "en": "Internal"},
    "recordedSeconds": {"nl": "Opgenomen", "en": "Recorded"},
    "durationSeconds": {"nl": "Gespreksduur", "en": "Duration"},
    "licence": {"nl": "Licentie", "en": "Licence"},
    "usedSeconds": {"nl": "Gebruikt", "en": "Used"},
    "capSeconds": {"nl": "Toegestaan", "en": "Allowed"},
    "percent": {"nl": "Aandeel", "en": "Share"},
    "forecastSeconds": {"nl": "Prognose", "en": "Forecast"},
    "reachedOn": {"nl": "Verbruikt op", "en": "Used up on"},
    "addedRecordings": {"nl": "Erbij", "en": "Added"},
    "addedBytes": {"nl": "Erbij (grootte)", "en": "Added (size)"},
    "destroyedRecordings": {"nl": "Gewist", "en": "Deleted"},
    "destroyedBytes": {"nl": "Gewist (grootte)", "en": "Deleted (size)"},
    "standingRecordings": {"nl": "Aanwezig", "en": "Standing"},
    "standingBytes": {"nl": "Aanwezig (grootte)", "en": "Standing (size)"},
    "pausedRecordings": {"nl": "Met pauze", "en": "With a pause"},
    "pauses": {"nl": "Pauzes", "en": "Pauses"},
    "pausedSeconds": {"nl": "Gepauzeerd", "en": "Paused"},
    "form": {"nl": "Formulier", "en": "Form"},
    "evaluations": {"nl": "Evaluaties", "en": "Evaluations"},
    "acknowledged": {"nl": "Gezien", "en": "Seen"},
    "disputed": {"nl": "Bezwaar", "en": "Disputed"},
    "failedEvaluations": {"nl": "Onvoldoende", "en": "Failed"},
    "averagePercent": {"nl": "Gemiddelde", "en": "Average"},
    "played": {"nl": "Beluisterd", "en": "Listened to"},
    "ownPlayed": {"nl": "Waarvan eigen", "en": "Of their own"},
    "downloaded": {"nl": "Gedownload", "en": "Downloaded"},
    "links": {"nl": "Afspeellinks", "en": "Play links"},
    "plays": {"nl": "Afgespeeld", "en": "Plays"},
    "workingLinks": {"nl": "Werkt nog", "en": "Still work"},
    "mails": {"nl": "Per mail", "en": "By mail"},
    "sessions": {"nl": "Aangeboden", "en": "Offered"},
    "recorded": {"nl": "Opgenomen", "en": "Recorded"},
    "notKept": {"nl": "Niet bewaard", "en": "Not kept"},
    "modeNever": {"nl": "Nooit", "en": "Never"},
    "nobodyRecorded": {"nl": "Niemand opgenomen", "en": "Nobody recorded"},
    "failed": {"nl": "Mislukt", "en": "Failed"},
    "peer": {"nl": "Centrale", "en": "Exchange"},
    "site": {"nl": "Vestiging", "en": "Site"},
    "receivedBytes": {"nl": "Ontvangen", "en": "Received"},
    "meanKbits": {"nl": "Gemiddeld (kbit/s)", "en": "Mean (kbit/s)"},
    "peakKbits": {"nl": "Piek (kbit/s)", "en": "Peak (kbit/s)"},
}
LENGTHS: Final[Mapping[str, Words]] = {
    "30s": {"nl": "tot 30 seconden", "en": "below 30 seconds"},
    "1m": {"nl": "30 seconden tot 1 minuut", "en": "30 seconds to 1 minute"},
    "2m": {"nl": "1 tot 2 minuten", "en": "1 to 2 minutes"},
    "5m": {"nl": "2 tot 5 minuten", "en": "2 to 5 minutes"},
    "10m": {"nl": "5 tot 10 minuten", "en": "5 to 10 minutes"},
    "30m": {"nl": "10 tot 30 minuten", "en": "10 to 30 minutes"},
    "1h": {"nl": "30 minuten tot 1 uur", "en": "30 minutes to 1 hour"},
    "longer": {"nl": "1 uur en langer", "en": "1 hour and longer"},
}
LICENCES: Final[Mapping[str, Words]] = {
    "90d": {"nl": "90 dagen", "en": "90 days"},
    "365d": {"nl": "365 dagen", "en": "365 days"},
    "7y-1000": {"nl": "7 jaar, 1000 minuten", "en": "7 years, 1000 minutes"},
    "7y-3500": {"nl": "7 jaar, 3500 minuten", "en": "7 years, 3500 minutes"},
}
GROUPS: Final[Mapping[By, Words]] = {
    By.USER: {"nl": "Per gebruiker", "en": "By user"},
    By.TEAM: {"nl": "Per team", "en": "By team"},
    By.DAY: {"nl": "Per dag", "en": "By day"},
    By.FORM: {"nl": "Per formulier", "en": "By form"},
    By.LENGTH: {"nl": "Per duur", "en": "By length"},
    By.PEER: {"nl": "Per centrale", "en": "By exchange"},
    By.SITE: {"nl": "Per vestiging", "en": "By site"},
}
ABSENT: Final[Mapping[Kind, Words]] = {
    Kind.PEER: {"nl": "gedeelde of verwijderde centrale", "en": "shared or removed exchange"},
    Kind.SITE: {"nl": "zonder vestiging", "en": "no site"},
}
"""What stands where there is no name, of what has a word for it."""

TOTAL: Final = {"nl": "Totaal", "en": "Total"}
NOBODY: Final = {"nl": "onbekend", "en": "unknown"}
AS_OF: Final = {"nl": "Bijgewerkt {at}", "en": "As of {at}"}
PAGE_OF: Final = {"nl": "Pagina {page} van {pages}", "en": "Page {page} of {pages}"}
UNKNOWN_LETTERS: Final = {
    "nl": "Een vraagteken in een naam is een letter die deze PDF niet heeft. In XLSX en CSV staat hij goed.",
    "en": "A question mark in a name stands for a letter that this PDF does not have. XLSX and CSV have it.",
}
EMPTY: Final = {"nl": "Geen gegevens in deze periode", "en": "No data in this period"}

_BYTES_STEP = 1000


def period_of(period: Period, language: str) -> str:
    """Return a period: 1 november 2026 t/m 22 november 2026, or its only day."""
    first, last = (
        format_date(each, "d MMMM y", locale=LOCALES[language]) for each in (period.first, period.last)
    )
    between = {"nl": "t/m", "en": "to"}[language]
    return first if period.first == period.last else f"{first} {between} {last}"


def as_of(moment: datetime, language: str) -> str:
    """Return as of when numbers are true."""
    local = moment.astimezone(ZONE)
    return AS_OF[language].format(at=format_datetime(local, "d MMM y HH:mm:ss", locale=LOCALES[language]))


def written(value: Value, kind: Kind, language: str) -> str:
    """Return a value as people read it; nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, date):
        form = "MMMM y" if kind is Kind.MONTH else "EEE d MMM y"
        return format_date(value, form, locale=LOCALES[language])
    if isinstance(value, str):
        named = {Kind.LENGTH: LENGTHS, Kind.LICENCE: LICENCES}.get(kind, {}).get(value)
        return named[language] if named is not None else value or ABSENT.get(kind, NOBODY)[language]
    if kind is Kind.SECONDS:
        return length(int(value))
    if kind is Kind.BYTES:
        return size(int(value), language)
    if kind is Kind.KBITS:
        return str(format_decimal(value, "#,##0.0", locale=LOCALES[language]))
    if kind is Kind.PERCENT:
        return (
            f"{format_decimal(value, '#,##0.0', locale=LOCALES[language])}{' %' if language == 'nl' else '%'}"
        )
    return str(format_decimal(value, "#,##0", locale=LOCALES[language]))


def length(seconds: int) -> str:
    """Return a length of time as 0:48, 9:40 or 102:02:03."""
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def size(octets: int, language: str) -> str:
    """Return a size in the unit that gives it three digits or fewer: 12,3 MB."""
    amount, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if abs(amount) < _BYTES_STEP:
            break
        amount, unit = amount / _BYTES_STEP, larger
    pattern = "#,##0" if unit == "B" else "#,##0.0"
    return f"{format_decimal(amount, pattern, locale=LOCALES[language])} {unit}"
