"""Play links: made for one recording or a fragment of it, found by their token, and ended.

A token is the tenant's id and 256 random bits; kept is its SHA-256. A PIN or a code is
kept as a hash that has the token in it, so that the database alone lets nobody try them.

Rules: a link is of who made it, and works no longer than they may share the recording
(`archive.shared`). What it serves is a derivative of its own, whose object stands
in its row. Not here: who listens by it (`archive.catalogue.share_visits`).
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, func, insert, or_, select, true, tuple_, update

from archive.access import AccessScope
from archive.catalogue import documents, restores, search, share_search, share_source
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.recordings import PAGE_ROWS_MAX, decode_cursor, encode_cursor
from archive.catalogue.rows import by_name
from archive.catalogue.tables import recordings, shares
from archive.errors import Conflict, NotFound, Refused
from archive.model import RecordingId, Role, TenantId, UserId, new_id
from keys.streaming_aead import SealPin

TOKEN_BYTES = 32
TITLE_CHARS_MAX = 120
"""One line above the player."""

PLAYS_COUNT_MAX = 1000
SPAN_MS_MIN = 1000
"""Less than a second is nothing to listen to."""

SPAN_MS_MAX = 4 * 3600 * 1000
"""The derivative is made in memory, 3 kB a second; who shares a longer call shares a fragment of it."""

SHARES_PER_RECORDING_MAX = 100
"""Of those that work; a list nobody can look through controls nothing."""

RESTORED_S_MAX = 5 * 60
"""Ending a link by mistake is noticed at once."""

PIN_DIGITS_MIN, PIN_DIGITS_MAX = 6, 12
CODE_DIGITS = 6
CODE_S = 10 * 60
"""A code by mail is typed at once or never."""

SWEPT_COUNT_MAX = 500
"""Of one tenant in an hour; what is left is found again."""

_OF_DERIVATIVE = (
    "object_key",
    "version_id",
    "plaintext_bytes",
    "ciphertext_bytes",
    "segments",
    "plaintext_sha256",
    "ciphertext_sha256",
    "commitment",
)
_PIN = re.compile(rf"[0-9]{{{PIN_DIGITS_MIN},{PIN_DIGITS_MAX}}}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{65}")
_TENANT_CHARS = 22


class Proof(StrEnum):
    """What a visitor shows beside the link."""

    NONE = "none"
    PIN = "pin"
    EMAIL = "email"


class ShareState(StrEnum):
    """Whether a link works, and why not."""

    ACTIVE = "active"
    ENDED = "ended"
    REVOKED = "revoked"
    SPENT = "spent"
    """Every play was used; who listens just now listens on."""


@dataclass(frozen=True)
class NewShare:
    """What a link is to be; `plays_max` None is as often as one likes. `recipient` is where a code goes."""

    recording_id: RecordingId
    title: str
    from_ms: int
    to_ms: int
    ends_at: datetime
    proof: Proof = Proof.NONE
    pin: str | None = None
    recipient: str | None = None
    plays_max: int | None = None


@dataclass(frozen=True)
class Derivative:
    """The sealed audio of one link, in the store."""

    object_key: str
    version_id: str
    pin: SealPin
    plaintext_sha256: str
    ciphertext_sha256: str


@dataclass(frozen=True)
class Share:
    """A play link. Who made it is a person or an API client: one of the two ids is there."""

    id: str
    tenant_id: TenantId
    recording_id: RecordingId
    user_id: UserId | None
    client_id: str | None
    title: str
    from_ms: int
    to_ms: int
    proof: Proof
    recipient: str | None
    made_at: datetime
    ends_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    plays_max: int | None
    plays: int
    played_at: datetime | None
    code_hash: str | None
    code_ends_at: datetime | None
    derivative: Derivative | None

    @property
    def maker(self) -> str:
        """Who made it, as the audit log names them."""
        return f"user:{self.user_id}" if self.user_id is not None else f"api-client:{self.client_id}"

    @property
    def length_ms(self) -> int:
        """How long the shared span is."""
        return self.to_ms - self.from_ms

    def state(self, now: datetime) -> ShareState:
        """Return whether it works."""
        if self.revoked_at is not None:
            return ShareState.REVOKED
        if self.ends_at <= now:
            return ShareState.ENDED
        spent = self.plays_max is not None and self.plays >= self.plays_max
        return ShareState.SPENT if spent else ShareState.ACTIVE


@dataclass(frozen=True)
class SharePage:
    """Some links, newest first, and the cursor of the next page or None at the end."""

    items: tuple[Share, ...]
    next: str | None


def add(connection: Connection, scope: AccessScope, wanted: NewShare, *, now: datetime) -> tuple[Share, str]:
    """Make a link in the caller's transaction, which has asked who may; return it and its token, once seen.

    Raises Refused for what is out of bounds, Conflict for one link too many.
    """
    _check(wanted, now)
    search.begin(connection, wanted.recording_id)
    _require_room(connection, scope.tenant_id, wanted.recording_id, now)
    token = new_token(scope.tenant_id)
    client_id = None if scope.user_id is not None else scope.actor.removeprefix("api-client:")
    row = {
        "id": new_id(now),
        "tenant_id": scope.tenant_id,
        "recording_id": wanted.recording_id,
        "token_hash": hash_of(token),
        "user_id": scope.user_id,
        "client_id": client_id,
        "title": wanted.title,
        "from_ms": wanted.from_ms,
        "to_ms": wanted.to_ms,
        "proof": wanted.proof.value,
        "recipient": wanted.recipient,
        "code_hash": None if wanted.pin is None else code_hash(token, wanted.pin),
        "made_at": now,
        "ends_at": wanted.ends_at,
        "plays_max": wanted.plays_max,
        "document": share_search.document_of(wanted.title),
    }
    made = _share(connection.execute(insert(shares).values(row).returning(shares)).one())
    search.refresh(connection, wanted.recording_id)
    return made, token


def find(catalogue: Catalogue, token: str) -> Share | None:
    """Return the link of a token, whether it works or not; None when there is none."""
    tenant_id = tenant_of(token)
    if tenant_id is None:
        return None
    columns = shares.c
    statement = select(shares).where(columns.tenant_id == tenant_id, columns.token_hash == hash_of(token))
    with catalogue.transaction(tenant_id) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _share(row)


def get(catalogue: Catalogue, scope: AccessScope, share_id: str) -> Share:
    """Return one link the scope may know of; raises NotFound."""
    with catalogue.transaction(scope.tenant_id) as connection:
        return _known(connection, scope, share_id)


def _known(connection: Connection, scope: AccessScope, share_id: str) -> Share:
    statement = select(shares).where(shares.c.id == share_id, _seen_by(scope))
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound("There is no such play link.")
    return _share(row)


def of_recording(catalogue: Catalogue, tenant_id: TenantId, recording_id: RecordingId) -> tuple[Share, ...]:
    """Return every link made of a recording, newest first; the caller has asked who may know of it."""
    columns = shares.c
    statement = (
        select(shares)
        .where(columns.tenant_id == tenant_id, columns.recording_id == recording_id)
        .order_by(columns.made_at.desc(), columns.id.desc())
        .limit(PAGE_ROWS_MAX)
    )
    with catalogue.transaction(tenant_id) as connection:
        return tuple(map(_share, connection.execute(statement)))


def page(
    catalogue: Catalogue,
    scope: AccessScope,
    *,
    now: datetime,
    active: bool | None = None,
    limit: int = 50,
    cursor: str | None = None,
    text: str = "",
) -> SharePage:
    """Return links the scope may know of, newest first; raises Refused for a limit or cursor not ours.

    `active` leaves out those that work no longer, or those that do; `text` all it is not about.
    """
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise Refused(f"The limit of a page is 1 to {PAGE_ROWS_MAX}.")
    columns = shares.c
    wanted = [_seen_by(scope)]
    if active is not None:
        works = share_source.working_at(now)
        wanted.append(works if active else ~works)
    if cursor is not None:
        wanted.append(tuple_(columns.made_at, columns.id) < decode_cursor(cursor))
    with catalogue.transaction(scope.tenant_id) as connection:
        connection.execute(documents.PLAN_FOR_PAGES)
        if text.strip():
            wanted.append(share_search.about(connection, scope, text))
        statement = select(shares).where(*wanted).order_by(columns.made_at.desc(), columns.id.desc())
        rows = connection.execute(statement.limit(limit + 1)).all()
    items = tuple(map(_share, rows[:limit]))
    return SharePage(items, encode_cursor(items[-1].made_at, items[-1].id) if len(rows) > limit else None)


def revoke(connection: Connection, scope: AccessScope, share_id: str, *, now: datetime) -> Share:
    """End a link for good in the caller's transaction; one that was ended stays so.

    Raises NotFound, or Refused for another's.
    """
    _answered_for(connection, scope, share_id)
    columns = shares.c
    of_share = (columns.tenant_id == scope.tenant_id, columns.id == share_id)
    first = columns.revoked_at.is_(None)
    values = {
        "revoked_at": func.coalesce(columns.revoked_at, now),
        "revoked_by": case((first, scope.actor), else_=columns.revoked_by),
    }
    statement = update(shares).where(*of_share).values(values).returning(shares)
    share = _share(connection.execute(statement).one())
    search.refresh(connection, share.recording_id)
    return share


def restore(connection: Connection, scope: AccessScope, share_id: str, *, now: datetime) -> Share:
    """Undo the ending of a link within RESTORED_S_MAX in the caller's transaction.

    Whoever ended it does, or an administrator. Raises Conflict when it is too late, a backup was
    restored since or there are as many links by now, Refused where somebody else ended it, and as `revoke`.
    """
    share = _answered_for(connection, scope, share_id)
    if share.revoked_at is None:
        return share
    restored_at = restores.newest(connection)
    if restored_at is not None and share.revoked_at <= restored_at:
        # Ended by the restore, or before it: whether it was ended for good since, nobody knows.
        raise Conflict("This play link ended when a backup was restored: make a new one.")
    if share.revoked_by != scope.actor and scope.role is not Role.ADMINISTRATOR:
        raise Refused("Somebody else ended this play link: they can bring it back, or an administrator.")
    if (now - share.revoked_at).total_seconds() > RESTORED_S_MAX:
        raise Conflict("This play link was ended a while ago: make a new one.")
    search.begin(connection, share.recording_id)
    _require_room(connection, scope.tenant_id, share.recording_id, now)
    columns = shares.c
    of_share = (columns.tenant_id == scope.tenant_id, columns.id == share_id)
    statement = update(shares).where(*of_share).values(revoked_at=None, revoked_by=None).returning(shares)
    restored = _share(connection.execute(statement).one())
    search.refresh(connection, restored.recording_id)
    return restored


def beginnings(
    catalogue: Catalogue, tenant_id: TenantId, ids: Iterable[RecordingId]
) -> dict[RecordingId, datetime]:
    """Return when recordings began, for a list of links that lead to them; nothing else of them is told."""
    columns = recordings.c
    statement = select(columns.id, columns.started_at).where(
        columns.tenant_id == tenant_id, columns.id.in_(sorted(ids))
    )
    with catalogue.transaction(tenant_id) as connection:
        return {RecordingId(row.id): row.started_at.astimezone(UTC) for row in connection.execute(statement)}


def set_code(connection: Connection, share: Share, token: str, code: str, *, now: datetime) -> None:
    """Let a code count for a while; a newer one ends the earlier."""
    values = {"code_hash": code_hash(token, code), "code_ends_at": now + timedelta(seconds=CODE_S)}
    statement = update(shares).where(shares.c.tenant_id == share.tenant_id, shares.c.id == share.id)
    connection.execute(statement.values(values))


def proves(share: Share, token: str, given: str, *, now: datetime) -> bool:
    """Return whether a PIN or code is the one of the link."""
    if share.proof is Proof.NONE:
        return True
    over = share.code_ends_at is not None and share.code_ends_at <= now
    if share.code_hash is None or over:
        return False
    return secrets.compare_digest(share.code_hash, code_hash(token, given))


def spend_code(connection: Connection, share: Share) -> bool:
    """Let the code that proved somebody count no more, in the caller's transaction; False when it did not."""
    columns = shares.c
    of_share = (columns.tenant_id == share.tenant_id, columns.id == share.id)
    statement = update(shares).where(*of_share, columns.code_hash == share.code_hash)
    return connection.execute(statement.values(code_hash=None, code_ends_at=None)).rowcount > 0


