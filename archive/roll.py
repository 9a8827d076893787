"""The roll of a tenant: people added and changed row by row, as a file of them says.

Rules: a file gives nobody the roles that decide for others or hear everything, for those take two
people; it changes nobody's own role, and with a key none of those roles. Each row is judged by the
people as they are when it is written. Not here: reading the file (`archive.roster`), and when its
rows are written (`playback_portal.imports`, `retention.imports`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from archive import roster
from archive.approval import grants_power
from archive.audit import AuditWriter, Json
from archive.catalogue import directory
from archive.catalogue.directory import UserFields
from archive.catalogue.engine import Connection
from archive.catalogue.portal_sessions import SECOND_FACTOR_ROLES
from archive.errors import Refused
from archive.model import Role, Tenant, User, UserId

BY_KEY = (
    "No key makes somebody an administrator or auditor, or takes it from them: an administrator who is "
    "signed in does, or the operator (`earwitness user set`)."
)
BY_TWO = "Making somebody an administrator or auditor takes two people: propose it on the person's page."
OWN_ROLE = "Nobody changes their own role: ask another administrator."
TOLD_FIELDS = ("role", "access", "licence", "mode", "ownModes")
"""What the audit log says from what to what; of the rest only that it changed."""


@dataclass(frozen=True)
class Enrolment:
    """What was done with one row: `roster.ADDED` and so on, to whom, and what the log tells of it."""

    result: str
    user: User
    told: dict[str, Json]


@dataclass(frozen=True)
class Roll:
    """The people of a tenant while a file of them is written; `by` is who does it, None for a program."""

    tenant: Tenant
    by: UserId | None
    by_key: bool = False

    def write(self, connection: Connection, login: str, fields: UserFields, *, now: datetime) -> Enrolment:
        """Add or change one person in the caller's transaction; raises Refused, NotFound or Conflict."""
        before = self._known(connection, login)
        self._check(login, before, fields)
        change = directory.insert_user if before is None else directory.update_user
        user = change(connection, self.tenant.id, login_within(self.tenant, login), now=now, **fields)
        if before is None:
            after = particulars(user)
            return Enrolment(roster.ADDED, user, {name: after[name] for name in TOLD_FIELDS})
        told = changes(particulars(before), particulars(user))
        return Enrolment(roster.CHANGED if told else roster.UNCHANGED, user, told)

    def _known(self, connection: Connection, login: str) -> User | None:
        name, at, domain = login.rpartition("@")
        if not at or domain != self.tenant.domain:
            return None
        return directory.user_of_login(connection, self.tenant.id, name)

    def _check(self, login: str, before: User | None, fields: UserFields) -> None:
        """Raise Refused for what a file may not do."""
        known = Role.USER if before is None else before.role
        wanted = fields.get("role", known)
        if before is not None and before.id == self.by and wanted is not before.role:
            raise Refused(OWN_ROLE)
        if self.by_key and changes_power(known, wanted):
            raise Refused(BY_KEY)
        if grants_power(known, wanted):
            raise Refused(BY_TWO)
        if "@" not in login:
            raise Refused(f"{login!r} is not LOGIN@DOMAIN, for instance anna@{self.tenant.domain}.")


def enter(audit: AuditWriter, connection: Connection, made: Enrolment, actor: str, *, now: datetime) -> None:
    """Write the entry of one row into the audit log, in the caller's transaction; none for no change."""
    if made.result == roster.UNCHANGED:
        return
    audit.append(
        connection,
        tenant_id=made.user.tenant_id,
        actor=actor,
        action="user.added" if made.result == roster.ADDED else "user.changed",
        object=f"user:{made.user.id}",
        body={"changed": made.told},
        at=now,
    )


def particulars(user: User) -> dict[str, Json]:
    """Return of a person what can be changed, in the words of the API."""
    return {
        "numbers": list(user.numbers),
        "broadworksId": user.broadworks_id,
        "role": user.role.value,
        "access": user.access,
        "site": user.site,
        "licence": None if user.licence is None else user.licence.value,
        "mode": user.mode.value,
        "ownModes": [each.value for each in user.own_modes],
    }


def changes_power(before: Role, after: Role) -> bool:
    """Return whether somebody becomes, or is no longer, one who decides for others or hears all."""
    return after is not before and bool({before, after} & SECOND_FACTOR_ROLES)


def login_within(tenant: Tenant, login: str) -> str:
    """Return the login before the @; raises Refused for one of another domain."""
    name, at, domain = login.strip().lower().rpartition("@")
    if at and domain != tenant.domain:
        raise Refused(f"Logins of this tenant end on @{tenant.domain}.")
    return name if at else domain


def changes(before: dict[str, Json], after: dict[str, Json]) -> dict[str, Json]:
    """Return what changed for the audit log: from what to what where that is no personal data."""
    return {
        name: {"from": before[name], "to": after[name]} if name in TOLD_FIELDS else "changed"
        for name in after
        if before[name] != after[name]
    }
