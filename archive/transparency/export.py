"""Writing a log into a directory, as `archive.transparency.folder` reads it: from bucket and database.

Leaves, checkpoints, time stamps and keys are copied from the bucket as they are; the
entries come from the database, a file for each segment. Bodies go along only when asked
for: they are personal, and nothing needs them to check the log.

Rules: of a name in the bucket the oldest version is copied. What is there already is
written again. Not here: whether any of it is right (`archive.transparency.verification`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from archive.audit_chain import AuditEntry, canonical_json, hashed_form
from archive.catalogue import audit_tree
from archive.catalogue.engine import Catalogue
from archive.errors import VerificationFailed
from archive.store.object import Store
from archive.transparency.leaves import NAME, ROOT_PREFIX, Leaf

Entries = Callable[[list[Leaf]], list[AuditEntry]]
"""Gives the entries of leaves, in their order; one that is gone is left out."""


def export(catalogue: Catalogue, store: Store, directory: Path, entries_of: Entries | None) -> int:
    """Write all logs below `directory`; return the number of files.

    `entries_of` gives entries, with their bodies where they are to go along; without it there are none.
    Raises VerificationFailed for a name in the bucket that is none of the log's, OSError.
    """
    written: set[str] = set()
    # Listed newest version first: what is written last is the oldest.
    for version in store.versions(ROOT_PREFIX):
        if version.is_delete_marker:
            continue
        if NAME.fullmatch(version.key) is None:
            raise VerificationFailed(f"{version.key} in the bucket is no object of an audit log.")
        _write(directory / version.key.removeprefix(ROOT_PREFIX), store.get(version.key, version.version_id))
        written.add(version.key)
    if entries_of is not None:
        for log in audit_tree.logs(catalogue):
            for row in audit_tree.checkpoints(catalogue, log.number):
                with catalogue.transaction() as connection:
                    leaves = audit_tree.leaves(connection, row.log, row.first, row.size)
                name = f"{row.log}/entries/{row.first:012}-{row.size:012}"
                if f"{ROOT_PREFIX}{row.log}/leaves/{row.first:012}-{row.size:012}" in written:
                    _write(directory / name, b"".join(map(entry_line, entries_of(leaves))))
                    written.add(name)
    return len(written)


def entry_line(entry: AuditEntry) -> bytes:
    """Return an entry as a line of an entries file."""
    erased = entry.salt is None or entry.body is None
    body = b"" if erased else canonical_json(entry.body)
    return b"\t".join((hashed_form(entry), (entry.salt or "").encode() if body else b"", body)) + b"\n"


def _write(path: Path, data: bytes) -> None:
    """Write a file for its owner alone: bodies are personal, and what entries are about too."""
    missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
