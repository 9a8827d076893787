"""Which bodies of the audit log were erased: told by entries of the log, and compared with those missing.

A body that is gone is either one whose term was over, and then an entry `log.bodies-erased` names it,
or one that somebody removed. Entries are named by writer and by runs of their numbers.

Rules: pure. Not here: which bodies go (`retention.audit_bodies`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archive.audit_chain import AuditEntry, Json
from archive.errors import VerificationFailed

ERASED = "log.bodies-erased"
"""The action of the entry that names erased bodies; its own body names nobody and is never erased."""

Run = tuple[int, int]


class Numbers:
    """Numbers of entries by their writers, kept as runs so that a million of them are few."""

    def __init__(self, entries: Iterable[tuple[str, int]] = ()) -> None:
        """Begin with some entries, best in the order of their numbers."""
        self._runs: dict[str, list[Run]] = {}
        for writer, sequence in entries:
            self.add(writer, sequence, sequence)

    def add(self, writer: str, first: int, last: int) -> None:
        """Add the entries of a writer from number `first` to `last`."""
        runs = self._runs.setdefault(writer, [])
        if runs and runs[-1][0] <= first <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(last, runs[-1][1]))
        else:
            runs.append((first, last))

    def __len__(self) -> int:
        return sum(last - first + 1 for runs in self.merged().values() for first, last in runs)

    def merged(self) -> dict[str, list[Run]]:
        """Return the runs of each writer, in order, none touching another."""
        ordered = Numbers()
        for writer, runs in sorted(self._runs.items()):
            for run in sorted(runs):
                ordered.add(writer, *run)
        return ordered._runs

    def beyond(self, told: Numbers) -> tuple[str, int] | None:
        """Return the first entry that is here and not in `told`, None when all are there."""
        there = told.merged()
        for writer, runs in self.merged().items():
            covering = iter(there.get(writer, []))
            run = next(covering, None)
            for first, last in runs:
                while run is not None and run[1] < first:
                    run = next(covering, None)
                if run is None or first < run[0]:
                    return writer, first
                if last > run[1]:
                    return writer, run[1] + 1
        return None

    def body(self) -> dict[str, Json]:
        """Return them as the body of the entry that tells of their erasure."""
        told: dict[str, Json] = {
            writer: [[first, last] for first, last in runs] for writer, runs in self.merged().items()
        }
        return {"count": len(self), "entries": told}


def told_of(entries: Iterable[AuditEntry]) -> Numbers:
    """Return what entries `log.bodies-erased` name; raises VerificationFailed for one that names none."""
    found = Numbers()
    for entry in entries:
        if entry.body is None:
            continue  # nobody erases that one: it is among the missing itself
        for writer, runs in numbers_of(entry.body).merged().items():
            for run in runs:
                found.add(writer, *run)
    return found


def numbers_of(body: Mapping[str, Json]) -> Numbers:
    """Return what the body of such an entry names; raises VerificationFailed for another form."""
    found, told = Numbers(), body.get("entries")
    for writer, runs in told.items() if isinstance(told, Mapping) else ():
        for run in runs if isinstance(runs, list) else ():
            match run:
                case [int(first), int(last)] if 0 < first <= last:
                    found.add(writer, first, last)
    if not len(found) or len(found) != body.get("count"):
        raise VerificationFailed("It tells of erased bodies, and does not name them.")
    return found
