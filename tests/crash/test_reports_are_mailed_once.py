"""Reports by mail while two workers run and are killed: each period comes once, read back from a mail server."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg

from archive.catalogue import accounts, directory, identities, report_subscriptions
from archive.catalogue.identities import Account
from archive.catalogue.report_subscriptions import Wanted
from archive.embedded.role import merged
from archive.embedded.service_file import read_service
from archive.jobs import connection_string
from archive.model import Role, TenantId, UserId
from archive.reports.period import Frequency
from archive.reports.report import Name
from tests.behaviour.customer import operating
from tests.browser import letterbox
from tests.browser.letterbox import Letterbox
from tests.running_service import RunningService, eventually

ADDRESS = "boss@acme.nl"
WANTED = (Name.USAGE, Name.STORAGE, Name.DESTRUCTION)
SENT_S_MAX = 180.0
"""A job that died with its worker is taken up again after a minute or so."""


@contextmanager
def second_worker(service: RunningService) -> Iterator[psutil.Process]:
    """Run another worker on the same database, as a second machine would; killed when it is left."""
    settings = read_service(service.directory).environment_of("worker")
    environment = {**merged(service.environment, settings), "EARWITNESS_NODE_NAME": "second"}
    with (service.directory.parent / "second.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "archive.cli.main", "worker"],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=service.directory,
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait(10)


def subscribe(service: RunningService, tenant_id: TenantId, user_id: UserId, name: Name) -> str:
    """Have somebody want a report of each day, four days ago: some days are due at once."""
    with operating(service, "portal") as catalogue:
        scope = accounts.scope_of_user(catalogue, tenant_id, user_id)
        with catalogue.transaction(tenant_id) as connection:
            began = datetime.now(UTC) - timedelta(days=4)
            wanted = Wanted(name, Frequency.DAILY, hour=0, form="csv")
            return report_subscriptions.set_one(connection, scope, wanted, now=began).id


def read(service: RunningService, tenant_id: TenantId, statement: str) -> list[Any]:
    """Return rows, as the worker's role of the database sees them."""
    url = connection_string(read_service(service.directory).database_urls["worker"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (tenant_id,))
        return connection.execute(statement.encode()).fetchall()


def forget_the_clock(service: RunningService) -> None:
    """Let workers that start look at once, though this quarter of an hour was looked at already."""
    url = connection_string(read_service(service.directory).database_urls["worker"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM jobs.procrastinate_periodic_defers WHERE task_name = 'retention.reports_due'"
        )


def periods_mailed(box: Letterbox) -> dict[str, set[str]]:
    """Return the Message-IDs of the mails of each period, by what their file is called."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in list(box.messages):
        for attachment in message.iter_attachments():
            found[str(attachment.get_filename())].add(str(message["Message-ID"]))
    return found


def test_each_period_is_mailed_once_by_two_workers_that_are_killed(tmp_path: Path) -> None:
    """Each round both start to look at the same time, and one is killed at once, the other in the midst of it."""
    with letterbox.opened() as box:
        mail = {"smtp_url": f"smtp://127.0.0.1:{box.port}", "smtp_from": "reports@acme.nl"}
        service = RunningService(tmp_path / "data", **mail)
        try:
            service.start()
            now = datetime.now(UTC)
            with operating(service) as catalogue:
                tenant = directory.add_tenant(catalogue, "Acme", "acme.nl", now=now - timedelta(days=9))
                boss = directory.add_user(
                    catalogue, tenant.id, "boss", now=now - timedelta(days=9), role=Role.ADMINISTRATOR
                )
            account = Account(tenant.id, boss.id)
            with (
                operating(service, "portal") as catalogue,
                catalogue.transaction(tenant.id) as connection,
            ):
                identities.set_email(connection, account, ADDRESS)
                identities.prove_email(connection, account, now=now)
            for name in WANTED:
                _round(service, box, tenant.id, boss.id, name)
            eventually(
                lambda: _is_all_mailed(service, box, tenant.id), "every claimed period is mailed", SENT_S_MAX
            )
            mailed = periods_mailed(box)
            assert {len(ids) for ids in mailed.values()} == {1}, mailed
            assert {str(each["To"]) for each in box.messages} == {ADDRESS}
            service.stop()
        finally:
            service.kill_everything()


def _is_all_mailed(service: RunningService, box: Letterbox, tenant_id: TenantId) -> bool:
    """Tell whether each claimed period was mailed; a day may be claimed after a round has seen the three before."""
    claimed = read(service, tenant_id, "SELECT subscription_id, first_day FROM report_sendings")
    return len(periods_mailed(box)) == len(claimed) >= 3 * len(WANTED)


def _round(service: RunningService, box: Letterbox, tenant_id: TenantId, user_id: UserId, name: Name) -> None:
    """Let two workers find a new subscription, and kill them meanwhile; return when all of it was mailed."""
    subscription_id = subscribe(service, tenant_id, user_id, name)
    forget_the_clock(service)
    service.role("worker").kill()
    with second_worker(service) as second:
        eventually(
            lambda: read(
                service,
                tenant_id,
                f"SELECT 1 FROM report_sendings WHERE subscription_id = '{subscription_id}'",
            ),
            "a period is claimed",
            SENT_S_MAX,
        )
        second.kill()
    forget_the_clock(service)
    with suppress(StopIteration):
        service.role("worker").kill()

    def all_sent() -> bool:
        claimed = read(
            service,
            tenant_id,
            f"SELECT first_day FROM report_sendings WHERE subscription_id = '{subscription_id}'",
        )
        sent = {each for each in periods_mailed(box) if each.startswith(f"{name}-")}
        return len(claimed) >= 3 and len(sent) == len(claimed)

    eventually(all_sent, f"every period of {name} is mailed", SENT_S_MAX)
