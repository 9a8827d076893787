"""Sessions of browsers: opened by whoever proved who they are, ended by time, hand or a change of rights.

The token is 256 random bits behind the id of its tenant, so that it is looked for under
row-level security; kept is its SHA-256. A session never changes what it allows: each
further proof opens another and ends the one before, so that a token somebody planted or
saw earlier is worth nothing.

Rules: a session that ended by time is not found, whether its row is still there or not.
The database itself ends all sessions of a person whose password or role changes.
Not here: cookies (`playback_portal.browser_session`), and what a person may reach.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Row, delete, insert, or_, select, update

from archive.catalogue import brandings
from archive.catalogue.brandings import Look
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.tables import portal_sessions, tenant_policies, tenants, users
from archive.model import IDLE_MINUTES_DEFAULT, Role, TenantId, UserId, new_id

TOKEN_BYTES = 32
IDLE_S = IDLE_MINUTES_DEFAULT * 60
"""A browser left alone, where the tenant decided nothing else (`TenantPolicy.idle_minutes`).

Who listens tells where they are every half minute, and so counts as active.
"""

SESSION_S_MAX = 8 * 3600
"""A working day; then everybody proves who they are again."""

STEP_S_MAX = 15 * 60
"""Between the password and the second factor, or to set one up."""

SEEN_EVERY_S = 60
"""Activity is written down once a minute and not at each request."""

SESSIONS_PER_USER_MAX = 20
"""More browsers than anybody uses; the oldest end."""

AGENT_CHARS_MAX = 200
ADDRESS_CHARS_MAX = 64

_TOKEN = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[A-Za-z0-9_-]{43}")
SECOND_FACTOR_ROLES = frozenset({Role.ADMINISTRATOR, Role.AUDITOR, Role.OPERATOR})
"""Who decides for others, hears everything or runs the instance proves twice who they are."""


class Stage(StrEnum):
    """How far somebody is: a second factor is asked, or must be set up, or they are in."""

    SECOND_FACTOR = "second-factor"
    ENROLMENT = "enrolment"
    SIGNED_IN = "signed-in"


class Proof(StrEnum):
    """By what somebody proved who they are."""

    PASSWORD = "password"  # noqa: S105 - the word for it, not one
    PASSKEY = "passkey"
    """The passkey as a second factor: that it is there."""
    VERIFIED_PASSKEY = "verified-passkey"
    """The passkey with its own check of the person, by finger or PIN: two factors in one."""
    TOTP = "totp"
    RECOVERY_CODE = "recovery-code"
    PROVIDER = "provider"
    PROVIDER_ANEW = "provider-anew"
    """The organisation's own sign-in, which asked its person anew at our word."""
    VERIFIED_PROVIDER = "verified-provider"
    """The organisation's own sign-in, which asked a second factor, where the tenant trusts it to."""
    MAIL = "mail"


LASTING = frozenset({Proof.PROVIDER, Proof.VERIFIED_PROVIDER})
"""What a browser may go on having that nobody sits behind any more: the provider's own session."""

SECOND_FACTORS = frozenset(
    {Proof.PASSKEY, Proof.VERIFIED_PASSKEY, Proof.TOTP, Proof.RECOVERY_CODE, Proof.VERIFIED_PROVIDER}
)


@dataclass(frozen=True)
class PortalSession:
    """One browser of one person."""

    id: str
    tenant_id: TenantId
    user_id: UserId
    stage: Stage
    proofs: frozenset[Proof]
    opened_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str = ""
    agent: str = ""
    idle_s: int = IDLE_S
    """How long its tenant leaves a browser alone."""

    @property
    def idle_ends_at(self) -> datetime:
        """When it ends if nobody does anything meanwhile."""
        return min(self.ends_at, self.seen_at + timedelta(seconds=self.idle_s))

    def left_s(self, now: datetime) -> int:
        """Return how many seconds it lasts still if nobody does anything."""
        return max(0, int((self.idle_ends_at - now).total_seconds()))


@dataclass(frozen=True)
class Visit:
    """A session and whose it is, as pages tell it."""

    session: PortalSession
    login: str
    domain: str
    tenant_name: str
    role: Role
    look: Look | None = None
    """How the pages of the tenant look; None for as everybody's."""


def stage_after(proofs: Iterable[Proof], role: Role, *, has_second_factor: bool) -> Stage:
    """Return how far somebody with these proofs is.

    Who has a second factor always gives it; who must have one and has none sets it up
    and does nothing else meanwhile. Recovery codes are no factor to live with.
    """
    proved = SECOND_FACTORS & set(proofs)
    if has_second_factor and not proved:
        return Stage.SECOND_FACTOR
    if role in SECOND_FACTOR_ROLES and not (has_second_factor or Proof.VERIFIED_PROVIDER in proved):
        return Stage.ENROLMENT
    return Stage.SIGNED_IN


