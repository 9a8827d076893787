"""The self-test of a locked bucket: a bucket is called WORM only after it refused what it must.

Every probe is made by boto3 and again by the minio SDK: a client of ours that lies to
itself, or a store that only one client finds locked, is no proof. Probes work on objects
of their own below `worm-canary/`; those under COMPLIANCE stay until their date and are
cleared away by a later run.

What is proved is the *lock API*. *Independent custody* is another matter and told apart: whoever
administers the host of the store can remove its files, and no request can show that they
can't.

Rules: a store that is away proves nothing and disproves nothing: StoreUnavailable.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from archive.errors import NotFound, Refused
from archive.store.lock_client import PART_BYTES_MIN, LockClient
from archive.store.object import COMPLIANCE, GOVERNANCE, LockMode, Store, whole_second

PREFIX = "worm-canary/"
KEPT = timedelta(minutes=10)
"""Longer than all probes take, and short enough that canaries under COMPLIANCE soon may go."""

DATA = b"a canary of the self-test"


class NotRefused(Exception):  # noqa: N818 - the outcome of a probe
    """The store did what it must refuse, or not what it must do."""


@dataclass(frozen=True)
class Probe:
    """One thing a locked bucket must do; `try_` raises NotRefused when it does not."""

    name: str
    says: str
    try_: Callable[[Canary], None]


@dataclass(frozen=True)
class Finding:
    """What a probe found by one client; `fault` is "" when it passed."""

    client: str
    probe: str
    fault: str


@dataclass(frozen=True)
class LockReport:
    """What all probes found by all clients."""

    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Those that failed."""
        return tuple(finding for finding in self.findings if finding.fault)

    @property
    def is_proved(self) -> bool:
        """Whether the lock API was proved: every probe, by at least two clients."""
        return not self.faults and len({finding.client for finding in self.findings}) > 1


@dataclass(frozen=True)
class Canary:
    """An object to try things on, by one client."""

    client: LockClient
    key: str
    until: datetime

    def put(self, mode: LockMode | None) -> str:
        """Put it, locked or not, and return its version."""
        version = self.client.put(self.key, DATA, self.until if mode else None, mode or GOVERNANCE)
        if not version or version == "null":
            raise NotRefused("the bucket keeps no versions")
        return version

    def must_refuse(self, what: str, act: Callable[[], None]) -> None:
        """Do what must be refused."""
        try:
            act()
        except Refused:
            return
        raise NotRefused(what)

    def must_stand(self, version: str, data: bytes = DATA) -> None:
        """See that a version is still what was put."""
        try:
            found = self.client.get(self.key, version)
        except Refused as error:
            raise NotRefused(f"the locked version is gone ({error})") from error
        if found != data:
            raise NotRefused("the locked version holds something else")


def verify_worm(clients: Sequence[LockClient], now: datetime) -> LockReport:
    """Make every probe by every client; `now` is the store's time. Raises StoreUnavailable."""
    run, until = secrets.token_hex(6), whole_second(now + KEPT)
    findings = []
    for client in clients:
        for probe in PROBES:
            canary = Canary(client, f"{PREFIX}{run}/{client.name}-{probe.name}", until)
            fault = ""
            try:
                probe.try_(canary)
            except NotRefused as found:
                fault = str(found)
            except Refused as error:
                fault = f"the store refuses what it must do ({error})"
            findings.append(Finding(client.name, probe.name, fault))
    return LockReport(tuple(findings))


def clear_canaries(store: Store) -> int:
    """Delete the canaries that may go: markers, unlocked ones, those whose lock is over; return how many."""
    count = 0
    for version in store.versions(PREFIX):
        with contextlib.suppress(Refused, NotFound):
            store.delete(version.key, version.version_id)
            count += 1
    return count


def _lock_is_kept(canary: Canary) -> None:
    for mode in (GOVERNANCE, COMPLIANCE):
        version = canary.put(mode)
        _must_be_locked(canary, version, mode)


def _must_be_locked(canary: Canary, version: str, mode: LockMode) -> None:
    found = canary.client.lock_of(canary.key, version)
    if found is None or found[0] != mode or found[1] < canary.until:
        raise NotRefused(f"a version put under {mode} has the lock {found}")


def _parts_are_locked(canary: Canary) -> None:
    data = DATA + bytes(PART_BYTES_MIN)
    version = canary.client.put_in_parts(canary.key, data, canary.until, COMPLIANCE)
    _must_be_locked(canary, version, COMPLIANCE)
    canary.must_refuse(
        "an object put in parts was deleted under its lock", lambda: canary.client.delete(canary.key, version)
    )
    canary.must_stand(version, data)


