"""Appends entries to one chain until it is killed, and tells each one that is durable: for the test of A3.

python appender.py DATABASE_URL WRITER TENANT
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from archive.audit import AuditWriter
from archive.catalogue.engine import Catalogue
from archive.model import TenantId


def main() -> None:
    url, name, tenant_id = sys.argv[1], sys.argv[2], TenantId(sys.argv[3])
    writer, number = AuditWriter(Catalogue(url, connections_max=1), name), 0
    while True:
        number += 1
        with writer.transaction(tenant_id) as connection:
            entry = writer.append(
                connection,
                tenant_id=tenant_id,
                actor="user:anna",
                action="recording.played",
                object=f"recording:{number}",
                at=datetime.now(UTC),
            )
        print(f"{entry.sequence} {entry.hash}", flush=True)


if __name__ == "__main__":
    main()
