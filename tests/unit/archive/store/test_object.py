"""Small rules of stored objects, and the limit of one put."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from archive.store import memory, s3
from archive.store.memory import MemoryStore
from archive.store.object import ObjectTooLarge, sha256_hex, whole_second
from archive.store.s3 import ObjectStore

EXACT = datetime(2027, 2, 20, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "second"),
    [
        (EXACT, EXACT),
        (EXACT + timedelta(microseconds=1), EXACT + timedelta(seconds=1)),
        (EXACT + timedelta(microseconds=999_999), EXACT + timedelta(seconds=1)),
        (
            datetime(2027, 2, 20, 11, 0, 0, 1, tzinfo=timezone(timedelta(hours=1))),
            EXACT + timedelta(seconds=1),
        ),
    ],
)
def test_a_lock_is_never_shorter_than_the_promise(moment: datetime, second: datetime) -> None:
    assert whole_second(moment) == second


def test_an_object_beyond_one_put_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "OBJECT_BYTES_MAX", 4)
    monkeypatch.setattr(s3, "OBJECT_BYTES_MAX", 4)
    store = MemoryStore()
    store.put("fits", b"1234", None, sha256=sha256_hex(b"1234"))
    with pytest.raises(ObjectTooLarge):
        store.put("large", b"12345", None, sha256=sha256_hex(b"12345"))
    dead = ObjectStore("http://127.0.0.1:9", "bucket", "a", "b")
    with pytest.raises(ObjectTooLarge):
        dead.put("large", b"12345", None, sha256=sha256_hex(b"12345"))
    dead.close()