def keep_derivative(catalogue: Catalogue, share: Share, made: Derivative) -> Derivative:
    """Keep where the audio of a link stands, unless it stands somewhere already; return what counts."""
    columns = shares.c
    values = {
        "object_key": made.object_key,
        "version_id": made.version_id,
        **vars(made.pin),
        "plaintext_sha256": made.plaintext_sha256,
        "ciphertext_sha256": made.ciphertext_sha256,
    }
    of_share = (columns.tenant_id == share.tenant_id, columns.id == share.id)
    with catalogue.transaction(share.tenant_id) as connection:
        connection.execute(update(shares).where(*of_share, columns.object_key.is_(None)).values(values))
        row = connection.execute(select(shares).where(*of_share)).one_or_none()
    kept = None if row is None else _share(row).derivative
    if kept is None:
        raise NotFound("The play link is gone.")
    return kept


def over_with_audio(catalogue: Catalogue, tenant_id: TenantId, *, now: datetime) -> tuple[Share, ...]:
    """Return links that ended and still have audio of their own, at most SWEPT_COUNT_MAX."""
    columns = shares.c
    ended = or_(columns.revoked_at.is_not(None), columns.ends_at <= now)
    statement = select(shares).where(columns.tenant_id == tenant_id, columns.object_key.is_not(None), ended)
    with catalogue.transaction(tenant_id) as connection:
        return tuple(map(_share, connection.execute(statement.limit(SWEPT_COUNT_MAX))))


