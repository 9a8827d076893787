"""What signalling must tell the catalogue, kept on disk until it was told.

An outcome of a session without a recording, and the daily count of exempt calls,
must reach the database even when it is away for a day or the recorder is killed.
Each outcome is a small file, sealed under the node key (it holds a Call-ID); a
count is a file per day that holds one number.

Not here: outcomes of recordings, which travel with the recording (`archive.ingest`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from archive.model import OutcomeKind, PeerId, RecordingId, SessionId, SessionOutcome, TenantId
from keys.local_seal import open_whole, seal_whole

_CONTEXT = b"earwitness outbox"


class Outbox:
    """The waiting outcomes and counts of one recorder."""

    def __init__(self, directory: Path, node_key: bytes) -> None:
        self._directory = directory
        self._node_key = node_key
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Sessions that ran when the recorder stopped and were not recorded end with it.
        for path in directory.glob("*.open"):
            path.rename(path.with_suffix(".outcome"))

    def put(self, outcome: SessionOutcome, *, final: bool = True) -> None:
        """Keep an outcome until `delivered`; durable when this returns.

        One that is not final waits until it is put again, retracted, or the recorder starts anew.
        """
        sealed = seal_whole(self._node_key, _to_json(outcome), _CONTEXT)
        suffix = "outcome" if final else "open"
        self._write(self._directory / f"{outcome.session_id}.{suffix}", sealed)
        if final:
            self.retract(outcome.session_id)

    def retract(self, session_id: str) -> None:
        """Destroy an outcome that was not final; nothing happens where there is none."""
        path = self._directory / f"{session_id}.open"
        if path.exists():
            # The file is sealed, but its key lives on: of an exempt call not even that may stay.
            with path.open("r+b", buffering=0) as file:
                file.write(bytes(path.stat().st_size))
                os.fdatasync(file.fileno())
            path.unlink()

    def waiting(self) -> Iterator[tuple[Path, SessionOutcome]]:
        """Yield each waiting outcome with the file it stands in."""
        for path in sorted(self._directory.glob("*.outcome")):
            yield path, _from_json(open_whole(self._node_key, path.read_bytes(), _CONTEXT))

    def delivered(self, path: Path) -> None:
        """Forget an outcome the catalogue has."""
        path.unlink(missing_ok=True)

    def count_exempt(self, day: date) -> None:
        """Add one to the count of the day; nothing else of the call is written."""
        path = self._directory / f"{day.isoformat()}.exempt"
        count = int(path.read_text()) if path.exists() else 0
        self._write(path, str(count + 1).encode())

    def take_exempt(self) -> list[tuple[date, int]]:
        """Return the waiting counts and forget them; the caller puts back what it can't deliver."""
        taken = []
        for path in sorted(self._directory.glob("*.exempt")):
            taken.append((date.fromisoformat(path.stem), int(path.read_text())))
            path.unlink()
        return taken

    def put_back_exempt(self, day: date, count: int) -> None:
        """Add a count that could not be delivered to the one that waits."""
        for _ in range(count):
            self.count_exempt(day)

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file as a whole, so that a crash leaves the old or the new one."""
        scratch = self._directory / f".{secrets.token_hex(8)}"
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, content)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        scratch.rename(path)


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
    )
