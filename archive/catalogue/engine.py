"""Connections to PostgreSQL: transactions within one tenant, and waiting for news.

A transaction names its tenant; row-level security then shows that tenant's rows and
nothing else, and without a tenant no rows at all. Calls block: asynchronous callers
run them in a thread. `Listener` holds a direct connection, because LISTEN does not
survive a pool.

Rules: whatever goes wrong comes out as an `ArchiveError` whose message holds no
value of any row. Not here: any statement about our tables.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from select import POLLIN, poll
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from sqlalchemy import Connection, Engine, bindparam, create_engine, event, func, make_url, select
from sqlalchemy import exc as sqlalchemy_errors
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from archive.errors import ArchiveError, CatalogueUnavailable, Conflict, Refused
from archive.model import TenantId

__all__ = ["CONNECTIONS_MAX", "Catalogue", "Connection", "Listener", "Underway", "savepoint"]

CONNECTIONS_MAX = 8
"""Per process. PostgreSQL serves 100 by default, and a machine runs about ten processes of ours."""

TIMEOUT_S = 5.0
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
"""A transaction of ours that waits longer has lost its process; its locks must not outlive it."""

PATIENCE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A database that vanished without a word (a pulled cable) is given up after ten seconds, not minutes."""

REST_S_MAX = 5.0
"""A connection that was idle for longer is asked whether the server still knows it, before it is used."""

_RETURNED = "returned_at_s"

SET_TENANT = select(func.set_config("app.tenant_id", bindparam("tenant_id"), True))


