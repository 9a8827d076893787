"""What signalling must tell the catalogue, kept on disk until it was told.

An outcome of a session without a recording, and the daily count of exempt calls,
must reach the database even when it is away for a day or the recorder is killed.
Each outcome is a small file, sealed under the node key (it holds a Call-ID); a
count is a file per day that holds one number.

Rules: what is put here is durable when the call returns; what is retracted is
overwritten, not only unlinked. `waiting`, `delivered`, `take_exempt` and
`put_back_exempt` may run in a thread of their own.

Not here: outcomes of recordings, which travel with the recording (`archive.ingest`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections import deque
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from threading import Lock

import structlog

from archive.model import OutcomeKind, PeerId, RecordingId, SessionId, SessionOutcome, TenantId
from keys.durable_file import overwrite, sync_directory
from keys.errors import KeysError
from keys.local_seal import open_whole, seal_whole

_CONTEXT = b"earwitness outbox"
_DRAFT = ".draft-"

_log = structlog.get_logger()


class Outbox:
    """The waiting outcomes and counts of one recorder."""

    def __init__(self, directory: Path, node_key: bytes) -> None:
        self._directory = directory
        self._node_key = node_key
        self._counting = Lock()
        self._unsynced: deque[Path] = deque()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for draft in directory.glob(f"{_DRAFT}*"):
            _destroy(draft)
        # Sessions that ran when the recorder stopped and were not recorded end with it.
        for path in directory.glob("*.open"):
            outcome = path.with_suffix(".outcome")
            if outcome.exists():
                self._forget(path)
            else:
                path.rename(outcome)

    def put(self, outcome: SessionOutcome, *, final: bool = True) -> None:
        """Keep an outcome until `delivered`: it survives a kill at once, a power cut once `sync` ran.

        One that is not final waits until it is put again, retracted, or the recorder starts anew.
        """
        sealed = seal_whole(self._node_key, _to_json(outcome), _CONTEXT)
        begun = self._directory / f"{outcome.session_id}.open"
        if final:
            self._write(begun.with_suffix(".outcome"), sealed)
            self.retract(outcome.session_id)
            return
        before = self._draft_path()
        if begun.exists():
            # A second name keeps the old content within reach until the new one stands, to be overwritten.
            os.link(begun, before)
        self._write(begun, sealed)
        if before.exists():
            _destroy(before)

    def retract(self, session_id: str) -> None:
        """Destroy an outcome that was not final; nothing happens where there is none."""
        path = self._directory / f"{session_id}.open"
        if path.exists():
            self._forget(path)

    def waiting(self) -> Iterator[tuple[Path, SessionOutcome]]:
        """Yield each waiting outcome with the file it stands in."""
        for path in sorted(self._directory.glob("*.outcome")):
            try:
                outcome = _from_json(open_whole(self._node_key, path.read_bytes(), _CONTEXT))
            except (KeysError, ValueError, KeyError, TypeError) as error:
                # One damaged file must not keep all others from being told.
                aside = path.rename(path.with_suffix(".unreadable"))
                _log.error("an outcome can't be read and is set aside", file=aside.name, error=repr(error))
                continue
            yield path, outcome

    def delivered(self, path: Path) -> None:
        """Forget an outcome the catalogue has."""
        path.unlink(missing_ok=True)

    def count_exempt(self, day: date) -> None:
        """Add one to the count of the day; nothing else of the call is written."""
        self._add_exempt(day, 1)

    def take_exempt(self) -> Iterator[tuple[date, int]]:
        """Yield each waiting count and forget it; the caller puts back what it can't deliver."""
        for path in sorted(self._directory.glob("*.exempt")):
            with self._counting:
                count = int(path.read_text())
                path.unlink()
            yield date.fromisoformat(path.stem), count

    def put_back_exempt(self, day: date, count: int) -> None:
        """Add a count that could not be delivered to the one that waits."""
        self._add_exempt(day, count)

    def _add_exempt(self, day: date, count: int) -> None:
        path = self._directory / f"{day.isoformat()}.exempt"
        with self._counting:
            waiting = int(path.read_text()) if path.exists() else 0
            self._write(path, str(waiting + count).encode())

    def _forget(self, path: Path) -> None:
        """Destroy a file under the name of a draft, so that the next start ends what a crash interrupts."""
        _destroy(path.rename(self._draft_path()))

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file as a whole, so that a crash leaves the old or the new one."""
        draft = self._draft_path()
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            draft.rename(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        self._unsynced.append(path)

    def sync(self) -> None:
        """Make all that was written durable; may run in a thread: no answer waits for a disk."""
        if not self._unsynced:
            return
        while self._unsynced:
            try:
                descriptor = os.open(self._unsynced.popleft(), os.O_RDONLY)
            except FileNotFoundError:
                continue  # told, retracted or replaced since
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(self._directory)

    def _draft_path(self) -> Path:
        return self._directory / f"{_DRAFT}{secrets.token_hex(8)}"


def _destroy(path: Path) -> None:
    """Overwrite a file and remove it: it is sealed, but its key lives on, and of an exempt call nothing may.

    Content that another name still leads to stays.
    """
    if path.stat().st_nlink == 1:
        overwrite(path)
    path.unlink()


def _to_json(outcome: SessionOutcome) -> bytes:
    fields = dataclasses.asdict(outcome)
    fields["started_at"] = outcome.started_at.isoformat()
    fields["ended_at"] = outcome.ended_at.isoformat()
    return json.dumps(fields).encode()


def _from_json(document: bytes) -> SessionOutcome:
    fields = json.loads(document)
    peer, tenant = fields["peer_id"], fields["tenant_id"]
    return SessionOutcome(
        session_id=SessionId(fields["session_id"]),
        call_id=fields["call_id"],
        kind=OutcomeKind(fields["kind"]),
        reason=fields["reason"],
        started_at=datetime.fromisoformat(fields["started_at"]),
        ended_at=datetime.fromisoformat(fields["ended_at"]),
        peer_id=None if peer is None else PeerId(peer),
        tenant_id=None if tenant is None else TenantId(tenant),
        recording_ids=tuple(RecordingId(item) for item in fields["recording_ids"]),
        trace=tuple(fields["trace"]),
        transport=fields.get("transport", ""),
        site=fields.get("site"),
        octets=tuple(fields.get("octets", ())),
        exchange_ids=tuple(fields.get("exchange_ids", ())),
    )
