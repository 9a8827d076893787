"""Checkpoints as signed notes: what one says, who signed it, and that nothing else passes for it."""

from __future__ import annotations

import base64
import dataclasses
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archive.errors import VerificationFailed
from archive.transparency.checkpoint import (
    NO_PREVIOUS,
    NOTE_BYTES_MAX,
    Checkpoint,
    PublicKey,
    note_hash,
    open_note,
    public_key,
    sign,
)
from archive.transparency.tree import leaf_hash
from keys.signing_key import SigningKey

NAME = "earwitness/archive/1"
KEY = SigningKey(bytes(range(32)))
PUBLIC = PublicKey(NAME, KEY.public)
KEYS = {PUBLIC.id: PUBLIC}
AT = datetime(2026, 11, 22, 10, 0, 0, 5, tzinfo=UTC)
CHECKPOINT = Checkpoint(NAME, 1000, leaf_hash(b"root"), AT, NO_PREVIOUS)


def test_a_note_opens_to_the_checkpoint_that_was_signed() -> None:
    note = sign(CHECKPOINT, NAME, KEY)
    assert open_note(note, KEYS) == CHECKPOINT
    assert sign(CHECKPOINT, NAME, KEY) == note


def test_a_note_reads_as_the_standard_says() -> None:
    """Three lines of C2SP tlog-checkpoint, our two, an empty one, and the signature over what is above it."""
    note = sign(CHECKPOINT, NAME, KEY)
    text, _, signature = note.partition(b"\n\n")
    lines = text.decode().split("\n")
    assert lines[:2] == [NAME, "1000"]
    assert base64.b64decode(lines[2]) == leaf_hash(b"root")
    assert lines[3] == "time 2026-11-22T10:00:00.000005Z"
    assert lines[4] == "previous " + base64.b64encode(NO_PREVIOUS).decode()
    dash, name, encoded = signature.decode().rstrip("\n").split(" ")
    assert (dash, name) == ("—", NAME)
    octets = base64.b64decode(encoded)
    assert octets[:4] == PUBLIC.id
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(octets[4:], text + b"\n")


def test_any_octet_changed_cut_or_added_is_noticed() -> None:
    note = sign(CHECKPOINT, NAME, KEY)
    changed = [note[:n] + bytes([note[n] ^ 1]) + note[n + 1 :] for n in range(len(note))]
    cut = [note[:n] for n in range(len(note))]
    for forged in [*changed, *cut, note + b"\n", b"\n" + note, note + note, b"x" * (NOTE_BYTES_MAX + 1)]:
        with pytest.raises(VerificationFailed):
            open_note(forged, KEYS)


def test_only_a_known_key_under_its_name_counts() -> None:
    other = SigningKey(bytes(32))
    with pytest.raises(VerificationFailed, match="no known key"):
        open_note(sign(CHECKPOINT, NAME, other), KEYS)
    stranger = PublicKey("other/log", KEY.public)
    with pytest.raises(VerificationFailed, match="no known key"):
        open_note(sign(CHECKPOINT, "other/log", KEY), {PUBLIC.id: PUBLIC, b"xxxx": stranger})


def test_what_was_signed_in_another_spelling_is_no_checkpoint() -> None:
    """Our own key would never write it; so nobody may say one thing in two ways."""
    for old, new in ((b"1000\n", b"01000\n"), (b"time ", b"TIME "), (b"000005Z", b"000005+00:00")):
        text = CHECKPOINT.text().replace(old, new)
        signature = base64.b64encode(PUBLIC.id + KEY.sign(text)).decode()
        with pytest.raises(VerificationFailed, match="not those of a checkpoint"):
            open_note(text + f"\n— {NAME} {signature}\n".encode(), KEYS)


def test_names_that_would_break_a_line_are_refused() -> None:
    for name in ("", "two words", "a+b", "line\n", "x" * 201):
        with pytest.raises(ValueError, match="no space"):
            sign(CHECKPOINT, name, KEY)
        with pytest.raises(ValueError, match="no space"):
            sign(dataclasses.replace(CHECKPOINT, origin=name), NAME, KEY)


def test_a_public_key_is_one_line_and_read_back() -> None:
    assert public_key(PUBLIC.line()) == PUBLIC
    assert public_key(PUBLIC.line() + "\n") == PUBLIC
    for line in ("", NAME, PUBLIC.line()[:-1], PUBLIC.line().replace("+", " "), "x" + PUBLIC.line()):
        with pytest.raises(VerificationFailed):
            public_key(line)


def test_each_note_has_a_hash_of_its_own() -> None:
    later = dataclasses.replace(CHECKPOINT, size=1001, previous=note_hash(sign(CHECKPOINT, NAME, KEY)))
    assert note_hash(sign(later, NAME, KEY)) != later.previous