def forget_derivative(catalogue: Catalogue, share: Share) -> None:
    """Note that the audio of a link is gone."""
    statement = update(shares).where(shares.c.tenant_id == share.tenant_id, shares.c.id == share.id)
    with catalogue.transaction(share.tenant_id) as connection:
        connection.execute(statement.values(dict.fromkeys(_OF_DERIVATIVE)))


def new_token(tenant_id: TenantId) -> str:
    """Return a token of 65 characters: the tenant's id and 256 random bits."""
    return _named(tenant_id) + secrets.token_urlsafe(TOKEN_BYTES)


def tenant_of(token: str) -> TenantId | None:
    """Return the tenant a token names, None for what is no token of ours."""
    if _TOKEN.fullmatch(token) is None:
        return None
    named = token[:_TENANT_CHARS]
    tenant_id = TenantId(str(uuid.UUID(bytes=base64.urlsafe_b64decode(f"{named}=="))))
    # Four bits of the last character are over: only the one spelling counts.
    return tenant_id if _named(tenant_id) == named else None


def hash_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def code_hash(token: str, code: str) -> str:
    """Return what is kept of a PIN or code: worth nothing to who has not the token."""
    return hashlib.sha256(f"earwitness-share-code/1\0{token}\0{code.strip()}".encode()).hexdigest()


