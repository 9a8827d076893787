"""The intent of an ingest: what a rerun needs to go on where the last one stopped.

Before the first object is put, the wrapped data key and the planned object keys
are on disk, synchronised. A rerun after a crash finds them, opens what is in the
store already and does the rest. The intent goes after the catalogue has the row.

With them stands how the recording was dated where the clock of its call was wrong: a rerun by another
clock has to give the same objects.

No plaintext, no number, no name ever stands here. A torn or foreign file can't
occur under an intent's name: it gets its name whole and synchronised.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from archive.errors import DependencyUnavailable
from archive.model import RecordingId, TenantId
from keys import durable_file

INTENT_VERSION = 1


class IntentUnavailable(DependencyUnavailable):
    """The directory of intents can't be written or read; nothing was uploaded."""


@dataclass(frozen=True)
class Dating:
    """What is changed of the dates of a call: it is `moved_s` later, and its term counts from `term_from`.

    None counts it from the call's end.
    """

    moved_s: int = 0
    term_from: datetime | None = None


AS_TOLD = Dating()


@dataclass(frozen=True)
class Intent:
    """The recording that is being archived, its wrapped data key and its planned object keys."""

    tenant_id: TenantId
    recording_id: RecordingId
    kek_id: str
    wrapped_key: bytes
    object_keys: tuple[str, ...]
    keys_lost: int = 0
    """Data keys it had before, whose KEKs were destroyed: what was put under them opens with nothing."""
    dating: Dating = AS_TOLD

    def to_json(self) -> bytes:
        """Return the intent as JSON."""
        return json.dumps(
            {
                "version": INTENT_VERSION,
                "tenantId": self.tenant_id,
                "recordingId": self.recording_id,
                "kekId": self.kek_id,
                "wrappedKey": base64.b64encode(self.wrapped_key).decode(),
                "objectKeys": self.object_keys,
                "keysLost": self.keys_lost,
                "movedS": self.dating.moved_s,
                "termFrom": self.dating.term_from and self.dating.term_from.isoformat(),
            }
        ).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Intent:
        """Read what `to_json` wrote; raises `IntentUnavailable` for another version or shape."""
        try:
            fields = json.loads(document)
            if fields["version"] != INTENT_VERSION:
                raise IntentUnavailable(
                    "The intent of an ingest was written by another version of earwitness."
                )
            return cls(
                TenantId(fields["tenantId"]),
                RecordingId(fields["recordingId"]),
                fields["kekId"],
                base64.b64decode(fields["wrappedKey"], validate=True),
                tuple(fields["objectKeys"]),
                int(fields.get("keysLost", 0)),
                _dating(int(fields.get("movedS", 0)), fields.get("termFrom")),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise IntentUnavailable("The intent of an ingest can't be read; move the file away.") from error


def _dating(moved_s: int, term_from: str | None) -> Dating:
    return Dating(moved_s, None if term_from is None else datetime.fromisoformat(term_from))


class IntentDirectory:
    """One file per recording that is being archived. Safe among processes of one machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, recording_id: RecordingId) -> Intent | None:
        """Return the intent of a recording, or None; raises `IntentUnavailable`."""
        try:
            return Intent.from_json(self._path(recording_id).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise IntentUnavailable(f"The directory of intents can't be read: {error.strerror}.") from error

    def record(self, intent: Intent) -> Intent:
        """Make the intent durable and return it, or the one another process recorded first."""
        with _writing():
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                durable_file.create(self._path(intent.recording_id), intent.to_json())
            except FileExistsError:
                return self.find(intent.recording_id) or intent
        return intent

    def renew(self, intent: Intent) -> None:
        """Put an intent with a new data key in the place of one whose KEK was destroyed, durably."""
        with _writing():
            durable_file.replace(self._path(intent.recording_id), intent.to_json())

    def rewrap(self, recording_id: RecordingId, kek_id: str, wrapped_key: bytes) -> None:
        """Let the intent of a recording name its data key as it is wrapped now, durably."""
        known = self.find(recording_id)
        if known is not None:
            changed = replace(known, kek_id=kek_id, wrapped_key=wrapped_key)
            with _writing():
                durable_file.replace(self._path(recording_id), changed.to_json())

    def remove(self, recording_id: RecordingId) -> None:
        """Forget the intent of a recording that is archived, or whose key is gone."""
        with _writing():
            if self._path(recording_id).exists():
                self._path(recording_id).unlink(missing_ok=True)
                durable_file.sync_directory(self._directory)

    def _path(self, recording_id: RecordingId) -> Path:
        return self._directory / f"{recording_id}.intent"


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise IntentUnavailable(f"The directory of intents can't be written: {error.strerror}.") from error
