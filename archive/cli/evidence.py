"""`earwitness evidence`: checking a package, taking one out as an auditor, and whom others trust.

Checking needs neither service nor settings, on any machine. Taking one out is done at the
portal, signed in as an auditor (`archive.cli.auditor`), with the same rights and entries in
the log as in the browser: whoever runs this as the operator gets nothing by that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cryptography import x509

from archive.catalogue.exports import TEXT_CHARS_MAX, Container
from archive.cli.api import Document, segment
from archive.cli.auditor import AuditorApi, add_sign_in
from archive.cli.outcome import DONE, FAILED, Row, add_json, parser, print_row
from archive.cli.service import add_data, settings_of
from archive.cli.vault import open_authorities
from archive.clock import SystemClock
from archive.errors import Refused, VerificationFailed
from archive.evidence.asic import MIMETYPE, SUFFIX
from archive.evidence.authorities import script_sha256
from archive.evidence.bag import FILES_COUNT_MAX, NAME_CHARS_MAX, check_name
from archive.evidence.verification import Trust, Verdict, verify_package
from archive.transparency.checkpoint import PublicKey, public_key

AUTHORITY, TIMESTAMP_AUTHORITY = "verify/authority.pem", "verify/timestamp-authority.pem"

UNPACKED_BYTES_MAX = 200 * 1024**3
"""Ten thousand recordings of an hour have some 100 GB; a zip that grows beyond is an attack on the disk."""

PURPOSE = "Exported on the command line"


def run_evidence(arguments: list[str]) -> int:
    """Check a package, take one out, or tell whom others trust; exit 1 when a package has a fault."""
    options = _parser().parse_args(arguments)
    match options.action:
        case "export":
            return _export(options)
        case "authority":
            return _authority(options)
        case _:
            return _verify(options)


def _parser() -> argparse.ArgumentParser:
    made = parser(
        "evidence", "Evidence packages.", "earwitness evidence verify case-12 --authority authority.pem"
    )
    actions = made.add_subparsers(dest="action", required=True, metavar="export|verify|authority")
    verify = actions.add_parser("verify", help="check a package, a folder or a zip", epilog=made.epilog)
    verify.add_argument("path", metavar="PATH", type=Path, help="the package: a folder, a .zip or an .asice")
    verify.add_argument(
        "--authority",
        metavar="PEM",
        type=Path,
        help="certificate of who signs; from another way than the package",
    )
    verify.add_argument(
        "--timestamp-authority", metavar="PEM", type=Path, help="certificates of who stamps the time"
    )
    verify.add_argument(
        "--log-key",
        metavar="FILE",
        type=Path,
        help="public key of the audit log; from another way than the package",
    )
    export = actions.add_parser(
        "export",
        help="take a package out, signed in as an auditor",
        epilog="example: earwitness evidence export --case ID --out case-12 --login visser@jansen.example",
    )
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--case", metavar="ID", help="all recordings of a case")
    what.add_argument("--recording", metavar="ID", nargs="+", action="extend", help="these recordings")
    what.add_argument("--export", metavar="ID", help="fetch what was asked for before, or go on with it")
    export.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="a folder that is new or empty"
    )
    export.add_argument("--reference", metavar="TEXT", help="of the case or claim (default: the case's name)")
    export.add_argument("--purpose", metavar="TEXT", help="what it is for (default: the case's reason)")
    export.add_argument(
        "--container", choices=list(Container), default="zip", help="zip is unpacked (default)"
    )
    add_sign_in(export)
    authority = actions.add_parser(
        "authority",
        help="print the fingerprints to publish, and write the certificate others trust",
        epilog="example: earwitness evidence authority --out authority.pem",
    )
    authority.add_argument("--out", metavar="PEM", type=Path, help="write the certificate into this file")
    add_data(authority)
    for each in (verify, export, authority):
        add_json(each)
    return made


def _verify(options: argparse.Namespace) -> int:
    with _folder(options.path) as folder:
        if options.authority is None:
            print("Trusting the certificate inside the package: compare its fingerprint.", file=sys.stderr)
        trust = _trust(options.authority or folder / AUTHORITY, options.timestamp_authority, folder)
        if options.log_key is not None:
            trust = replace(trust, log_key=_log_key(options.log_key))
        verdict = verify_package(folder, trust, SystemClock().now())
    for fault in verdict.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    print_row(_row(verdict, trust), as_json=options.json)
    return DONE if verdict.is_sound else FAILED


def _authority(options: argparse.Namespace) -> int:
    known = open_authorities(settings_of(options), SystemClock().now())
    row: Row = {"authority": known.fingerprint(), "script": script_sha256()}
    if options.out is not None:
        options.out.write_bytes(known.authority_pem())
        row = {**row, "file": str(options.out)}
    print_row(row, as_json=options.json)
    return DONE


def _export(options: argparse.Namespace) -> int:
    out: Path = options.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"{out} is there already: name a folder that is new or empty.")
    api = AuditorApi(options)
    try:
        export_id = options.export or _ordered(api, options)
        export = api.export(export_id)
        # What an earlier try of this export left beside the folder is gone on with.
        fetched = out.absolute().with_name(f".{out.name}-{export_id}.part")
        fetched.parent.mkdir(parents=True, exist_ok=True)
        api.fetch_package(export, fetched)
    finally:
        api.sign_out()
    out.mkdir(mode=0o700, exist_ok=True)
    if export.get("container") == Container.ASICE:
        package = fetched.rename(out / f"{export_id}{SUFFIX}")
    else:
        _unpack(fetched, out)
        fetched.unlink()
        package = out
    row: Row = {"export": export_id, "package": str(package), "recordings": str(export.get("total"))}
    print_row(row, as_json=options.json)
    return DONE


def _ordered(api: AuditorApi, options: argparse.Namespace) -> str:
    """Ask for an export and return its id; raises Refused where a second person has to approve it first."""
    answer = api.post("/v1/exports", _order(api, options))
    if "expiresAt" in answer:
        raise Refused(
            f"This takes a second person, until {answer['expiresAt']} (Two people in the portal). Once they "
            "approved, download it in the portal, or name its id with --export."
        )
    return str(answer["id"])


def _order(api: AuditorApi, options: argparse.Namespace) -> Document:
    """Return what is asked of the portal; what was not said is taken from the case."""
    told: Document = {"container": options.container}
    if options.case is not None:
        case = api.get(f"/v1/cases/{segment(options.case)}")
        told |= {"caseId": options.case, "reference": case.get("name"), "purpose": case.get("reason")}
    else:
        told |= {"recordingIds": options.recording, "purpose": PURPOSE}
    reference = options.reference or told.get("reference") or str(options.case or options.recording[0])
    purpose = options.purpose or told.get("purpose") or PURPOSE
    return {**told, "reference": str(reference)[:TEXT_CHARS_MAX], "purpose": str(purpose)[:TEXT_CHARS_MAX]}


def _row(verdict: Verdict, trust: Trust) -> Row:
    return {
        "result": "untouched" if verdict.is_sound else f"{len(verdict.faults)} faults",
        "files": verdict.files_count,
        "signer": verdict.signer,
        "stamped": verdict.stamped_at.isoformat() if verdict.stamped_at else "no time-stamp",
        "custody": f"{verdict.custody.proved} of {verdict.custody.entries} entries proved by the sealed log",
        "authority": trust.authority_fingerprint(),
    }


def _trust(authority: Path, stamping: Path | None, folder: Path) -> Trust:
    """Return whom to trust; without a file for time, the certificate inside the package if it has one."""
    inside = folder / TIMESTAMP_AUTHORITY
    roots = _certificates(stamping) if stamping else _certificates(inside) if inside.is_file() else ()
    (first, *_) = _certificates(authority)
    return Trust(first, tuple(roots))


def _log_key(path: Path) -> PublicKey:
    try:
        return public_key(path.read_text(encoding="ascii"))
    except (OSError, ValueError, VerificationFailed) as error:
        raise Refused(f"{path} holds no public key of an audit log: {error}.") from error


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