def _delete_is_refused(canary: Canary) -> None:
    for mode in (GOVERNANCE, COMPLIANCE):
        version = canary.put(mode)
        delete = functools.partial(canary.client.delete, canary.key, version)
        canary.must_refuse(f"a version under {mode} was deleted", delete)
        canary.must_stand(version)


def _batch_delete_is_refused(canary: Canary) -> None:
    version = canary.put(COMPLIANCE)
    canary.must_refuse(
        "a locked version was deleted among many", lambda: canary.client.delete_many(canary.key, version)
    )
    canary.must_stand(version)


def _bypass_is_refused(canary: Canary) -> None:
    version = canary.put(COMPLIANCE)
    canary.must_refuse(
        "a version under COMPLIANCE was deleted by who may bypass GOVERNANCE",
        lambda: canary.client.delete_bypassing(canary.key, version),
    )
    canary.must_stand(version)


def _shortening_is_refused(canary: Canary) -> None:
    sooner = canary.until - timedelta(minutes=5)
    for mode in (COMPLIANCE, GOVERNANCE):
        version = canary.put(mode)
        shorten = functools.partial(canary.client.relock, canary.key, version, sooner, mode)
        canary.must_refuse(f"a lock under {mode} was shortened", shorten)
        _must_be_locked(canary, version, mode)


def _mode_change_is_refused(canary: Canary) -> None:
    version = canary.put(COMPLIANCE)
    canary.must_refuse(
        "a lock under COMPLIANCE became one under GOVERNANCE",
        lambda: canary.client.relock(canary.key, version, canary.until, GOVERNANCE),
    )
    _must_be_locked(canary, version, COMPLIANCE)


def _lengthening_works(canary: Canary) -> None:
    version = canary.put(COMPLIANCE)
    later = canary.until + timedelta(minutes=1)
    canary.client.relock(canary.key, version, later, COMPLIANCE)
    found = canary.client.lock_of(canary.key, version)
    if found is None or found[1] < later:
        raise NotRefused(f"a lengthened lock is {found}")


def _overwriting_leaves_it(canary: Canary) -> None:
    version = canary.put(COMPLIANCE)
    canary.client.put(canary.key, b"forged")
    canary.client.delete(canary.key)
    canary.must_stand(version)
    _must_be_locked(canary, version, COMPLIANCE)


def _hold_is_kept(canary: Canary) -> None:
    version = canary.put(None)
    canary.client.hold(canary.key, version, on=True)
    canary.must_refuse(
        "a version under legal hold was deleted", lambda: canary.client.delete(canary.key, version)
    )
    canary.must_stand(version)
    canary.client.hold(canary.key, version, on=False)
    canary.client.delete(canary.key, version)


def _past_is_refused(canary: Canary) -> None:
    past = canary.until - 2 * KEPT - timedelta(days=1)
    canary.must_refuse(
        "a lock that ends in the past was accepted",
        lambda: _ignore(canary.client.put(canary.key, DATA, past, GOVERNANCE)),
    )


def _suspending_is_refused(canary: Canary) -> None:
    try:
        canary.must_refuse("versioning was turned off", canary.client.suspend_versioning)
    except NotRefused:
        canary.client.resume_versioning()
        raise


def _ignore(version: str) -> None:
    del version


PROBES: Final = (
    Probe("lock-kept", "a version has the lock it was put with", _lock_is_kept),
    Probe("parts-locked", "an object put in parts has its lock too", _parts_are_locked),
    Probe("delete", "a locked version is not deleted", _delete_is_refused),
    Probe("batch-delete", "nor among many", _batch_delete_is_refused),
    Probe("bypass", "COMPLIANCE is not bypassed as GOVERNANCE is", _bypass_is_refused),
    Probe("shorten", "a lock is not shortened", _shortening_is_refused),
    Probe("mode-change", "COMPLIANCE does not become GOVERNANCE", _mode_change_is_refused),
    Probe("lengthen", "a lock is lengthened", _lengthening_works),
    Probe("overwrite", "a newer version or a delete marker leaves the locked one", _overwriting_leaves_it),
    Probe("hold", "a held version is not deleted, a released one is", _hold_is_kept),
    Probe("past", "a lock that ends in the past is not accepted", _past_is_refused),
    Probe("suspend", "versioning can't be turned off", _suspending_is_refused),
)
