"""`earwitness backup` by a clock that is believed: a backup that is made, or ended, by a wrong one is lost.

The clock is judged as for deletions, but without the object store's: a backup needs no bucket.

Not here: what a backup is and its commands (`archive.backup`, `archive.cli.backup`).
"""

from __future__ import annotations

from archive.backup.folder import Times
from archive.cli import backup
from archive.cli.operator import Operator
from retention.timekeeper import LockClock


def run_backup(arguments: list[str]) -> int:
    """Make a backup in a folder, and end those that are overdue; raises as `archive.cli.backup`."""
    return backup.run_backup(arguments, believed_times)


def believed_times(acting: Operator) -> Times:
    """Return the times by which a backup is made and others end; raises ClockDisbelieved."""
    now, until, is_known = LockClock(acting.catalogue, acting.clock, acting.settings.node_name).due_times()
    return Times(now, until, is_known=is_known)
