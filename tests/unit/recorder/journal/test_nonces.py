"""No key ever seals twice under one nonce, however often a recorder is killed and starts again (C4)."""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.ciphers import aead

from archive.data_key import rewrap_data_key
from archive.model import RecordingId, TenantId
from keys import envelope, local_seal, streaming_aead
from keys.kek import Kek
from keys.local_keyring import LocalKeyring
from recorder.journal import aside, segment, set_aside, slots
from recorder.journal.slots import SlotsFile
from recorder.journal.writer import JournalWriter
from tests.unit.recorder.journal.written_call import STARTED_NS, Call, StillClock

CYCLES = 1000
"""Crashes with starts after them."""

SEALERS = (envelope, local_seal, streaming_aead, aside, segment, set_aside, slots)
"""Every module of the recorder's and the archive's path that names the cipher."""


class Watched:
    """AES-256-GCM that remembers under which key and nonce it sealed."""

    seen: ClassVar[Counter[tuple[bytes, bytes]]] = Counter()

    def __init__(self, key: bytes) -> None:
        self._key = bytes(key)
        self._cipher = aead.AESGCM(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        self.seen[self._key, bytes(nonce)] += 1
        return self._cipher.encrypt(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        return self._cipher.decrypt(nonce, data, associated_data)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> type[Watched]:
    Watched.seen = Counter()
    for module in SEALERS:
        monkeypatch.setattr(module, "AESGCM", Watched)
    return Watched


def test_every_module_that_seals_is_watched() -> None:
    root = Path(__file__).parents[4]
    found = {
        path
        for package in ("keys", "recorder", "archive", "retention", "playback_portal")
        for path in (root / package).rglob("*.py")
        if "AESGCM(" in path.read_text() and ".encrypt" in path.read_text()
    }
    assert found <= {Path(str(module.__file__)) for module in SEALERS}


def crash(writer: JournalWriter, slots_file: SlotsFile) -> None:
    """Leave everything as a killed process does: nothing written any more, the locks given up."""
    os.close(writer._lock)
    for file in (*writer._closing, writer._file):
        file.close()
    slots_file.close()


def test_c4_a_thousand_crashes_repeat_no_nonce_under_any_key(tmp_path: Path, watched: type[Watched]) -> None:
    """C4: calls that go on over the crashes keep their keys; what they seal with is new each time."""
    dice = random.Random(20261122)
    clock, node_key = StillClock(), bytes(range(32))
    going = {secrets.token_bytes(16): secrets.token_bytes(32) for _ in range(2)}
    kek, root = Kek("tenant/2027-02-20/1", secrets.token_bytes(32)), LocalKeyring(secrets.token_bytes(32))
    data_key = secrets.token_bytes(32)
    for _ in range(CYCLES):
        slots_file = SlotsFile(tmp_path / "slots", node_key)
        slots_file.open()
        writer = JournalWriter(tmp_path / "capture-0", wall_ns=clock.wall_ns, monotonic=clock.monotonic)
        writer.open()
        if dice.random() < 0.1:
            ended = dice.choice(sorted(going))
            del going[ended]
            slots_file.erase(ended)
            going[secrets.token_bytes(16)] = secrets.token_bytes(32)
        for uid, call_key in going.items():
            if uid not in slots_file._slot_of:
                slots_file.allocate(uid, call_key, STARTED_NS)
            elif dice.random() < 0.1:
                slots_file.rekey(uid, call_key)
            call = Call(writer, uid, call_key)
            for _ in range(dice.randint(0, 3)):
                call.frame(1, commit=dice.random() < 0.7, size=20)
        slots_file.sync()
        # What is finalised again after each crash: the same recording, under the same keys.
        streaming_aead.seal(data_key, b"tenant and recording", b"a short object")
        rewrap_data_key(kek, TenantId("tenant"), RecordingId("recording"), data_key)
        root.wrap(kek.key, b"context")
        local_seal.seal_whole(node_key, b"the directory", b"outbox")
        crash(writer, slots_file)
    assert sum(watched.seen.values()) > 6 * CYCLES
    assert [pair for pair, times in watched.seen.items() if times > 1] == []
