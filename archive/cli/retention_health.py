"""What `earwitness doctor` says of retention: whether what expired goes, and holds and keys follow.

It tells what the worker counted last; it looks at no recording itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from archive.catalogue import restores, retention_figures
from archive.catalogue.engine import Catalogue
from archive.catalogue.retention_figures import COUNTED_WITHIN, SWEPT_WITHIN, Figure, Reading
from archive.cli.finding import Finding, Verdict
from archive.clock import SystemClock
from archive.settings import Settings

CLOCK = "clock of deletions"
SWEEP = "sweep of what expired"
OVERDUE = "recordings past their term"
HOLDS = "holds of the store"
STUCK = "destructions"
KEYS = "keys nothing hangs from"
RESTORED = "restored database"

LATE_S_MAX = 6 * 3600
"""As the worker: a machine that was off makes deletions late, and within a day they have to be done."""

HOLDS_WAIT_MAX = timedelta(hours=1)
"""A hundred thousand recordings are followed in less; in the database they are held at once."""

_WORKER = "is the worker running?"
_LOOK = "the worker's log tells which, by lines with ALARM"


def retention_health(settings: Settings) -> list[Finding]:
    """Return what is known of retention; raises Refused, CatalogueUnavailable."""
    settings.require("database_url")
    catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
    try:
        findings = list(retention_findings(retention_figures.read(catalogue), SystemClock().now()))
        made_at = restores.not_rebuilt(catalogue)
        return findings if made_at is None else [_not_rebuilt(made_at), *findings]
    finally:
        catalogue.close()


def retention_findings(figures: Mapping[Figure, Reading], now: datetime) -> Iterator[Finding]:
    """Judge what was counted."""
    counted = figures.get(Figure.COUNTED)
    if counted is None:
        yield Finding(SWEEP, Verdict.NOTE, "never counted", _WORKER)
        return
    if now - counted.at > COUNTED_WITHIN:
        yield Finding(SWEEP, Verdict.WRONG, f"last counted {_moment(counted.at)}", _WORKER)
        return
    yield _clock(figures)
    yield _sweep(figures.get(Figure.SWEEP), now)
    yield _none_of(
        OVERDUE, figures.get(Figure.OVERDUE), "are there more than 24 hours after their term", _LOOK
    )
    yield _holds(figures.get(Figure.HOLDS_WAITING), now)
    yield _none_of(STUCK, figures.get(Figure.STUCK), "can't be destroyed", _LOOK)
    yield _none_of(KEYS, figures.get(Figure.IDLE_KEYS_STUCK), "can't be ended", _LOOK)


def _not_rebuilt(made_at: datetime) -> Finding:
    found = f"is that of the backup of {_moment(made_at)}: nothing is deleted"
    return Finding(RESTORED, Verdict.WRONG, found, "run earwitness storage rebuild-catalogue")


def _clock(figures: Mapping[Figure, Reading]) -> Finding:
    disbelieved, late = figures.get(Figure.CLOCK_DISBELIEVED), figures.get(Figure.CLOCK_LATE_S)
    advice = "have NTP keep it, or run earwitness retention trust-clock"
    if disbelieved is not None and disbelieved.since is not None:
        found = f"not believed since {_moment(disbelieved.since)}: nothing is deleted"
        return Finding(CLOCK, Verdict.WRONG, found, advice)
    if late is not None and late.value > LATE_S_MAX:
        return Finding(CLOCK, Verdict.WRONG, f"deletions come {late.value // 3600} h late", advice)
    return Finding(CLOCK, Verdict.FINE, "believed")


def _sweep(swept: Reading | None, now: datetime) -> Finding:
    if swept is None:
        return Finding(SWEEP, Verdict.WRONG, "never began", _WORKER)
    found = f"began {_moment(swept.at)}"
    if now - swept.at > SWEPT_WITHIN:
        return Finding(SWEEP, Verdict.WRONG, found, f"{_WORKER} does it believe its clock?")
    return Finding(SWEEP, Verdict.FINE, found)


def _holds(waiting: Reading | None, now: datetime) -> Finding:
    if waiting is None or waiting.since is None:
        return Finding(HOLDS, Verdict.FINE, "follow the cases")
    found = f"of {waiting.value} recordings don't follow yet, some since {_moment(waiting.since)}"
    if now - waiting.since > HOLDS_WAIT_MAX:
        return Finding(HOLDS, Verdict.WRONG, found, "is the store away? in the database they are right")
    return Finding(HOLDS, Verdict.NOTE, found, "they follow by themselves")


def _none_of(check: str, reading: Reading | None, what: str, advice: str) -> Finding:
    if reading is None or reading.since is None:
        return Finding(check, Verdict.FINE, "none" if reading is not None else "none counted yet")
    return Finding(check, Verdict.WRONG, f"{reading.value} {what}, since {_moment(reading.since)}", advice)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
