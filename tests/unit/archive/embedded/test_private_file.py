"""Secrets are in files nobody else reads, never half written."""

from __future__ import annotations

from pathlib import Path

from archive.embedded.private_file import write_private


def test_a_private_file_is_replaced_whole_and_readable_by_us_alone(tmp_path: Path) -> None:
    """Also when a start before was killed while it wrote."""
    (tmp_path / ".secret.new").write_text("half")
    write_private(tmp_path / "secret", b"one")
    path = write_private(tmp_path / "secret", b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
