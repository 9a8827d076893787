"""Why customers record (`archive.grounds`), in versions: who wrote which and when, and the one in force.

Nobody's recording is switched on for a tenant that has none: `archive.catalogue.directory` asks
`require` in the transaction of the change, whichever way the change came. Who is recorded
already goes on being recorded, and no call of such a tenant is lost for the want of a text. A
recorder asks only where nobody is recorded (`archive.catalogue.snapshot`, `without_grounds`):
who registers a version announces it, in that transaction (`archive.catalogue.directory.announce`).

Rules: a version is only ever added, by the portal or the operator, and never changed: the database
gives no other right. The newest one is in force, from the moment it was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select

from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import recording_grounds
from archive.errors import GroundsMissing, Refused
from archive.grounds import Grounds, LegalBasis, Telling, faults, tidied
from archive.model import RecordingMode, RetentionClass, TenantId, User, new_id

VERSIONS_MAX = 500
"""One a week for ten years; a text that changes more often tells nobody anything."""

MISSING = (
    "Recording can't be switched on yet: purpose, legal basis and notice text are missing. "
    "An administrator writes them in the portal at Settings, Purpose and legal basis "
    "(/admin/policies/grounds)."
)

LOCK = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))


@dataclass(frozen=True)
class Version:
    """Grounds as somebody wrote them down; `standard` ones are the provider's, not the customer's own."""

    id: str
    grounds: Grounds
    registered_by: str
    registered_at: datetime
    standard: bool = False


def register(
    connection: Connection,
    tenant_id: TenantId,
    grounds: Grounds,
    actor: str,
    *,
    now: datetime,
    standard: bool = False,
) -> Version:
    """Write down a new version in the caller's transaction and return it; the same text again is no new one.

    Raises Refused naming the fields that are missing or wrong, and for one version too many.
    """
    grounds = tidied(grounds)
    wrong = faults(grounds)
    if wrong:
        raise Refused(f"Missing, too long or not to be shown: {', '.join(wrong)}.")
    # Two who write at once each get a version of their own, one behind the other.
    connection.execute(LOCK, {"name": f"grounds/{tenant_id}"})
    before = in_force(connection, tenant_id)
    if before is not None and (before.grounds, before.standard) == (grounds, standard):
        return before
    columns = recording_grounds.c
    known = select(func.count()).select_from(recording_grounds).where(columns.tenant_id == tenant_id)
    if connection.execute(known).scalar_one() >= VERSIONS_MAX:
        raise Refused(f"There are {VERSIONS_MAX} versions, which is as many as are kept.")
    if before is not None:
        # The newest is in force, whichever machine's clock is behind.
        now = max(now, before.registered_at + timedelta(microseconds=1))
    made = Version(new_id(now), grounds, actor, now, standard)
    row = {
        "id": made.id,
        "tenant_id": tenant_id,
        "purposes": list(grounds.purposes),
        "legal_basis": grounds.legal_basis,
        "balancing": grounds.balancing,
        "notice_nl": grounds.notice_nl,
        "notice_en": grounds.notice_en,
        "told_by": [each.value for each in grounds.told_by],
        "standard": standard,
        "registered_by": actor,
        "registered_at": now,
    }
    connection.execute(insert(recording_grounds), row)
    return made


def is_begun(before: User, licence: RetentionClass | None, mode: RecordingMode) -> bool:
    """Return whether recording a person is switched on by a change to this licence and mode."""
    never = before.mode is RecordingMode.NEVER
    return (never and mode is not RecordingMode.NEVER) or (before.licence is None and licence is not None)


def require(
    connection: Connection, before: User, licence: RetentionClass | None, mode: RecordingMode
) -> None:
    """Raise GroundsMissing where a change switches recording on and nobody wrote down why it is done."""
    if is_begun(before, licence, mode) and in_force(connection, before.tenant_id) is None:
        raise GroundsMissing(MISSING)


def in_force(connection: Connection, tenant_id: TenantId, at: datetime | None = None) -> Version | None:
    """Return the version in force now, or at a moment, in the caller's transaction; None for none."""
    columns = recording_grounds.c
    statement = select(recording_grounds).where(columns.tenant_id == tenant_id)
    if at is not None:
        statement = statement.where(columns.registered_at <= at)
    newest = statement.order_by(columns.registered_at.desc(), columns.id.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else _version(row)


def current(catalogue: Catalogue, tenant_id: TenantId) -> Version | None:
    """Return the version in force now; None for none."""
    with catalogue.transaction(tenant_id) as connection:
        return in_force(connection, tenant_id)


def versions(catalogue: Catalogue, tenant_id: TenantId) -> list[Version]:
    """Return every version of a tenant, the newest first: that one is in force."""
    with catalogue.transaction(tenant_id) as connection:
        return versions_within(connection, tenant_id)


def versions_within(connection: Connection, tenant_id: TenantId) -> list[Version]:
    """Do as `versions` in the caller's transaction."""
    columns = recording_grounds.c
    statement = (
        select(recording_grounds)
        .where(columns.tenant_id == tenant_id)
        .order_by(columns.registered_at.desc(), columns.id.desc())
        .limit(VERSIONS_MAX)
    )
    return [_version(row) for row in connection.execute(statement)]


def lock(connection: Connection, tenant_id: TenantId) -> Version | None:
    """Return the version in force; who else writes one waits until the caller's transaction is over."""
    connection.execute(LOCK, {"name": f"grounds/{tenant_id}"})
    return in_force(connection, tenant_id)


def _version(row: Row[Any]) -> Version:
    return Version(
        id=row.id,
        grounds=Grounds(
            purposes=tuple(row.purposes),
            legal_basis=LegalBasis(row.legal_basis),
            balancing=row.balancing,
            notice_nl=row.notice_nl,
            notice_en=row.notice_en,
            told_by=tuple(map(Telling, row.told_by)),
        ),
        registered_by=row.registered_by,
        registered_at=row.registered_at.astimezone(UTC),
        standard=row.standard,
    )
