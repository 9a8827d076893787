"""Restoring a backup for good: into a database that holds nothing, and a key store that gets what it lacks.

    looked at -> keys -> side database -> brought to this release -> what may have been taken away since
    taken away -> written down -> takes its name

Rules: nothing that is there is replaced. The database is filled under another name and takes its
own in the last step, so that a restore that was broken off has changed nothing but keys, and is
done again from its beginning. Of the keys, what a key store that lives says counts before the
backup: what was destroyed since stays destroyed. What the backup knows as destroyed is destroyed.

Not here: trying a restore out (`archive.backup.drill`), what came after the backup
(`archive.rebuild`), and starting a host's services (`archive.cli.restore`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import make_url

from archive.audit import AuditWriter
from archive.audit_chain import Json
from archive.backup.dump import connected, restore
from archive.backup.folder import KEYS, sums_of
from archive.backup.sealed import OpenedBackup
from archive.backup.taking_away import TakenAway, take_away
from archive.catalogue.engine import Catalogue
from archive.catalogue.holdings import Holding, holdings, require_all_rows
from archive.catalogue.migrate import prepare
from archive.errors import Conflict, Refused, VerificationFailed
from keys.errors import KeyNotFound, SealBroken
from keys.key_store import TOMBSTONE_SUFFIX, DirectoryKeyStore, KeyStore
from keys.root import RotatingRoot
from keys.rotation import secret_of

SIDE = "_restoring"
"""What the name of the database ends in until it is whole."""

RESTORED = "backup.restored"
TOLD_BYTES = 64 * 1024 * 1024  # a line of progress for each

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """Where a backup is restored to.

    `server_url` is an administrator's of the server; `operator_url` that of our operator.
    `passwords` are of the roles to be made; a role that is not named keeps what it has.
    """

    server_url: str
    operator_url: str
    passwords: Mapping[str, str]
    key_store: KeyStore
    root: RotatingRoot

    @property
    def database(self) -> str:
        """The name of the database."""
        name = make_url(self.operator_url).database
        if not name:
            raise Refused("EARWITNESS_DATABASE_URL names no database.")
        return name

    def url(self, database: str) -> str:
        """Return the administrator's URL of a database of the server."""
        return make_url(self.server_url).set(database=database).render_as_string(hide_password=False)


@dataclass(frozen=True)
class Restored:
    """What a restore brought: keys put, keys that were there, and what the database holds."""

    keys_put: int
    keys_there: int
    destroyed: int
    holdings: tuple[Holding, ...]
    taken_away: TakenAway


def restore_backup(
    backup: OpenedBackup, target: Target, *, actor: str, node: str, now: datetime, tell: Tell
) -> Restored:
    """Restore a backup that was opened; raises Refused for a host that holds something, and changes nothing.

    Raises Conflict for a key store of another archive, VerificationFailed for a backup that was altered
    meanwhile, DependencyUnavailable, KeyStoreUnavailable; then it can be done again.
    """
    require_empty(target)
    put, there, destroyed = _restore_keys(backup, target, tell)
    side = target.database + SIDE
    _drop(target, side)
    prepare(target.server_url, target.passwords, side, tables=False)
    restore(target.url(side), _told(backup, tell))
    try:
        prepare(target.server_url, {}, side)
    except CommandError as error:
        raise Refused("The backup is of a later release than this one: use that release.") from error
    with connected(target.url(side)) as connection:
        found = holdings(connection)
    if found != backup.manifest.holdings:
        raise VerificationFailed("The database restored is not the one the manifest counted.")
    tell(f"database: {sum(each.recordings for each in found)} recordings, as the manifest says")
    taken_away = take_away(target.url(side), made_at=backup.manifest.made_at, now=now)
    _write_down(backup, target, side, taken_away, actor=actor, node=node, now=now)
    require_empty(target)
    _drop(target, target.database)
    _rename(target, side)
    tell("database: restored")
    return Restored(put, there, destroyed, found, taken_away)


def require_empty(target: Target) -> None:
    """Raise Refused when the database of the target holds anything; none, or one without rows, is empty."""
    with _server(target) as connection:
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(known, (target.database,)).fetchone() is None:
            return
    with connected(target.url(target.database)) as connection:
        require_all_rows(connection)
        for schema, table in connection.execute(_TABLES).fetchall():
            found = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table))
            if connection.execute(found).fetchone() == (True,):
                raise Refused(
                    f"The database {target.database} holds something (in {schema}.{table}): a backup is "
                    "restored into an empty one, and nothing is replaced. Use a new data directory or "
                    "database, or put what is there aside first."
                )


_TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'alembic_version'
    ORDER BY schemaname, tablename
"""


def _restore_keys(backup: OpenedBackup, target: Target, tell: Tell) -> tuple[int, int, int]:
    """Give the key store what it lacks; return how many keys were put, were there, and were destroyed."""
    copy, store = DirectoryKeyStore(backup.folder / KEYS), target.key_store
    gone = frozenset(store.destroyed())
    # The names are those the seal vouches for: a tombstone that was put there since would end a key.
    listed = [
        each.removeprefix(f"{KEYS}/")
        for each in sums_of(backup.folder, backup.manifest)
        if each.startswith(f"{KEYS}/")
    ]
    ended = [each.removesuffix(TOMBSTONE_SUFFIX) for each in listed if each.endswith(TOMBSTONE_SUFFIX)]
    names = [each for each in listed if not each.endswith(TOMBSTONE_SUFFIX) and each not in gone]
    lacking = [name for name in names if not _is_there(target, name, copy.get(name))]
    for name in lacking:
        store.put(name, copy.get(name))
    ended = [name for name in ended if name not in gone]
    for name in ended:
        _destroy(store, name)
    there = len(names) - len(lacking)
    tell(f"keys: {len(lacking)} restored, {there} were there, {len(gone) + len(ended)} stay destroyed")
    return len(lacking), there, len(ended)


def _is_there(target: Target, name: str, sealed: bytes) -> bool:
    """Return whether the key store has a key already; raises Conflict when it has another one."""
    secret = _secret(target.root, name, sealed)
    try:
        present = target.key_store.get(name)
    except KeyNotFound:
        return False
    if _secret(target.root, name, present) != secret:
        raise Conflict(
            f"The key store has another key {name} than the backup: it is of another archive, or a service "
            "was started on it. Nothing of it was replaced; use an empty key store."
        )
    return True


def _secret(root: RotatingRoot, name: str, sealed: bytes) -> bytes:
    try:
        return secret_of(root, name, sealed)
    except SealBroken as error:
        raise Conflict(f"The key {name} does not open by this keyring; nothing was replaced.") from error


def _destroy(store: KeyStore, name: str) -> None:
    """Leave the tombstone of a key, whether it is there or not."""
    try:
        store.destroy(name)
    except KeyNotFound:
        store.put(name, b"destroyed")  # a name has to have been used to be dead
        store.destroy(name)


def _told(backup: OpenedBackup, tell: Tell) -> Iterator[bytes]:
    """Yield the dump, and tell how far it is."""
    whole_bytes, fed_bytes, next_bytes = backup.manifest.database.plaintext_bytes, 0, TOLD_BYTES
    for piece in backup.dump():
        yield piece
        fed_bytes += len(piece)
        if fed_bytes >= next_bytes:
            tell(f"database: {100 * fed_bytes // whole_bytes} % of {whole_bytes} bytes")
            next_bytes += TOLD_BYTES
    tell("database: all of it read; indexes are made")


def _write_down(
    backup: OpenedBackup,
    target: Target,
    database: str,
    taken_away: TakenAway,
    *,
    actor: str,
    node: str,
    now: datetime,
) -> None:
    url = make_url(target.operator_url).set(database=database).render_as_string(hide_password=False)
    catalogue = Catalogue(url)
    try:
        audit = AuditWriter(catalogue, f"operator/{node}")
        thing = f"backup:{backup.manifest.made_at:%Y%m%dT%H%M%SZ}"
        body: dict[str, Json] = {"takenAway": {**vars(taken_away)}}
        with audit.transaction(None) as connection:
            audit.append(
                connection, tenant_id=None, actor=actor, action=RESTORED, object=thing, at=now, body=body
            )
    finally:
        catalogue.close()


def _drop(target: Target, database: str) -> None:
    with _server(target) as connection:
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database)))
        except psycopg.errors.ObjectInUse as error:
            raise Refused(
                f"Somebody is connected to the database {database}: stop all roles first."
            ) from error


def _rename(target: Target, database: str) -> None:
    names = sql.Identifier(database), sql.Identifier(target.database)
    with _server(target) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))


@contextmanager
def _server(target: Target) -> Iterator[psycopg.Connection]:
    """Yield a connection to the server's own database, on which each statement is a transaction."""
    with connected(target.server_url) as connection:
        connection.autocommit = True
        yield connection
