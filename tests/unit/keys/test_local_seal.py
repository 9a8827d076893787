"""Small local files are sealed whole, and open only as what they are."""

from __future__ import annotations

import pytest

from keys import local_seal
from keys.errors import SealBroken

KEY = bytes(range(32))


def test_what_was_sealed_opens_again() -> None:
    """The empty file too."""
    for content in (b"", b"an outcome", bytes(100_000)):
        sealed = local_seal.seal_whole(KEY, content, b"outbox")
        assert content not in sealed or not content
        assert local_seal.open_whole(KEY, sealed, b"outbox") == content


@pytest.mark.parametrize(
    ("key", "context", "change"),
    [(bytes(32), b"outbox", 0), (KEY, b"directory", 0), (KEY, b"outbox", 20), (KEY, b"outbox", -1)],
)
def test_another_key_purpose_or_octet_opens_nothing(key: bytes, context: bytes, change: int) -> None:
    """Whoever swaps a file for another gets an error, not its content."""
    sealed = bytearray(local_seal.seal_whole(KEY, b"an outcome of a session", b"outbox"))
    if change:
        sealed[change] ^= 1
    with pytest.raises(SealBroken):
        local_seal.open_whole(key, bytes(sealed), context)


def test_content_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself still passes."""
    monkeypatch.setattr(local_seal, "CONTENT_BYTES_MAX", 100)
    assert local_seal.seal_whole(KEY, bytes(100), b"c")
    with pytest.raises(ValueError, match="sealed piece"):
        local_seal.seal_whole(KEY, bytes(101), b"c")


def test_a_foreign_file_is_named_as_such() -> None:
    """Neither an empty file nor one of another version is decrypted."""
    for sealed in (b"", b"\x02" + bytes(60)):
        with pytest.raises(SealBroken, match="known version"):
            local_seal.open_whole(KEY, sealed, b"c")
