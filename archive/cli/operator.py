"""The operator at a command: the catalogue under the operator's database role, and the audit log.

Apart from `archive.cli.service`, so that commands which only speak HTTP load no SQL.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from archive.audit import AuditWriter
from archive.audit_chain import Json
from archive.catalogue.engine import Catalogue, Connection
from archive.cli.outcome import add_json
from archive.cli.service import add_data, settings_of
from archive.clock import SystemClock
from archive.model import TenantId
from archive.settings import Settings


class Operator:
    """The operator at work: the catalogue, and an entry in the audit log for each change."""

    def __init__(self, settings: Settings) -> None:
        settings.require("database_url")
        self.settings = settings
        self.catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
        self.clock = SystemClock()
        self.audit = AuditWriter(self.catalogue, f"operator/{settings.node_name}")
        self.actor = f"operator:{os.getuid()}"

    def record(
        self,
        action: str,
        thing: str,
        tenant_id: TenantId | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> None:
        """Write down what the operator changed; `thing` is an id, never a name or number."""
        with self.audit.transaction(tenant_id) as connection:
            self.record_within(connection, action, thing, tenant_id, body, at=self.clock.now())

    def record_within(
        self,
        connection: Connection,
        action: str,
        thing: str,
        tenant_id: TenantId | None,
        body: Mapping[str, Json] | None = None,
        *,
        at: datetime,
    ) -> None:
        """Do as `record` in the caller's transaction, which is one of `audit.transaction`."""
        self.audit.append(
            connection,
            tenant_id=tenant_id,
            actor=self.actor,
            action=action,
            object=thing,
            body=body,
            at=at,
        )


@contextmanager
def operator(options: argparse.Namespace) -> Iterator[Operator]:
    """Open the catalogue as operator for the time of the block; raises ArchiveError."""
    acting = Operator(settings_of(options))
    try:
        yield acting
    finally:
        acting.catalogue.close()


def add_customer(*actions: argparse.ArgumentParser) -> None:
    """Add the options of an action on one customer: which one, in which service, and how to print."""
    for each in actions:
        each.add_argument("--tenant", required=True, metavar="DOMAIN", help="the customer")
        add_data(each)
        add_json(each)
