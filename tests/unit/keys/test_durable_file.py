"""Files of keys are whole, private, never replaced, and gone when overwritten."""

import os
from pathlib import Path

import pytest

from keys import durable_file


def test_a_created_file_is_private_and_complete(tmp_path: Path) -> None:
    durable_file.create(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_creating_never_replaces_and_leaves_no_draft(tmp_path: Path) -> None:
    durable_file.create(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        durable_file.create(tmp_path / "file", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"first"


def test_content_and_name_are_synced_before_create_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        names = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
        synced.append(f"{'directory' if os.path.isdir(f'/proc/self/fd/{descriptor}') else 'file'} {names}")

    monkeypatch.setattr(os, "fsync", fsync)
    durable_file.create(tmp_path / "key", b"content")
    assert synced == ["file []", "directory ['key']"]


def test_overwriting_replaces_the_blocks_in_place_and_syncs_before_they_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    durable_file.create(path, b"very secret")
    inode, seen = path.stat().st_ino, []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: seen.append((os.fstat(descriptor).st_ino, path.read_bytes()))
    )
    durable_file.overwrite(path)
    assert [entry[0] for entry in seen] == [inode, inode]
    assert len(seen[0][1]) == len(b"very secret")
    assert seen[0][1] != b"very secret"
    assert seen[1][1] == b""
    assert path.read_bytes() == b""


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "key"
    durable_file.create(path, b"old content")
    durable_file.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_what_a_broken_off_replacement_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    durable_file.create(path, b"old content")
    overwrite = durable_file.overwrite
    monkeypatch.setattr(durable_file, "overwrite", lambda _path: (_ for _ in ()).throw(OSError("stopped")))
    with pytest.raises(OSError, match="stopped"):
        durable_file.replace(path, b"new")
    assert (tmp_path / "key.former").read_bytes() == b"old content"
    monkeypatch.setattr(durable_file, "overwrite", overwrite)
    durable_file.discard_leftovers(path)
    assert path.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["key"]


def test_a_replacement_broken_off_before_it_was_seen_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "key"
    durable_file.create(path, b"old content")
    (tmp_path / "key.former").hardlink_to(path)
    durable_file.discard_leftovers(path)
    assert path.read_bytes() == b"old content"


def test_a_draft_that_was_never_named_is_overwritten_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the same key: it may not outlive the key's destruction."""
    path = tmp_path / "key"
    durable_file.create(path, b"content")
    with monkeypatch.context() as patch:
        patch.setattr("os.link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # nothing is tidied by who is killed
        with pytest.raises(KeyboardInterrupt):
            durable_file.replace(path, b"sealed anew")
    (draft,) = (each for each in tmp_path.iterdir() if each != path)
    (tmp_path / "watch").hardlink_to(draft)
    durable_file.discard_leftovers(path)
    assert not draft.exists()
    assert (tmp_path / "watch").read_bytes() == b""
    assert path.read_bytes() == b"content"
