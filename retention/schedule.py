"""What runs by itself, and when: a table and pure arithmetic of due times.

A due time is a multiple of the interval since the epoch, so that every worker on
every machine computes the same one, whenever it was started.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Schedule:
    """A task of procrastinate that becomes due every `interval`."""

    name: str
    task: str
    interval: timedelta

    def due_at(self, now: datetime) -> int:
        """Return the last due time up to `now`, in whole seconds since the epoch."""
        seconds = int(self.interval.total_seconds())
        return int(now.timestamp()) // seconds * seconds


SCHEDULES = (
    # Once a day it is looked whether everything is where it was put; what was not read for long is read.
    Schedule("scrub", "retention.scrub_all", timedelta(hours=24)),
    # What doctor, portal and metrics tell of it.
    Schedule("scrub-tally", "retention.scrub_tally", timedelta(minutes=15)),
    # What expires must be gone within a day; an hour leaves time for a store that is away.
    Schedule("quarantine", "retention.quarantine_sweep", timedelta(hours=1)),
    # The same, and a key that is over at midnight is soon gone.
    Schedule("expiry", "retention.expiry_sweep", timedelta(minutes=15)),
    # What alarms go by: who watches asks every minute or so.
    Schedule("retention-tally", "retention.tally", timedelta(minutes=5)),
    # Keys nothing tells of any more: an hour after midnight they are gone.
    Schedule("keys", "retention.keys_sweep", timedelta(hours=1)),
    # The portal hands a hold over at once; this finds what was not.
    Schedule("holds", "retention.holds_sweep", timedelta(minutes=15)),
    # Whoever waits for a mail looks again after a minute.
    Schedule("mails", "retention.mail_sweep", timedelta(minutes=1)),
    # An export nobody took up, and those whose week is over.
    Schedule("exports", "retention.exports_sweep", timedelta(minutes=10)),
    # Somebody looks at the progress of an import nobody took up.
    Schedule("imports", "retention.imports_sweep", timedelta(minutes=1)),
    # A request is answered within a month; an hour more or less is none.
    Schedule("data-subjects", "retention.data_subjects_remind", timedelta(hours=1)),
    # Their term is counted in years.
    Schedule("data-subject-terms", "retention.data_subjects_forget", timedelta(hours=24)),
    # What nobody decided on within its week.
    Schedule("proposals", "retention.proposals_sweep", timedelta(hours=1)),
    # Local hours begin with a quarter of an hour wherever one lives.
    Schedule("reports", "retention.reports_due", timedelta(minutes=15)),
    # Whoever was answered looks again before long.
    Schedule("notifications", "retention.notifications_due", timedelta(minutes=1)),
    Schedule("shares", "retention.shares_sweep", timedelta(hours=1)),
    Schedule("calls", "retention.calls_sweep", timedelta(hours=1)),
    # Who removes an entry has this long before its place is known outside the database.
    Schedule("audit-log", "retention.audit_round", timedelta(minutes=1)),
    # Every leaf is hashed again: a minute of work for a log of millions.
    Schedule("audit-check", "retention.audit_check", timedelta(hours=24)),
    # What entries say in detail is kept for years; a day more is none.
    Schedule("audit-bodies", "retention.audit_bodies_sweep", timedelta(hours=24)),
    # A store that was changed for another is noticed within a week, and a new one at its first start.
    Schedule("worm", "retention.verify_worm", timedelta(days=7)),
)
