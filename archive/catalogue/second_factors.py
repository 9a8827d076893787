"""Second factors: codes of an authenticator (RFC 6238) and recovery codes; passkeys are `passkeys`.

The secret of an authenticator must be read to check a code, so it stands sealed by the
root and bound to its person: the database alone makes no code. Each code counts once.
Recovery codes are 80 random bits each and kept as their SHA-256; each counts once.

Rules: who loses all of them is helped by the operator or administrator (`reset`), which
ends every session. What adds or removes a factor reads them `locked`, so that two at once
are one after the other; recovery codes go with the last of them. Not here: how often one
may try (`archive.throttle`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import pyotp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from archive.catalogue import portal_sessions
from archive.catalogue.engine import Catalogue, Connection
from archive.catalogue.identities import Account
from archive.catalogue.tables import passkeys, recovery_codes, totp_secrets, users
from archive.model import TenantId, UserId
from keys.binding import length_prefixed
from keys.root import Root

STEP_S = 30
DRIFT_STEPS = 1
"""A clock half a minute off is common; more steps would be more guesses (RFC 6238 section 5.2)."""

DIGITS = 6
RECOVERY_CODES_COUNT = 10
RECOVERY_CODE_BYTES = 10
CODE_CHARS_MAX = 64
"""Far above any code with its blanks and dashes; what is longer is not looked at."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter is taken for a digit."""

_FORMAT = "earwitness-totp/1"


@dataclass(frozen=True)
class Factors:
    """What somebody has beside a password."""

    totp: bool
    passkeys: int
    recovery_codes: int

    @property
    def any(self) -> bool:
        """Whether there is a second factor to ask for."""
        return self.totp or self.passkeys > 0


def of_account(catalogue: Catalogue, account: Account) -> Factors:
    """Return the second factors of a person, and how many recovery codes are left."""
    with catalogue.transaction(account.tenant_id) as connection:
        return _factors(connection, account)


def locked(connection: Connection, account: Account) -> Factors:
    """Return the second factors of a person; nobody else changes them until the transaction ends."""
    own = (users.c.tenant_id == account.tenant_id, users.c.id == account.user_id)
    connection.execute(select(users.c.id).where(*own).with_for_update())
    return _factors(connection, account)


def _factors(connection: Connection, account: Account) -> Factors:
    statement = select(
        *(
            select(func.count())
            .select_from(table)
            .where(table.c.tenant_id == account.tenant_id, table.c.user_id == account.user_id, *more)
            .scalar_subquery()
            for table, more in (
                (totp_secrets, ()),
                (passkeys, ()),
                (recovery_codes, (recovery_codes.c.used_at.is_(None),)),
            )
        )
    )
    totp, keys, codes = connection.execute(statement).one()
    return Factors(totp > 0, keys, codes)


def new_secret() -> str:
    """Return a secret of 160 random bits for an authenticator, as RFC 4226 section 4 wants, in base 32."""
    return pyotp.random_base32()


def address_of(secret: str, account_name: str, issuer: str) -> str:
    """Return what the picture for an authenticator says: `otpauth://totp/...`."""
    label = f"{quote(issuer)}:{quote(account_name)}"
    return f"otpauth://totp/{label}?secret={secret}&issuer={quote(issuer)}&digits={DIGITS}&period={STEP_S}"


def step_of_code(secret: str, code: str, now: datetime, after: int = 0) -> int | None:
    """Return the step a code is of, among those around `now` and later than `after`; None for none."""
    plain = code.replace(" ", "")
    if len(plain) != DIGITS or not (plain.isascii() and plain.isdigit()):
        return None
    current = int(now.timestamp()) // STEP_S
    generator, found = pyotp.OTP(secret, digits=DIGITS), None
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        # Every step is compared, so that the time does not tell which one it was.
        if hmac.compare_digest(generator.generate_otp(step), plain) and step > after:
            found = step
    return found


