"""Where the recorder has its directory from: the database, or what it last said.

Rules: a call never waits for the database. The snapshot is loaded at the start, when
the database says that something changed, and once a minute; it is kept on disk,
sealed by the node key, so that a recorder can start while the database is away.

Not here: what is in a directory (`archive.catalogue.snapshot`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from threading import Lock

import structlog

from archive.catalogue.directory import load_directory
from archive.catalogue.engine import Catalogue
from archive.catalogue.snapshot import Directory
from archive.model import Peer, PeerId
from keys.errors import KeysError
from keys.local_seal import open_whole, seal_whole

_CONTEXT = b"earwitness directory"
_log = structlog.get_logger()

LOOPBACK = ("127.0.0.0/8", "::1/128")


class DirectorySource:
    """The newest directory this recorder knows."""

    def __init__(self, catalogue: Catalogue, path: Path, node_key: bytes, *, trust_loopback: bool) -> None:
        self._catalogue = catalogue
        self._path = path
        self._node_key = node_key
        self._trust_loopback = trust_loopback
        self._loading = Lock()

    def load(self) -> Directory:
        """Load from the database and keep a copy, in any thread; raises CatalogueUnavailable."""
        with self._loading:
            directory = load_directory(self._catalogue)
            try:
                self._remember(directory)
            except OSError as error:
                # What the database said counts now, copy or not; the disk's trouble is told elsewhere too.
                _log.warning("the directory can't be remembered", reason=error.strerror)
        return self._trusting(directory)

    def _remember(self, directory: Directory) -> None:
        scratch = self._path.with_suffix(".new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(seal_whole(self._node_key, directory.to_json(), _CONTEXT))
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(self._path)

    def remembered(self) -> Directory | None:
        """Return the kept copy; None when there is none that can be read."""
        try:
            document = open_whole(self._node_key, self._path.read_bytes(), _CONTEXT)
            return self._trusting(Directory.from_json(document))
        except (OSError, ValueError, KeysError):
            return None

    def _trusting(self, directory: Directory) -> Directory:
        """Let a machine's own loopback be a peer where `up` runs and none is defined."""
        if directory.peers or not self._trust_loopback:
            return directory
        only = directory.tenants[0].id if len(directory.tenants) == 1 else None
        peer = Peer(
            PeerId("00000000-0000-7000-8000-000000000000"), "loopback", LOOPBACK, only, star_codes=True
        )
        return replace(directory, peers=(peer,))
