"""A package as a bag (RFC 8493) of files with their hashes, wherever they are kept.

What is evidence lies below `data/`; what explains and checks it lies beside. Two
manifests name every file with its SHA-256, the second one names the first, and the
signature over the second covers all of them (`archive.evidence.seal`).

Rules: names are letters, digits, `.`, `_` and `-` between slashes, so that no tool
has to escape one; no link, no empty folder, nothing twice. The manifests are sorted:
the same files give the same manifests, whenever they were made.

Not here: where the octets go. That is a shelf: a folder (`folder`), or sealed objects
in the store (`exports`).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from archive.errors import Refused
from archive.model import ObjectKind, RecordingId

PAYLOAD = "data/"
RECORDINGS = f"{PAYLOAD}recordings/"
BAGIT, BAG_INFO = "bagit.txt", "bag-info.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
SIGNATURE, TIMESTAMP = f"{TAG_MANIFEST}.p7s", f"{TAG_MANIFEST}.p7s.tsr"
TIMESTAMP_SIGNATURE = f"{TIMESTAMP}.p7s"

NAME_CHARS_MAX = 200
"""The longest name of ours has about 90; with the folder of a case it stays below what file systems take."""

FILES_COUNT_MAX = 200_000
"""Some 20,000 recordings of ten files; more is asked for as several packages, which read better too."""

INFO_CHARS_MAX = 1000
"""A line of bag-info is read by people."""

_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class BagFile:
    """One file of a bag: its name within the bag, hashes in hexadecimal, length, and CRC-32 for a zip."""

    name: str
    sha256: str
    sha512: str
    size_bytes: int
    crc32: int


@dataclass(frozen=True)
class Origin:
    """The object of a recording whose octets a file is, so that nobody has to keep them twice."""

    recording_id: RecordingId
    kind: ObjectKind


class Shelf(Protocol):
    """Where the files of a bag are put. Methods raise OSError or DependencyUnavailable when that fails."""

    def put(self, name: str, chunks: Iterable[bytes], origin: Origin | None) -> None:
        """Take all chunks of a file; those of an origin need not be kept."""

    def part(self, prefix: str) -> tuple[BagFile, ...]:
        """Return the files below `prefix` if an earlier attempt put all of them, none else."""

    def finish(self, prefix: str, files: tuple[BagFile, ...]) -> None:
        """Make durable what was put below `prefix`: these files, and no other."""

    def settle(self, names: Collection[str]) -> None:
        """Let nothing stay that is not among `names`."""


class Bag:
    """Names and hashes what is put on a shelf."""

    def __init__(self, shelf: Shelf) -> None:
        """Begin an empty bag on a shelf, which may hold what an earlier attempt left."""
        self._shelf = shelf
        self._files: dict[str, BagFile] = {}

    @property
    def payload(self) -> tuple[BagFile, ...]:
        """The files of evidence so far, sorted by name."""
        return tuple(file for file in self.files if file.name.startswith(PAYLOAD))

    @property
    def files(self) -> tuple[BagFile, ...]:
        """Every file so far, sorted by name."""
        return tuple(self._files[name] for name in sorted(self._files))

    def add(self, name: str, chunks: Iterable[bytes], origin: Origin | None = None) -> BagFile:
        """Put a file on the shelf and return what it is.

        Raises Refused for a name that is no name of a bag, is there already, or comes
        after FILES_COUNT_MAX others, and what the shelf raises.
        """
        check_name(name)
        if name in self._files:
            raise Refused(
                f"The package has a file {name} already: this is a defect of earwitness, report it."
            )
        if len(self._files) >= FILES_COUNT_MAX:
            raise Refused(f"A package has at most {FILES_COUNT_MAX} files: ask for fewer recordings at once.")
        measured = _Measured(chunks)
        self._shelf.put(name, measured, origin)
        self._files[name] = measured.as_file(name)
        return self._files[name]

    def adopt(self, prefix: str) -> bool:
        """Take over the files below `prefix` if an earlier attempt finished them; tell whether it did."""
        files = self._shelf.part(prefix)
        self._files.update((file.name, file) for file in files)
        return bool(files)

    def finish(self, prefix: str) -> None:
        """Make the files below `prefix` durable; an attempt after this one adopts them."""
        self._shelf.finish(
            prefix, tuple(file for file in self._files.values() if file.name.startswith(prefix))
        )

    def close(self, info: Mapping[str, str]) -> bytes:
        """Add declaration, information and manifests; return the manifest of tags, which is to be signed."""
        payload = self.payload
        octets = sum(file.size_bytes for file in payload)
        lines = {**info, "Payload-Oxum": f"{octets}.{len(payload)}"}
        self.add(BAGIT, (_DECLARATION,))
        self.add(BAG_INFO, (bag_info(lines),))
        self.add(MANIFEST, (manifest((file.name, file.sha256) for file in payload),))
        tags = [(name, file.sha256) for name, file in self._files.items() if not name.startswith(PAYLOAD)]
        listed = manifest(tags)
        self.add(TAG_MANIFEST, (listed,))
        return listed

    def settle(self) -> tuple[BagFile, ...]:
        """Make all of it durable, let nothing else stay on the shelf, and return every file."""
        self.finish("")
        self._shelf.settle(self._files.keys())
        return self.files


class _Measured:
    """Chunks that are hashed as they pass."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._sha256, self._sha512 = hashlib.sha256(), hashlib.sha512()
        self._size_bytes = self._crc32 = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._sha256.update(chunk)
            self._sha512.update(chunk)
            self._crc32 = zlib.crc32(chunk, self._crc32)
            self._size_bytes += len(chunk)
            yield chunk

    def as_file(self, name: str) -> BagFile:
        hashes = (self._sha256.hexdigest(), self._sha512.hexdigest())
        return BagFile(name, *hashes, self._size_bytes, self._crc32)


def check_name(name: str) -> None:
    """Raise Refused unless `name` is one a bag of ours may hold."""
    if len(name) > NAME_CHARS_MAX or _NAME.fullmatch(name) is None:
        raise Refused(f"A file of a package can't be named {name[:NAME_CHARS_MAX]!r}.")


def manifest(hashes: Iterable[tuple[str, str]]) -> bytes:
    """Return the lines `sha256sum -c` reads, sorted by name, of `(name, SHA-256)`."""
    return "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(hashes)).encode()


def read_manifest(data: bytes) -> dict[str, str]:
    """Return name to SHA-256 of a manifest; raises Refused for one we would not write."""
    listed: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        sha256, gap, name = line[:64], line[64:66], line[66:]
        if re.fullmatch(r"[0-9a-f]{64}", sha256) is None or gap != "  ":
            raise Refused("A line of a manifest is no hash with a name.")
        check_name(name)
        listed[name] = sha256
    if not listed or manifest(listed.items()) != data:
        raise Refused("A manifest is empty, not sorted, or names a file twice.")
    return listed


def bag_info(lines: Mapping[str, str]) -> bytes:
    """Return `Label: value` lines, each value on one line and cut at INFO_CHARS_MAX."""
    shown = {label: " ".join(value.split())[:INFO_CHARS_MAX] for label, value in lines.items()}
    return "".join(f"{label}: {value}\n" for label, value in shown.items()).encode()
