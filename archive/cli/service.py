"""How a verb finds the service: `--data DIR`, EARWITNESS_DATA, or settings in the environment.

Not here: starting it (`archive.cli.up`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.clock import SystemClock
from archive.embedded.service_file import ServiceFile, read_service
from archive.model import TenantId
from archive.settings import Settings, load_settings

DATA_VARIABLE = "EARWITNESS_DATA"


def add_data(to: argparse.ArgumentParser) -> None:
    """Add `--data`, whose default is EARWITNESS_DATA."""
    default = os.environ.get(DATA_VARIABLE)
    to.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=Path(default) if default else None,
        help=f"data directory of a running `earwitness up` (default: {DATA_VARIABLE})",
    )
    to.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML, instead of --data")


def service_of(options: argparse.Namespace) -> ServiceFile | None:
    """Return what `up` wrote down, or None when no data directory was named."""
    return None if options.data is None else read_service(options.data)


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings with which a command acts as operator; raises Refused."""
    service = service_of(options)
    if service is not None:
        environment = service.operator_environment(os.environ)
        os.environ.clear()
        os.environ.update(environment)
    return load_settings(options.config)


class Operator:
    """The operator at work: the catalogue, and an entry in the audit log for each change."""

    def __init__(self, settings: Settings) -> None:
        settings.require("database_url")
        self.catalogue = Catalogue(settings.database_url, timeout_s=settings.database_timeout_s)
        self.clock = SystemClock()
        self._audit = AuditWriter(self.catalogue, f"operator/{settings.node_name}")

    def record(self, action: str, thing: str, tenant_id: TenantId | None = None) -> None:
        """Write down what the operator changed; `thing` is an id, never a name or number."""
        with self._audit.transaction(tenant_id) as connection:
            self._audit.append(
                connection,
                tenant_id=tenant_id,
                actor=f"operator:{os.getuid()}",
                action=action,
                object=thing,
                at=self.clock.now(),
            )


@contextmanager
def operator(options: argparse.Namespace) -> Iterator[Operator]:
    """Open the catalogue as operator for the time of the block; raises ArchiveError."""
    acting = Operator(settings_of(options))
    try:
        yield acting
    finally:
        acting.catalogue.close()
