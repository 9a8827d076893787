"""The folder of a package: a bag (RFC 8493) of files with their hashes.

What is evidence lies below `data/`; what explains and checks it lies beside. Two
manifests name every file with its SHA-256, the second one names the first, and the
signature over the second covers all of them (`archive.evidence.seal`).

Rules: names are letters, digits, `.`, `_` and `-` between slashes, so that no tool
has to escape one; no link, no empty folder, nothing twice. The manifests are sorted:
the same files give the same manifests, whenever they were made. A file appears under
its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from archive.errors import Refused

PAYLOAD = "data/"
BAGIT, BAG_INFO = "bagit.txt", "bag-info.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
SIGNATURE, TIMESTAMP = f"{TAG_MANIFEST}.p7s", f"{TAG_MANIFEST}.p7s.tsr"

NAME_CHARS_MAX = 200
"""The longest name of ours has about 90; with the folder of a case it stays below what file systems take."""

FILES_COUNT_MAX = 200_000
"""Some 20,000 recordings of ten files; more is asked for as several packages, which read better too."""

INFO_CHARS_MAX = 1000
"""A line of bag-info is read by people."""

_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True)
class BagFile:
    """One file of a bag: its name within the bag, SHA-256 in hexadecimal, and length."""

    name: str
    sha256: str
    size_bytes: int


class BagWriter:
    """Fills one folder. After a crash it goes on: a file that is there whole is taken as it is."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which may hold what an earlier writer left; it is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, BagFile] = {}

    @property
    def payload(self) -> tuple[BagFile, ...]:
        """The files of evidence so far, sorted by name."""
        return tuple(self._files[name] for name in sorted(self._files) if name.startswith(PAYLOAD))

    def add(self, name: str, chunks: Iterable[bytes]) -> BagFile:
        """Write a file; durable under its name when this returns.

        Raises Refused for a name that is no name of a bag, is there already, or comes
        after FILES_COUNT_MAX others, and OSError when the disk does not take it.
        """
        path = self._place(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, size_bytes = hashlib.sha256(), 0
        partial = path.with_name(path.name + _PARTIAL_SUFFIX)
        with partial.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        return self._remember(BagFile(name, digest.hexdigest(), size_bytes))

    def adopt(self, name: str) -> BagFile | None:
        """Return a file an earlier writer finished, hashed anew; None when it is not there."""
        path = self._place(name)
        if not path.is_file():
            return None
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return self._remember(BagFile(name, sha256, path.stat().st_size))

    def close(self, info: Mapping[str, str]) -> bytes:
        """Write declaration, information and manifests; return the manifest of tags, which is to be signed.

        What the folder holds beside the files of this writer is removed first: a
        package has no file nobody listed.
        """
        payload = self.payload
        octets = sum(file.size_bytes for file in payload)
        lines = {**info, "Payload-Oxum": f"{octets}.{len(payload)}"}
        self.add(BAGIT, (_DECLARATION,))
        self.add(BAG_INFO, (bag_info(lines),))
        self.add(MANIFEST, (manifest(payload),))
        tags = tuple(file for name, file in sorted(self._files.items()) if not name.startswith(PAYLOAD))
        listed = self.add(TAG_MANIFEST, (manifest(tags),))
        self._remove_strangers()
        return (self._folder / listed.name).read_bytes()

    def path(self, name: str) -> Path:
        """Return where a file of the bag lies, to read it again; raises LookupError for one it has not."""
        return self._folder / self._files[name].name

    def _place(self, name: str) -> Path:
        check_name(name)
        if name in self._files:
            raise Refused(
                f"The package has a file {name} already: this is a defect of earwitness, report it."
            )
        if len(self._files) >= FILES_COUNT_MAX:
            raise Refused(f"A package has at most {FILES_COUNT_MAX} files: ask for fewer recordings at once.")
        return self._folder / name

    def _remember(self, file: BagFile) -> BagFile:
        self._files[file.name] = file
        return file

    def _remove_strangers(self) -> None:
        known = {self._folder / name for name in self._files}
        for path in sorted(self._folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in known:
                path.unlink()


def check_name(name: str) -> None:
    """Raise Refused unless `name` is one a bag of ours may hold."""
    if len(name) > NAME_CHARS_MAX or _NAME.fullmatch(name) is None:
        raise Refused(f"A file of a package can't be named {name[:NAME_CHARS_MAX]!r}.")


def manifest(files: Iterable[BagFile]) -> bytes:
    """Return the lines `sha256sum -c` reads, sorted by name."""
    ordered = sorted(files, key=lambda file: file.name)
    return "".join(f"{file.sha256}  {file.name}\n" for file in ordered).encode()


def read_manifest(data: bytes) -> dict[str, str]:
    """Return name to SHA-256 of a manifest; raises Refused for one we would not write."""
    listed: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        sha256, gap, name = line[:64], line[64:66], line[66:]
        if re.fullmatch(r"[0-9a-f]{64}", sha256) is None or gap != "  ":
            raise Refused("A line of a manifest is no hash with a name.")
        check_name(name)
        listed[name] = sha256
    if not listed or manifest(BagFile(name, sha256, 0) for name, sha256 in listed.items()) != data:
        raise Refused("A manifest is empty, not sorted, or names a file twice.")
    return listed


def bag_info(lines: Mapping[str, str]) -> bytes:
    """Return `Label: value` lines, each value on one line and cut at INFO_CHARS_MAX."""
    shown = {label: " ".join(value.split())[:INFO_CHARS_MAX] for label, value in lines.items()}
    return "".join(f"{label}: {value}\n" for label, value in shown.items()).encode()
