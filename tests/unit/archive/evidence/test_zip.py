"""A zip that is laid out before it is sent: other programs open it, and any range of it is the same octets."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.errors import Refused
from archive.evidence.bag import FILES_COUNT_MAX
from archive.evidence.zip import ZipEntry, ZipLayout

FILES = {
    "bagit.txt": b"BagIt-Version: 1.0\n",
    "data/empty": b"",
    "data/r1/audio.flac": bytes(range(256)) * 40,
}


def layout_of(files: Mapping[str, bytes]) -> ZipLayout:
    return ZipLayout(ZipEntry(name, len(data), zlib.crc32(data)) for name, data in files.items())


def reader(files: Mapping[str, bytes]) -> object:
    def read(name: str, first: int, last_exclusive: int) -> Iterator[bytes]:
        piece = files[name][first:last_exclusive]
        yield piece[: len(piece) // 2]
        yield piece[len(piece) // 2 :]

    return read


def whole(files: Mapping[str, bytes]) -> bytes:
    layout = layout_of(files)
    return b"".join(layout.read(0, layout.size_bytes, reader(files)))


def test_python_opens_it_and_finds_every_file_whole() -> None:
    data = whole(FILES)
    assert len(data) == layout_of(FILES).size_bytes
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_info_zip_opens_it_too(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(whole(FILES))
    tool = shutil.which("unzip")
    assert tool is not None, "the test needs unzip: install it"
    command = [tool, "-tq", "p.zip"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_range_is_the_same_octets_as_of_the_whole(data: st.DataObject) -> None:
    complete = whole(FILES)
    first = data.draw(st.integers(0, len(complete)))
    last = data.draw(st.integers(first, len(complete)))
    assert b"".join(layout_of(FILES).read(first, last, reader(FILES))) == complete[first:last]


def test_a_package_of_more_than_four_gigabytes_is_no_other_case() -> None:
    """Of five gigabytes of silence only the ends are read: names, lengths and places must fit."""
    size = 5 * 1024**3
    layout = ZipLayout(
        [ZipEntry("data/long.flac", size, 0), ZipEntry("data/last.txt", 3, zlib.crc32(b"end"))]
    )

    class Sparse(io.RawIOBase):
        def __init__(self) -> None:
            self.place = 0

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            self.place = offset + (0, self.place, layout.size_bytes)[whence]
            return self.place

        def tell(self) -> int:
            return self.place

        def read(self, size: int = -1) -> bytes:
            end = layout.size_bytes if size < 0 else min(self.place + size, layout.size_bytes)
            contents = {"data/last.txt": b"end"}
            piece = b"".join(
                layout.read(
                    self.place,
                    end,
                    lambda name, first, last: [contents.get(name, b"")[first:last] or bytes(last - first)],
                )
            )
            self.place += len(piece)
            return piece

    with zipfile.ZipFile(Sparse()) as archive:
        assert [info.file_size for info in archive.infolist()] == [size, 3]
        assert archive.read("data/last.txt") == b"end"


def test_the_same_files_give_the_same_zip() -> None:
    assert whole(FILES) == whole(dict(FILES))


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (6, 5), (0, 10**9)])
def test_a_range_outside_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="octets"):
        list(layout_of(FILES).read(first, last, reader(FILES)))


def test_bad_names_doubles_none_and_too_many_are_refused() -> None:
    same = ZipEntry("data/x", 0, 0)
    many = (ZipEntry(f"data/{number}", 0, 0) for number in range(FILES_COUNT_MAX + 1))
    for entries in ((), (same, same), (ZipEntry("../x", 0, 0),), many):
        with pytest.raises(Refused):
            ZipLayout(entries)
