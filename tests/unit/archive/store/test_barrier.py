"""The barrier synchronises a file system, or says that it could not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archive.errors import StoreUnavailable
from archive.store import barrier
from archive.store.barrier import sync_filesystem
from archive.store.s3 import ObjectStore


def test_a_directory_is_synchronised(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    before = set(os.listdir("/proc/self/fd"))
    sync_filesystem(tmp_path)
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_directory_is_a_store_that_is_away(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreUnavailable):
        sync_filesystem(tmp_path / name)


def test_a_disk_error_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def syncfs(self, descriptor: int) -> int:
            return -1

    monkeypatch.setattr(barrier, "_libc", Failing())
    with pytest.raises(StoreUnavailable, match="could not be synchronised"):
        sync_filesystem(tmp_path)


def test_the_store_s_barrier_uses_its_directory(tmp_path: Path) -> None:
    for directory, fails in ((None, False), (tmp_path, False), (tmp_path / "missing", True)):
        store = ObjectStore("http://127.0.0.1:9", "bucket", "a", "b", sync_dir=directory)
        if fails:
            with pytest.raises(StoreUnavailable):
                store.barrier()
        else:
            store.barrier()
        store.close()