def set_totp(
    connection: Connection, root: Root, account: Account, secret: str, step: int, *, now: datetime
) -> None:
    """Give a person an authenticator in the place of any earlier one; `step` is the code they showed."""
    row = {
        "tenant_id": account.tenant_id,
        "user_id": account.user_id,
        "sealed": root.wrap(secret.encode(), context_of(account.tenant_id, account.user_id)),
        "added_at": now,
        "last_step": step,
    }
    statement = upsert(totp_secrets).values(row)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id"], set_={name: row[name] for name in ("sealed", "added_at", "last_step")}
        )
    )


def verify_totp(catalogue: Catalogue, root: Root, account: Account, code: str, *, now: datetime) -> bool:
    """Return whether a code is the authenticator's and was not used before; it is used now."""
    columns = totp_secrets.c
    own = (columns.tenant_id == account.tenant_id, columns.user_id == account.user_id)
    with catalogue.transaction(account.tenant_id) as connection:
        # The lock makes the same code, sent twice at once, count once.
        statement = select(columns.sealed, columns.last_step).where(*own).with_for_update()
        row = connection.execute(statement).one_or_none()
        if row is None:
            return False
        secret = root.unwrap(row.sealed, context_of(account.tenant_id, account.user_id)).decode()
        step = step_of_code(secret, code, now, row.last_step)
        if step is None:
            return False
        connection.execute(update(totp_secrets).where(*own).values(last_step=step))
    return True


def remove_totp(connection: Connection, account: Account) -> bool:
    """Take the authenticator away; False when there was none."""
    return _delete(connection, account, "totp_secrets") > 0


def new_recovery_codes(connection: Connection, account: Account) -> tuple[str, ...]:
    """Give a person fresh recovery codes, once to be seen; the earlier ones are worth nothing."""
    _delete(connection, account, "recovery_codes")
    codes = tuple(_code() for _ in range(RECOVERY_CODES_COUNT))
    rows = [
        {"tenant_id": account.tenant_id, "user_id": account.user_id, "code_hash": _hash(code)}
        for code in codes
    ]
    connection.execute(insert(recovery_codes), rows)
    return codes


def use_recovery_code(catalogue: Catalogue, account: Account, code: str, *, now: datetime) -> bool:
    """Return whether a code is one of the person's that was not used; it is used now."""
    if len(code) > CODE_CHARS_MAX:
        return False
    columns = recovery_codes.c
    statement = update(recovery_codes).where(
        columns.tenant_id == account.tenant_id,
        columns.user_id == account.user_id,
        columns.code_hash == _hash(code),
        columns.used_at.is_(None),
    )
    with catalogue.transaction(account.tenant_id) as connection:
        return connection.execute(statement.values(used_at=now)).rowcount > 0


def drop_stray_codes(connection: Connection, account: Account) -> None:
    """Take the recovery codes of somebody without a factor away: there is nothing left to recover."""
    if not _factors(connection, account).any:
        _delete(connection, account, "recovery_codes")


def reset(connection: Connection, account: Account) -> None:
    """Take every second factor away and end every session: the next sign-in sets up what is needed."""
    for name in ("totp_secrets", "passkeys", "recovery_codes"):
        _delete(connection, account, name)
    portal_sessions.end_all(connection, account.tenant_id, account.user_id)


def _delete(connection: Connection, account: Account, name: str) -> int:
    table = {each.name: each for each in (totp_secrets, passkeys, recovery_codes)}[name]
    own = (table.c.tenant_id == account.tenant_id, table.c.user_id == account.user_id)
    return connection.execute(delete(table).where(*own)).rowcount


def context_of(tenant_id: TenantId, user_id: UserId) -> bytes:
    """Return what the root binds a person's secret to."""
    return b"".join(map(length_prefixed, (_FORMAT, tenant_id, user_id)))


def _code() -> str:
    value = int.from_bytes(secrets.token_bytes(RECOVERY_CODE_BYTES), "big")
    letters = "".join(_ALPHABET[value >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def _hash(code: str) -> str:
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    read = plain.replace("O", "0").replace("I", "1").replace("L", "1")
    return hashlib.sha256(read.encode()).hexdigest()