def open_session(
    connection: Connection,
    tenant_id: TenantId,
    user_id: UserId,
    *,
    stage: Stage,
    proofs: Iterable[Proof],
    now: datetime,
    address: str = "",
    agent: str = "",
    instead_of: str | None = None,
    going_on: PortalSession | None = None,
) -> tuple[str, PortalSession]:
    """Open a session in the caller's transaction, ending the one it replaces; return its token, once.

    One that is `going_on` has another token from then on: it ends when it would have ended, and is as
    old as it was.
    """
    columns = portal_sessions.c
    life_s = SESSION_S_MAX if stage is Stage.SIGNED_IN else STEP_S_MAX
    proved = frozenset(proofs)
    ends_at = now + timedelta(seconds=life_s)
    session = PortalSession(
        id=new_id(now),
        tenant_id=tenant_id,
        user_id=user_id,
        stage=stage,
        proofs=proved,
        opened_at=now if going_on is None else going_on.opened_at,
        seen_at=now,
        ends_at=ends_at if going_on is None else min(ends_at, going_on.ends_at),
        address=address[:ADDRESS_CHARS_MAX],
        agent=_shown(agent),
        idle_s=_idle_s(connection, tenant_id),
    )
    token = f"{tenant_id}.{secrets.token_urlsafe(TOKEN_BYTES)}"
    of_tenant = columns.tenant_id == tenant_id
    over = or_(columns.ends_at <= now, columns.seen_at <= now - timedelta(seconds=session.idle_s))
    connection.execute(delete(portal_sessions).where(of_tenant, or_(over, columns.id == instead_of)))
    of_user = (of_tenant, columns.user_id == user_id)
    newest = select(columns.id).where(*of_user).order_by(columns.id.desc()).limit(SESSIONS_PER_USER_MAX - 1)
    connection.execute(delete(portal_sessions).where(*of_user, columns.id.not_in(newest)))
    row = {**vars(session), "proofs": sorted(proved), "token_hash": _hash(token)}
    # That is the tenant's to say, at each moment anew.
    del row["idle_s"]
    connection.execute(insert(portal_sessions), row)
    return token, session


def find(catalogue: Catalogue, token: str, *, now: datetime, noting: bool = True) -> Visit | None:
    """Return whose token this is, and note that they are here; None when it opens nothing (any more).

    Without `noting` they are not: what a page asks by itself keeps no session open.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    tenant_id = TenantId(match[1])
    columns = portal_sessions.c
    statement = (
        select(
            portal_sessions,
            users.c.login,
            users.c.role,
            tenants.c.name,
            tenants.c.domain,
            tenant_policies.c.idle_minutes,
        )
        .join(users, users.c.id == columns.user_id)
        .join(tenants, tenants.c.id == columns.tenant_id)
        .outerjoin(tenant_policies, tenant_policies.c.tenant_id == columns.tenant_id)
        .where(columns.tenant_id == tenant_id, columns.token_hash == _hash(token))
        .where(users.c.left_at.is_(None))
    )
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        session = _session(row, _seconds(row.idle_minutes))
        idle = now - session.seen_at
        if now >= session.ends_at or idle >= timedelta(seconds=session.idle_s):
            connection.execute(delete(portal_sessions).where(columns.id == session.id))
            return None
        if noting and idle >= timedelta(seconds=SEEN_EVERY_S):
            connection.execute(update(portal_sessions).where(columns.id == session.id).values(seen_at=now))
            session = replace(session, seen_at=now)
        look = brandings.look_within(connection, tenant_id)
        return Visit(session, row.login, row.domain, row.name, Role(row.role), look)


def of_user(
    catalogue: Catalogue, tenant_id: TenantId, user_id: UserId, *, now: datetime
) -> list[PortalSession]:
    """Return the open sessions of a person, the newest first."""
    columns = portal_sessions.c
    statement = select(portal_sessions).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.ends_at > now
    )
    with catalogue.transaction(tenant_id) as connection:
        idle_s = _idle_s(connection, tenant_id)
        found = [_session(row, idle_s) for row in connection.execute(statement.order_by(columns.id.desc()))]
    return [session for session in found if session.idle_ends_at > now]


def end(connection: Connection, tenant_id: TenantId, user_id: UserId, session_id: str) -> bool:
    """End one session of a person; False when it was not there."""
    columns = portal_sessions.c
    statement = delete(portal_sessions).where(
        columns.tenant_id == tenant_id, columns.user_id == user_id, columns.id == session_id
    )
    return connection.execute(statement).rowcount > 0


def is_open(connection: Connection, session: PortalSession) -> bool:
    """Return whether a session has not been ended meanwhile by another browser of the person."""
    columns = portal_sessions.c
    own = (columns.tenant_id == session.tenant_id, columns.id == session.id)
    return connection.execute(select(columns.id).where(*own)).first() is not None


def end_all(connection: Connection, tenant_id: TenantId, user_id: UserId, *, but: str | None = None) -> int:
    """End every session of a person, `but` one of them stays; return how many ended."""
    columns = portal_sessions.c
    statement = delete(portal_sessions).where(columns.tenant_id == tenant_id, columns.user_id == user_id)
    if but is not None:
        statement = statement.where(columns.id != but)
    return connection.execute(statement).rowcount


def _idle_s(connection: Connection, tenant_id: TenantId) -> int:
    """Return how long a tenant leaves a browser alone, in seconds."""
    columns = tenant_policies.c
    decided = select(columns.idle_minutes).where(columns.tenant_id == tenant_id)
    return _seconds(connection.execute(decided).scalar())


def _seconds(idle_minutes: int | None) -> int:
    return IDLE_S if idle_minutes is None else idle_minutes * 60


def _session(row: Row[tuple[object, ...]], idle_s: int) -> PortalSession:
    fields = row._mapping  # noqa: SLF001 - the public name of a row's columns, despite its underscore
    moments = {name: fields[name].astimezone(UTC) for name in ("opened_at", "seen_at", "ends_at")}
    return PortalSession(
        id=fields["id"],
        tenant_id=TenantId(fields["tenant_id"]),
        user_id=UserId(fields["user_id"]),
        stage=Stage(fields["stage"]),
        proofs=frozenset(map(Proof, fields["proofs"])),
        address=fields["address"],
        agent=fields["agent"],
        idle_s=idle_s,
        **moments,
    )


def _shown(agent: str) -> str:
    """Return what a browser calls itself, as it can be stored and shown."""
    return "".join(letter for letter in agent if letter.isprintable())[:AGENT_CHARS_MAX]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
