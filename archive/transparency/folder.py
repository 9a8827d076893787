"""A log as files: what a download of the bucket, or `earwitness audit export`, leaves in a directory.

Below the directory stand `keys/` and a folder a log (`1/`), with `leaves/`,
`checkpoints/`, `tokens/` and perhaps `entries/` in it, named as in the bucket. A
download of the whole bucket has them below `audit/`.

An entries file has a line for each leaf of the segment of the same name: what the hash of
the entry covers, as JSON, then behind tabs the salt and the body, or two empty fields.

Rules: reads only; whatever does not belong is refused, so that nothing can hide beside
what is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from archive.errors import NotFound, VerificationFailed
from archive.transparency.checkpoint import NOTE_BYTES_MAX

KEY_BYTES_MAX = 1024
TOKEN_BYTES_MAX = 64 * 1024
"""A time-stamp token with its certificates has some 5 kB."""

SEGMENT_FILE_BYTES_MAX = 1024 * 1024
ENTRIES_FILE_BYTES_MAX = 256 * 1024 * 1024
"""A thousand entries with the largest bodies there may be take 64 MB, and their fields some more."""

_RANGE = re.compile(r"([0-9]{12})-([0-9]{12})")
_SIZE = re.compile(r"[0-9]{12}")
_LOG = re.compile(r"[1-9][0-9]{0,8}")
_KEY = re.compile(r"[1-9][0-9]{0,8}-[0-9a-f]{8}")
_PARTS = {"leaves", "checkpoints", "tokens", "entries"}


@dataclass(frozen=True)
class Segment:
    """The file of the leaves from `first` to below `end`, and that of their entries."""

    first: int
    end: int
    read: Callable[[], bytes]
    read_entries: Callable[[], bytes] | None


class LogFolder:
    """The files of one log."""

    def __init__(self, path: Path) -> None:
        self._path = path
        unknown = sorted(item.name for item in path.iterdir() if item.name not in _PARTS)
        if unknown:
            raise VerificationFailed(f"{unknown[0]!r} does not belong into the folder of log {path.name}.")
        self.number = int(path.name)

    def segments(self) -> list[Segment]:
        """Return the segments in the order of their names."""
        entries = self._named("entries", _RANGE)
        found = []
        for name, path in self._named("leaves", _RANGE).items():
            first, end = (int(part) for part in name.split("-"))
            beside = entries.pop(name, None)
            if beside is None and (self._path / "entries").is_dir():
                raise VerificationFailed(
                    f"Log {self.number}: the entries of the leaves {first} to {end - 1} are missing."
                )
            read_entries = None if beside is None else _reader(beside, ENTRIES_FILE_BYTES_MAX)
            found.append(Segment(first, end, _reader(path, SEGMENT_FILE_BYTES_MAX), read_entries))
        if entries:
            raise VerificationFailed(f"Log {self.number}: entries {min(entries)} have no leaves.")
        return found

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """Yield each checkpoint with the size its name says, smallest first."""
        for name, path in self._named("checkpoints", _SIZE).items():
            yield int(name), _reader(path, NOTE_BYTES_MAX)()

    def tokens(self) -> dict[int, bytes]:
        """Return the time-stamp tokens by the size of their checkpoint."""
        return {
            int(name): _reader(path, TOKEN_BYTES_MAX)() for name, path in self._named("tokens", _SIZE).items()
        }

    def _named(self, part: str, form: re.Pattern[str]) -> dict[str, Path]:
        folder = self._path / part
        if not folder.is_dir():
            return {}
        found = {item.name: item for item in sorted(folder.iterdir())}
        for name, path in found.items():
            if form.fullmatch(name) is None or not path.is_file():
                raise VerificationFailed(f"{name!r} does not belong into {part} of log {self.number}.")
        return found


def open_folder(path: Path) -> tuple[list[bytes], list[LogFolder]]:
    """Return the lines of the public keys, and the logs, oldest first.

    Raises NotFound when there is no log, VerificationFailed for a file that does not belong.
    """
    root = path / "audit" if (path / "audit").is_dir() else path
    if not root.is_dir():
        raise NotFound(f"There is no directory {path}.")
    folders = {item.name: item for item in sorted(root.iterdir())}
    keys_folder = folders.pop("keys", None)
    unknown = [name for name, item in folders.items() if _LOG.fullmatch(name) is None or not item.is_dir()]
    if unknown:
        raise VerificationFailed(f"{unknown[0]!r} does not belong beside the logs in {path}.")
    if not folders:
        raise NotFound(
            f"There is no audit log in {path}: it holds folders such as 1/leaves and 1/checkpoints."
        )
    keys = sorted(keys_folder.iterdir()) if keys_folder is not None and keys_folder.is_dir() else []
    strange = [item.name for item in keys if _KEY.fullmatch(item.name) is None]
    if strange:
        raise VerificationFailed(f"{strange[0]!r} does not belong into keys.")
    logs = [LogFolder(folders[name]) for name in sorted(folders, key=int)]
    return [_reader(item, KEY_BYTES_MAX)() for item in keys], logs


def _reader(path: Path, bytes_max: int) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            if path.stat().st_size > bytes_max:
                raise VerificationFailed(f"{path.parent.name}/{path.name} is larger than {bytes_max} octets.")
            return path.read_bytes()
        except OSError as error:
            raise NotFound(f"{path} can't be read: {error.strerror}.") from error

    return read
