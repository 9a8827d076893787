"""`earwitness evidence`: checking a package, on any machine, without service or settings.

Not here: making one, which takes an auditor and leaves an entry for each recording
(`archive.evidence.package`).
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509

from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_row
from archive.clock import SystemClock
from archive.errors import Refused
from archive.evidence.asic import MIMETYPE
from archive.evidence.bag import FILES_COUNT_MAX, NAME_CHARS_MAX, check_name
from archive.evidence.verification import Trust, Verdict, verify_package

AUTHORITY, TIMESTAMP_AUTHORITY = "verify/authority.pem", "verify/timestamp-authority.pem"

UNPACKED_BYTES_MAX = 200 * 1024**3
"""Ten thousand recordings of an hour have some 100 GB; a zip that grows beyond is an attack on the disk."""


def run_evidence(arguments: list[str]) -> int:
    """Check a package and say what is wrong with it; exit 1 when anything is."""
    made = parser(
        "evidence", "Evidence packages.", "earwitness evidence verify case-12 --authority authority.pem"
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="verify")
    verify = actions.add_parser("verify", help="check a package, a folder or a zip", epilog=made.epilog)
    verify.add_argument("path", metavar="PATH", type=Path, help="the package: a folder or a .zip")
    verify.add_argument(
        "--authority",
        metavar="PEM",
        type=Path,
        help="certificate of who signs; from another way than the package",
    )
    verify.add_argument(
        "--timestamp-authority", metavar="PEM", type=Path, help="certificates of who stamps the time"
    )
    add_json(verify)
    options = made.parse_args(arguments)
    with _folder(options.path) as folder:
        if options.authority is None:
            print("Trusting the certificate inside the package: compare its fingerprint.", file=sys.stderr)
        trust = _trust(options.authority or folder / AUTHORITY, options.timestamp_authority, folder)
        verdict = verify_package(folder, trust, SystemClock().now())
    for fault in verdict.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    print_row(_row(verdict, trust), as_json=options.json)
    return DONE if verdict.is_sound else FAILED


def _row(verdict: Verdict, trust: Trust) -> Row:
    return {
        "result": "untouched" if verdict.is_sound else f"{len(verdict.faults)} faults",
        "files": verdict.files_count,
        "signer": verdict.signer,
        "stamped": verdict.stamped_at.isoformat() if verdict.stamped_at else "no time-stamp",
        "authority": trust.authority_fingerprint(),
    }


def _trust(authority: Path, stamping: Path | None, folder: Path) -> Trust:
    """Return whom to trust; without a file for time, the certificate inside the package if it has one."""
    inside = folder / TIMESTAMP_AUTHORITY
    roots = _certificates(stamping) if stamping else _certificates(inside) if inside.is_file() else ()
    (first, *_) = _certificates(authority)
    return Trust(first, tuple(roots))


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise Refused(f"{path} holds no certificate in PEM.") from error


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """Yield the folder of a package, unpacked from a zip into a place of its own that goes afterwards."""
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise Refused(f"There is no package at {path}.")
    with tempfile.TemporaryDirectory(prefix="earwitness-evidence-") as place:
        _unpack(path, Path(place))
        yield Path(place)


def _check_media_type(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Refuse an ASiC-E container whose media type does not stand where programs look for it."""
    if MIMETYPE not in {info.filename for info in infos}:
        return
    first = infos[0]
    if first.filename != MIMETYPE or first.compress_type != zipfile.ZIP_STORED or first.extra:
        raise Refused(f"{path} is no ASiC-E container as we make it: {MIMETYPE} is not its first file.")


def _unpack(path: Path, place: Path) -> None:
    """Unpack a zip of ours; refuses names that lead elsewhere, and one that grows beyond all use."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if len(infos) > FILES_COUNT_MAX or sum(info.file_size for info in infos) > UNPACKED_BYTES_MAX:
                raise Refused(f"{path} holds more than a package does.")
            _check_media_type(path, archive.infolist())
            for info in infos:
                if len(info.filename) > NAME_CHARS_MAX:
                    raise Refused(f"{path} holds a name that is no name of a package.")
                check_name(info.filename)
                if (place / info.filename).exists():
                    raise Refused(f"{path} holds {info.filename} twice.")
                archive.extract(info, place)
    except zipfile.BadZipFile as error:
        raise Refused(f"{path} is no zip, or a damaged one.") from error
