"""Handing work to the workers: a job row, written by whoever may not do the work itself.

The portal names a task and the ids it is about; a worker does it (`retention.worker`).
Jobs of one recording run one after the other, in the order in which they were handed
over, and one that waits already is not handed over twice.

Rules: blocks, so asynchronous callers run it in a thread; a job carries ids, never a
name or number. Not here: what a task does.
"""

from __future__ import annotations

from typing import TypedDict

import procrastinate
import psycopg
import psycopg_pool
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from archive.errors import CatalogueUnavailable
from archive.model import RecordingId, TenantId, UserId

QUARANTINE_ASSIGN = "retention.quarantine_assign"
QUARANTINE_DESTROY = "retention.quarantine_destroy"
MAIL = "retention.mail"
EXPORT = "retention.export"
IMPORT = "retention.import"
STORE_HOLDS = "retention.store_holds"
EXPIRY_BATCH = "retention.expiry_batch"

CONNECT_TIMEOUT_S = 5.0


def connection_string(database_url: str) -> str:
    """Return a database URL as procrastinate wants it."""
    return database_url.replace("postgresql+psycopg://", "postgresql://", 1)


def connection_arguments() -> dict[str, str]:
    """Return what each connection of procrastinate needs: migration 0002 keeps its tables in `jobs`."""
    return {"options": "-c search_path=jobs"}


def lock_of(recording_id: str) -> str:
    """Return the name under which jobs of one recording wait for each other."""
    return f"recording/{recording_id}"


def lock_of_mail(mail_id: str) -> str:
    """Return the name under which jobs of one mail wait for each other."""
    return f"mail/{mail_id}"


def lock_of_export(export_id: str) -> str:
    """Return the name under which jobs of one export wait for each other."""
    return f"export/{export_id}"


def lock_of_import(import_id: str) -> str:
    """Return the name under which jobs of one import of people wait for each other."""
    return f"import/{import_id}"


_OF_TENANT = {EXPIRY_BATCH: "expiry"}
"""Jobs of which one of each tenant waits at a time, and the name under which it does."""


class HoldLocks(TypedDict):
    """What the jobs that follow the holds of a tenant wait for."""

    lock: str
    queueing_lock: str


def locks_of_holds(tenant_id: str) -> HoldLocks:
    """Return the names under which the holds of a tenant are followed by one worker at a time."""
    return HoldLocks(lock=f"holds/{tenant_id}", queueing_lock=f"holds/{tenant_id}")


_LOCKS = {
    "recording_id": lock_of,
    "mail_id": lock_of_mail,
    "export_id": lock_of_export,
    "import_id": lock_of_import,
}


def defer(database_url: str, task: str, **arguments: str) -> bool:
    """Hand a task over; return False when the same one waits already.

    `database_url` is that of the caller's role, `earwitness_portal` or `earwitness_worker`.
    A `recording_id`, `mail_id`, `export_id` or `import_id` among the arguments names what it is about.
    Raises CatalogueUnavailable; then nothing was handed over, or it was and the answer got lost.
    """
    connector = procrastinate.SyncPsycopgConnector()
    app = procrastinate.App(connector=connector)
    deferrer = app.configure_task(task)
    if task == STORE_HOLDS:
        deferrer = app.configure_task(task, **locks_of_holds(arguments["tenant_id"]))
    if task in _OF_TENANT:
        deferrer = app.configure_task(task, queueing_lock=f"{_OF_TENANT[task]}/{arguments['tenant_id']}")
    for name, lock in _LOCKS.items():
        if name in arguments:
            about = arguments[name]
            deferrer = app.configure_task(task, lock=lock(about), queueing_lock=f"{task}/{about}")
            break
    try:
        with _pool(database_url) as pool:
            pool.wait(CONNECT_TIMEOUT_S)
            connector.open(pool)
            deferrer.defer(**arguments)
    except AlreadyEnqueued:
        return False
    except (ConnectorException, psycopg.Error) as error:
        raise CatalogueUnavailable("PostgreSQL does not take the job; hand it over again.") from error
    return True


def assign(
    database_url: str, tenant_id: TenantId, recording_id: RecordingId, user_id: UserId, *, actor: str
) -> bool:
    """Have a recording in quarantine assigned to a person; raises as `defer`."""
    return defer(
        database_url,
        QUARANTINE_ASSIGN,
        tenant_id=tenant_id,
        recording_id=recording_id,
        user_id=user_id,
        actor=actor,
    )


def destroy(database_url: str, tenant_id: TenantId, recording_id: RecordingId, *, actor: str) -> bool:
    """Have a recording in quarantine destroyed; raises as `defer`."""
    return defer(
        database_url, QUARANTINE_DESTROY, tenant_id=tenant_id, recording_id=recording_id, actor=actor
    )


def _pool(database_url: str) -> psycopg_pool.ConnectionPool:
    """Return a pool of one connection: procrastinate takes nothing less."""
    return psycopg_pool.ConnectionPool(
        connection_string(database_url), kwargs=connection_arguments(), min_size=1, max_size=1, open=False
    )