def new_pin() -> str:
    """Return digits nobody guesses, for a PIN or a code."""
    return "".join(secrets.choice("0123456789") for _ in range(CODE_DIGITS))


def _named(tenant_id: TenantId) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(tenant_id).bytes).decode().rstrip("=")


def _require_room(
    connection: Connection, tenant_id: TenantId, recording_id: RecordingId, now: datetime
) -> None:
    """Raise Conflict where a recording has as many working links as it may."""
    columns = shares.c
    of_recording = (columns.tenant_id == tenant_id, columns.recording_id == recording_id)
    working = (columns.revoked_at.is_(None), columns.ends_at > now)
    counted = select(func.count()).select_from(shares).where(*of_recording, *working)
    if connection.execute(counted).scalar_one() >= SHARES_PER_RECORDING_MAX:
        raise Conflict(f"This recording has {SHARES_PER_RECORDING_MAX} play links already; end one first.")


def _answered_for(connection: Connection, scope: AccessScope, share_id: str) -> Share:
    """Return a link the scope may end; raises NotFound, or Refused for another's."""
    share = _known(connection, scope, share_id)
    if share.maker != scope.actor and scope.role not in {None, Role.ADMINISTRATOR}:
        raise Refused("A play link is ended by who made it, or by an administrator.")
    return share


def _check(wanted: NewShare, now: datetime) -> None:
    if len(wanted.title) > TITLE_CHARS_MAX or not wanted.title.isprintable():
        raise Refused(f"A title has at most {TITLE_CHARS_MAX} printable characters.")
    if wanted.from_ms < 0 or not SPAN_MS_MIN <= wanted.to_ms - wanted.from_ms <= SPAN_MS_MAX:
        raise Refused(
            f"What is shared lasts {SPAN_MS_MIN // 1000} second to {SPAN_MS_MAX // 3_600_000} hours."
        )
    if wanted.ends_at <= now:
        raise Refused("A play link ends in the future.")
    if wanted.plays_max is not None and not 1 <= wanted.plays_max <= PLAYS_COUNT_MAX:
        raise Refused(f"A play link is for 1 to {PLAYS_COUNT_MAX} plays, or for any number.")
    if (wanted.proof is Proof.PIN) != (wanted.pin is not None):
        raise Refused("A PIN belongs to a play link that asks for one.")
    if wanted.pin is not None and _PIN.fullmatch(wanted.pin) is None:
        raise Refused(f"A PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits.")
    if wanted.proof is Proof.EMAIL and wanted.recipient is None:
        raise Refused("A code by mail needs an address it goes to.")


def _seen_by(scope: AccessScope) -> ColumnElement[bool]:
    """Return the filter for the links a scope may know of: one's own; all to who answers for the tenant."""
    of_tenant = shares.c.tenant_id == scope.tenant_id
    own = shares.c.user_id == scope.user_id if scope.user_id is not None else true()
    return of_tenant if scope.role in {None, Role.ADMINISTRATOR, Role.AUDITOR} else and_(of_tenant, own)


def _share(row: Row[Any]) -> Share:
    fields = by_name(row)
    del fields["token_hash"], fields["free_at"], fields["document"]
    key, version_id = fields.pop("object_key"), fields.pop("version_id")
    pinned = [fields.pop(name) for name in ("plaintext_bytes", "ciphertext_bytes", "segments", "commitment")]
    hashes = fields.pop("plaintext_sha256"), fields.pop("ciphertext_sha256")
    derivative = None if key is None else Derivative(key, version_id, SealPin(*pinned), *hashes)
    return Share(**{**fields, "proof": Proof(row.proof)}, derivative=derivative)