class Catalogue:
    """A small pool of connections as one database role; safe to share between threads."""

    def __init__(
        self, database_url: str, *, timeout_s: float = TIMEOUT_S, connections_max: int = CONNECTIONS_MAX
    ) -> None:
        """Remember where the database is; nothing is connected before the first transaction.

        `timeout_s` bounds connecting, waiting for a free connection and each statement.
        """
        options = {
            "statement_timeout": f"{int(timeout_s * 1000)}",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_TIMEOUT_MS}",
            "timezone": "UTC",
        }
        self._url = database_url
        self._timeout_s = timeout_s
        self._engine = create_engine(
            database_url,
            pool_size=connections_max,
            max_overflow=0,
            pool_timeout=timeout_s,
            hide_parameters=True,
            connect_args={
                # libpq counts whole seconds and reads 0 as "for ever".
                "connect_timeout": max(2, int(timeout_s)),
                "application_name": "earwitness",
                **PATIENCE,
                "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            },
        )
        _keep_alive(self._engine)

    @contextmanager
    def transaction(self, tenant_id: TenantId | None = None) -> Iterator[Connection]:
        """Open a transaction that sees the rows of `tenant_id`; it commits unless the body raises.

        Raises CatalogueUnavailable (the outcome of a lost COMMIT is unknown: repeat, all
        inserts are idempotent), Conflict, or Refused when row-level security or a right forbids it.
        """
        try:
            with self._engine.begin() as connection:
                if tenant_id is not None:
                    connection.execute(SET_TENANT, {"tenant_id": tenant_id})
                yield connection
        except sqlalchemy_errors.SQLAlchemyError as error:
            raise _translate(error) from error

    @contextmanager
    def trial(self, tenant_id: TenantId) -> Iterator[Connection]:
        """Open a transaction as `transaction` does, and undo at its end whatever was done in it."""
        with self.transaction(tenant_id) as connection:
            yield connection
            connection.rollback()

    def healthy(self) -> bool:
        """Return whether a statement can be run now."""
        try:
            with self.transaction() as connection:
                connection.execute(select(1))
        except CatalogueUnavailable:
            return False
        return True

    def listen(self, channel: str) -> Listener:
        """Return a listener to `channel` on a connection of its own."""
        return Listener(self._url, channel, connect_timeout_s=self._timeout_s)

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()


class Underway(Catalogue):
    """A transaction that is under way, given to what asks a catalogue for one of its own.

    What that does is durable together with the rest of the transaction, or not done; where it
    raises it undoes itself alone. Rules: the transaction is of one tenant, or becomes one of the
    first tenant that is named; another one is a defect. It is for transactions and nothing else.
    """

    def __init__(self, connection: Connection, tenant_id: TenantId | None) -> None:
        """Stand on a transaction of a tenant, or of none yet."""
        self._connection = connection
        self._tenant_id = tenant_id

    @contextmanager
    def transaction(self, tenant_id: TenantId | None = None) -> Iterator[Connection]:
        """Go on within the transaction; raises as `Catalogue.transaction`, ValueError for another tenant."""
        if tenant_id != self._tenant_id:
            if self._tenant_id is not None:
                raise ValueError("A transaction of one tenant is none of another.")
            self._connection.execute(SET_TENANT, {"tenant_id": tenant_id})
            self._tenant_id = tenant_id
        with savepoint(self._connection):
            yield self._connection


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what the body did when it raises, and nothing else of the transaction; raises as `transaction`."""
    try:
        with connection.begin_nested():
            yield
    except sqlalchemy_errors.SQLAlchemyError as error:
        raise _translate(error) from error


class Listener:
    """Waits for notifications; one connection, for one thread. Use as a context manager.

    Whoever learns that the connection was lost must load everything afresh after
    connecting again, because notifications sent meanwhile are gone.
    """

    def __init__(self, database_url: str, channel: str, *, connect_timeout_s: float = TIMEOUT_S) -> None:
        """Connect and listen; raises CatalogueUnavailable."""
        url = make_url(database_url)
        _, arguments = url.get_dialect()().create_connect_args(url)
        arguments.update(PATIENCE)
        try:
            self._connection = psycopg.connect(
                **arguments, autocommit=True, connect_timeout=max(2, int(connect_timeout_s))
            )
            self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        except psycopg.Error as error:
            raise CatalogueUnavailable("PostgreSQL does not answer; is it running?") from error

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as something was notified, False after `timeout_s`."""
        try:
            return any(True for _ in self._connection.notifies(timeout=timeout_s, stop_after=1))
        except psycopg.Error as error:
            raise CatalogueUnavailable(
                "PostgreSQL closed the listening connection; connect again."
            ) from error

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _keep_alive(engine: Engine) -> None:
    """Let the pool replace what is dead, without asking the server before each transaction."""

    @event.listens_for(engine, "checkin")
    def returned(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info[_RETURNED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
        rested_s = time.monotonic() - record.info.get(_RETURNED, float("-inf"))
        if _RETURNED not in record.info or (rested_s < REST_S_MAX and not _has_news(record)):
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise sqlalchemy_errors.DisconnectionError from error


def _has_news(record: ConnectionPoolEntry) -> bool:
    """Return whether the server said something nobody asked for; a server that closes says so."""
    connection = record.driver_connection
    if not isinstance(connection, psycopg.Connection) or connection.closed:
        return True
    # Unlike select, poll has no highest number: a portal under many requests has more than 1024 files open.
    news = poll()
    news.register(connection.fileno(), POLLIN)
    return bool(news.poll(0))


def _translate(error: sqlalchemy_errors.SQLAlchemyError) -> ArchiveError:
    """Return our error for one of SQLAlchemy's, without any value of a row in it."""
    cause = error.orig if isinstance(error, sqlalchemy_errors.DBAPIError) else None
    if isinstance(cause, psycopg.IntegrityError):
        return Conflict(f"It clashes with what is there already ({cause.diag.constraint_name}).")
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return Refused(f"The database refuses it to this role: {cause.diag.message_primary}.")
    if isinstance(cause, psycopg.errors.ReadOnlySqlTransaction):
        return CatalogueUnavailable("PostgreSQL takes no changes now: it is read-only, or a copy of another.")
    if isinstance(cause, psycopg.DataError):
        return Refused(f"The database can't store such a value: {cause.diag.message_primary or 'bad text'}.")
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) or cause is None:
        return CatalogueUnavailable("PostgreSQL does not answer in time; the work is to be tried again.")
    return ArchiveError(f"A defect of ours: PostgreSQL refuses a statement ({cause.__class__.__name__}).")
